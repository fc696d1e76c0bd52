//go:build 386 || amd64 || arm || arm64 || mips || mipsle || riscv64

package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The sandbox is a seccomp filter: a short program that the kernel runs before
// every system call of every thread, and that nobody can take away again.
//
//	not of this CPU, not listed   ENOSYS
//	listed, good arguments        done as ever
//	listed, bad arguments         EPERM
//
// # Why a list of what is allowed
//
// Linux gets new system calls with each release, and a list of what is
// forbidden would have to be ahead of them. What speaks for such a list is that
// one of what is allowed may be too short, and then a tracker that ran for
// years falls over on a day when Go has been upgraded. So what is not listed
// neither kills nor is refused: the call does not exist, as in a kernel that is
// too old for it. Go and its libraries live with that, because they run on
// kernels back to 3.2. (EPERM would be taken for a verdict: C libraries that
// got it for clone3 could start no thread.) The list is long where it costs
// nothing, and a test compares it with what Go's runtime names for every CPU.
//
// # What cannot be done any more
//
// Run a program, or become two processes. Become somebody else, or root of a
// namespace. Trace, signal or read another process. Mount, load modules, run
// BPF, use io_uring, keys, performance counters. Make memory executable. Connect
// to anybody, unless the configuration names servers to connect to; do so with the
// first bytes (TCP Fast Open); talk to local daemons: only sockets of IP can be
// made. Open files to write, unless the configuration needs it.
//
// What a datagram may carry, and to whom, is beyond any filter of system calls,
// and so is where a connection leads.
// On 386 Go makes most calls on sockets through one, socketcall, whose arguments
// are out of sight but for which it is: there connect is forbidden, but neither
// sockets of other kinds nor Fast Open.
//
// # Why no library
//
// github.com/elastic/go-seccomp-bpf v1.6.0 has no calls of MIPS and RISC-V, so
// a router would have nothing, in 18 KB more of compressed program. Landlock
// (github.com/landlock-lsm/go-landlock v0.10.1, 9 KB) came with Linux 5.13 and
// is left out of the kernels of routers; it cannot keep a process from setuid,
// ptrace or io_uring, and a list that is replaced by a symbolic link to another
// folder could not be read any more. This here is 5 KB.

// A rule allows a system call. No call has two: the second would not be reached.
type rule struct {
	call uint32
	test []test // all have to hold
}

// A test is one on the lower 32 bits of an argument: argument&mask == want, or
// with not, != want. All arguments tested are ints, or flags that are in the
// lower half.
type test struct {
	arg        int // from 0
	mask, want uint32
	not        bool
}

// plain returns rules without tests.
func plain(calls ...uint32) (rules []rule) {
	for _, call := range calls {
		rules = append(rules, rule{call: call})
	}
	return rules
}

// Bits of arguments that must not be set.
const (
	// fastOpen makes a send a connect.
	fastOpen = unix.MSG_FASTOPEN
	// toWrite are those of openat that change something.
	toWrite = unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC
)

// allowed returns what a process that has these needs may do. The kernel runs
// through the rules from the first to the last, so those of a busy minute come
// first. Since Linux 5.11 it does so only for those with tests and knows the
// others by heart: so of the busy ones, those with tests come first.
func allowed(n needs, pid uint32) []rule {
	noFastOpen := func(arg int) []test { return []test{{arg: arg, mask: fastOpen}} }
	oneself := []test{{arg: 0, mask: ^uint32(0), want: pid}}

	rules := []rule{
		{unix.SYS_SENDMMSG, noFastOpen(3)},
		{unix.SYS_SENDTO, noFastOpen(3)},
	}
	rules = append(rules, plain(
		unix.SYS_EPOLL_PWAIT, unix.SYS_RECVMMSG, unix.SYS_FUTEX, unix.SYS_ACCEPT4, unix.SYS_RECVFROM,
		unix.SYS_SHUTDOWN, unix.SYS_CLOSE, unix.SYS_READ, unix.SYS_WRITE, unix.SYS_NANOSLEEP,
		unix.SYS_EPOLL_CTL, unix.SYS_GETSOCKOPT, unix.SYS_MADVISE,
	)...)
	rules = append(rules, []rule{
		{unix.SYS_MPROTECT, noCode},
		{unix.SYS_CLONE, []test{{arg: 0, mask: unix.CLONE_THREAD, want: unix.CLONE_THREAD}}}, // threads only
		{unix.SYS_TGKILL, oneself}, // how Go preempts, and ends
		{unix.SYS_KILL, oneself},
		{unix.SYS_PRCTL, []test{{arg: 0, mask: ^uint32(0), want: unix.PR_SET_VMA}}}, // Go names its memory
		{unix.SYS_SENDMSG, noFastOpen(2)},
		// gnet opens sockets whenever it starts an engine again. AF_INET6 is
		// AF_INET and a bit.
		{unix.SYS_SOCKET, []test{{arg: 0, mask: ^uint32(unix.AF_INET ^ unix.AF_INET6), want: unix.AF_INET}}},
		{unix.SYS_OPENAT, n.open()},
	}...)
	rules = append(rules, plain(
		// Memory, threads, time and signals: Go's runtime.
		unix.SYS_BRK, unix.SYS_MUNMAP, unix.SYS_MREMAP, unix.SYS_MINCORE,
		unix.SYS_EXIT, unix.SYS_EXIT_GROUP, unix.SYS_SET_ROBUST_LIST, unix.SYS_RSEQ, // the last two are libc's, with cgo
		unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY, unix.SYS_MEMBARRIER, unix.SYS_GETCPU,
		unix.SYS_CLOCK_GETTIME, unix.SYS_CLOCK_GETRES, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_GETTIMEOFDAY,
		unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK,
		unix.SYS_RESTART_SYSCALL, // made by the kernel, after SIGCONT
		unix.SYS_GETRANDOM,
		unix.SYS_FALLOCATE, // pages of the store's memory; other files that may be written to are not open

		// Who and where we are.
		unix.SYS_GETPID, unix.SYS_GETTID, unix.SYS_GETPPID, unix.SYS_GETCWD, unix.SYS_UNAME, unix.SYS_SYSINFO, unix.SYS_GETRUSAGE,
		unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID, unix.SYS_GETGROUPS,

		// Waiting.
		unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_PWAIT2, unix.SYS_EVENTFD2, unix.SYS_PPOLL, unix.SYS_PSELECT6, unix.SYS_PIPE2,
		unix.SYS_INOTIFY_INIT1, unix.SYS_INOTIFY_ADD_WATCH, unix.SYS_INOTIFY_RM_WATCH,

		// Files, to read.
		unix.SYS_READV, unix.SYS_WRITEV, unix.SYS_PREAD64, unix.SYS_DUP, unix.SYS_DUP3, unix.SYS_FCNTL,
		unix.SYS_FSTAT, unix.SYS_STATX, unix.SYS_FACCESSAT, unix.SYS_READLINKAT, unix.SYS_GETDENTS64, unix.SYS_LSEEK,

		// Sockets.
		unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_RECVMSG, unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME, unix.SYS_SETSOCKOPT,
	)...)
	rules = append(rules, onThisCPU...)
	if n.writes {
		rules = append(rules, plain(
			unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_FTRUNCATE, unix.SYS_PWRITE64,
			unix.SYS_FCHMOD, unix.SYS_RENAMEAT2, unix.SYS_UNLINKAT,
		)...)
		rules = append(rules, toWriteOnThisCPU...)
	}
	if n.connects { // in place of what there is about the same call
		rules = slices.DeleteFunc(rules, func(r rule) bool { return slices.Contains(toConnectOnThisCPU, r.call) })
		rules = append(rules, plain(toConnectOnThisCPU...)...)
	}
	if n.devices {
		rules = append(rules, rule{unix.SYS_IOCTL, []test{{arg: 1, mask: ^uint32(0), want: unix.SIOCGIFADDR}}})
	}
	if n.profiles {
		rules = append(rules, plain(unix.SYS_SETITIMER, unix.SYS_TIMER_CREATE, unix.SYS_TIMER_SETTIME, unix.SYS_TIMER_DELETE)...)
		rules = append(rules, toProfileOnThisCPU...)
	}
	return rules
}

// open returns the tests on openat.
func (n needs) open() []test {
	switch {
	case n.writes:
		return nil
	case n.fifos:
		return []test{{arg: 2, mask: toWrite &^ unix.O_RDWR}}
	}
	return []test{{arg: 2, mask: toWrite}}
}

// noCode is the test on calls that give memory rights.
var noCode = []test{{arg: 2, mask: unix.PROT_EXEC}}

// Places in what the kernel shows a filter: struct seccomp_data.
const (
	callAt = 0
	cpuAt  = 4
	argsAt = 16 // 8 bytes each
)

// cpus are what the kernel calls the CPU and its set of system calls.
var cpus = map[string]uint32{
	"386": unix.AUDIT_ARCH_I386, "amd64": unix.AUDIT_ARCH_X86_64,
	"arm": unix.AUDIT_ARCH_ARM, "arm64": unix.AUDIT_ARCH_AARCH64,
	"mips": unix.AUDIT_ARCH_MIPS, "mipsle": unix.AUDIT_ARCH_MIPSEL,
	"riscv64": unix.AUDIT_ARCH_RISCV64,
}

// Answers of a filter.
const (
	pass    = unix.SECCOMP_RET_ALLOW
	refuse  = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	unknown = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
)

// compile returns the filter for rules. Every jump is to one of the next few
// instructions: a rule that does not match is stepped over.
func compile(rules []rule) []unix.SockFilter {
	load := func(at int) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: uint32(at)}
	}
	answer := func(a uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: a} }
	const equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K

	// On amd64 there is a second set of calls, x32, under the same CPU. Its
	// numbers have a high bit, and none is listed.
	program := []unix.SockFilter{load(cpuAt), {Code: equal, K: cpus[runtime.GOARCH], Jt: 1}, answer(unknown), load(callAt)}
	for _, r := range rules {
		var body []unix.SockFilter
		for _, t := range r.test {
			good, bad := uint8(1), uint8(0)
			if t.not {
				good, bad = bad, good
			}
			body = append(body, load(argsAt+8*t.arg+lowHalf),
				unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: t.mask},
				unix.SockFilter{Code: equal, K: t.want, Jt: good, Jf: bad}, answer(refuse))
		}
		body = append(body, answer(pass))
		program = append(program, unix.SockFilter{Code: equal, K: r.call, Jf: uint8(len(body))})
		program = append(program, body...)
	}
	return append(program, answer(unknown))
}

// lowHalf is where the lower 32 bits of an argument are in its 8 bytes.
var lowHalf = func() int {
	if one := uint16(1); *(*byte)(unsafe.Pointer(&one)) == 0 {
		return 4
	}
	return 0
}()

// enterSandbox takes from every thread, now and for ever, what needs do not
// ask for. It returns how many system calls are left. After an error nothing
// has been taken.
func enterSandbox(n needs) (calls int, err error) {
	rules := allowed(n, uint32(os.Getpid()))
	program := compile(rules)
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}

	// Without CAP_SYS_ADMIN, the thread that asks has to have no_new_privs.
	// The others get it from it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, fmt.Errorf("no_new_privs: %w", err)
	}
	// Linux 4.17 to 5.15 takes whoever has a filter for one who runs code of
	// others, and slows down their speculative loads, unless told otherwise.
	err = setFilter(&prog, unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW)
	if err == unix.EINVAL {
		err = setFilter(&prog, 0)
	}
	if err != nil {
		return 0, fmt.Errorf("seccomp: %w", err)
	}
	return len(rules), nil
}

// setFilter sets the filter of all threads (since Linux 3.17), or of none.
func setFilter(prog *unix.SockFprog, flags uintptr) error {
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC|flags, uintptr(unsafe.Pointer(prog)))
	if errno != 0 {
		return errno
	}
	if thread != 0 {
		return fmt.Errorf("thread %d has a filter of its own", thread)
	}
	return nil
}
