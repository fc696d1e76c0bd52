//go:build 386 || amd64 || arm || arm64 || mips || mipsle || riscv64

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"tracker/config"
)

// An attempt is something to try from inside.
type attempt struct {
	name string
	do   func() error
	on   error // what comes of it in the sandbox
	off  error // what comes of it in the cell alone, or errUntried
}

// errUntried marks what had better not be tried without a sandbox.
var errUntried = errors.New("not tried")

// attempts are tried in a cell with a file called "there", which everyone may
// write, and an executable one called "program", which is none.
var attempts = []attempt{
	{`open("/etc/passwd")`, opening("/etc/passwd", unix.O_RDONLY), unix.ENOENT, unix.ENOENT},
	{"open to read", opening("there", unix.O_RDONLY), nil, nil},
	{"open to write", opening("there", unix.O_WRONLY), unix.EPERM, nil},
	{"open to read and write", opening("there", unix.O_RDWR), unix.EPERM, nil},
	{"open to truncate", opening("there", unix.O_TRUNC), unix.EPERM, nil},
	{"open to create", opening("new", unix.O_RDONLY|unix.O_CREAT), unix.EPERM, nil},
	{"snapshot", snapshot, unix.EPERM, nil},
	{"remove", func() error { return unix.Unlinkat(unix.AT_FDCWD, "missing", 0) }, unix.ENOSYS, unix.ENOENT},
	{"make a folder", func() error { return unix.Mkdirat(unix.AT_FDCWD, "there", 0o755) }, unix.ENOSYS, unix.EEXIST},

	{"execve", func() error { return unix.Exec("program", nil, nil) }, unix.ENOSYS, unix.ENOEXEC},
	{"execveat", calling(unix.SYS_EXECVEAT), unix.ENOSYS, errUntried},
	{"fork", fork, unix.EPERM, errUntried},
	{"clone3", calling(unix.SYS_CLONE3), unix.ENOSYS, unix.EINVAL},
	{"setuid(0)", func() error { return syscall.Setuid(0) }, unix.ENOSYS, unix.EPERM},
	{"setgid(0)", func() error { return syscall.Setgid(0) }, unix.ENOSYS, unix.EPERM},
	{"setgroups(0)", func() error { return syscall.Setgroups([]int{0}) }, unix.ENOSYS, unix.EPERM},
	{"chroot", func() error { return unix.Chroot(".") }, unix.ENOSYS, unix.EPERM},
	{"mount", func() error { return unix.Mount("", ".", "tmpfs", 0, "") }, unix.ENOSYS, unix.EPERM},
	{"unshare", calling(unix.SYS_UNSHARE, unix.CLONE_NEWUSER), unix.ENOSYS, errUntried},

	{"executable memory", func() error { return memory(unix.PROT_READ | unix.PROT_EXEC) }, unix.EPERM, nil},
	{"memory", func() error { return memory(unix.PROT_READ | unix.PROT_WRITE) }, nil, nil},
	{"prctl", func() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) }, unix.EPERM, nil},
	{"signal to all", func() error { return unix.Kill(-1, 0) }, unix.EPERM, errUntried},
	{"signal to oneself", func() error { return unix.Kill(unix.Getpid(), 0) }, nil, nil},
	{"ptrace", calling(unix.SYS_PTRACE, unix.PTRACE_TRACEME), unix.ENOSYS, errUntried},
	{"process_vm_readv", calling(unix.SYS_PROCESS_VM_READV), unix.ENOSYS, errUntried},
	{"process_vm_writev", calling(unix.SYS_PROCESS_VM_WRITEV), unix.ENOSYS, errUntried},
	{"bpf", calling(unix.SYS_BPF), unix.ENOSYS, errUntried},
	{"perf_event_open", calling(unix.SYS_PERF_EVENT_OPEN), unix.ENOSYS, errUntried},
	{"keyctl", calling(unix.SYS_KEYCTL), unix.ENOSYS, errUntried},
	{"io_uring_setup", calling(unix.SYS_IO_URING_SETUP), unix.ENOSYS, errUntried},
	{"kexec_load", calling(unix.SYS_KEXEC_LOAD), unix.ENOSYS, errUntried},
	{"init_module", calling(unix.SYS_INIT_MODULE), unix.ENOSYS, errUntried},
	{"timer to profile with", calling(unix.SYS_TIMER_CREATE), unix.ENOSYS, unix.EFAULT},
	{"memfd_create", calling(unix.SYS_MEMFD_CREATE), unix.ENOSYS, errUntried},
	{"another filter", calling(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_STRICT), unix.ENOSYS, errUntried},

	{"address of an interface", deviceAddr, unix.ENOSYS, nil},
	{"ioctl", calling(unix.SYS_IOCTL), unix.ENOSYS, unix.ENOTTY},

	{"socket of IPv4", socket(unix.AF_INET, unix.SOCK_STREAM), nil, nil},
	{"socket of IPv6", socket(unix.AF_INET6, unix.SOCK_DGRAM), nil, nil},
}

// wider has attempts that come out otherwise on 386, where most calls on
// sockets look alike.
var wider = []attempt{
	{"socket of Unix", socket(unix.AF_UNIX, unix.SOCK_STREAM), unix.EPERM, nil},
	{"socket of netlink", socket(unix.AF_NETLINK, unix.SOCK_RAW), unix.EPERM, nil},
	{"connect", connect, unix.ENOSYS, nil},
	{"fast open", fastOpening, unix.EPERM, unix.ECONNREFUSED},
}

func opening(path string, flags int) func() error {
	return func() error {
		fd, err := unix.Open(path, flags, 0o600)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
}

// calling makes a system call whose arguments are 0 but for those given.
func calling(call uintptr, args ...uintptr) func() error {
	return func() error {
		a := append(args, 0, 0, 0, 0, 0, 0)
		if _, _, errno := unix.Syscall6(call, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
			return errno
		}
		return nil
	}
}

// fork tries to become two processes. The second ends at once.
func fork() error {
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	switch {
	case errno != 0:
		return errno
	case pid == 0:
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
	return nil
}

// snapshot writes a file beside another and puts it in its place.
func snapshot() error {
	f, err := os.OpenFile("beside", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, bad := f.WriteString("x")
	return errors.Join(bad, f.Chmod(0o644), f.Truncate(0), f.Sync(), f.Close(), os.Rename("beside", "state"), os.Remove("state"))
}

func memory(rights int) error {
	m, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	return errors.Join(unix.Mprotect(m, rights), unix.Munmap(m))
}

func deviceAddr() error {
	d := openDevice("lo")
	_, err := d.addr()
	unix.Close(d.fd)
	return err
}

func socket(family, kind int) func() error {
	return func() error {
		fd, err := unix.Socket(family, kind, 0)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
}

// discard is a port nobody listens on.
var discard = &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 9}

func connect() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, discard)
}

func fastOpening() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, []byte("x"), unix.MSG_FASTOPEN|unix.MSG_NOSIGNAL, discard)
}

func init() { prisoner = tryFromInside }

// tryFromInside enters a cell and the sandbox for the needs named in the
// environment, and prints what comes of each attempt: on a thread that was
// there before, and on a new one.
func tryFromInside() int {
	old := make(chan func())
	go func() {
		runtime.LockOSThread()
		for do := range old {
			do()
		}
	}()
	cfg := config.Default()
	cfg.RootDir = "."
	c, err := findCell(&cfg)
	if err == nil {
		err = c.enter()
	}
	which := os.Getenv(asPrisoner)
	if err == nil && which != "off" {
		_, err = enterSandbox(needs{fifos: which == "fifos", writes: which == "writes", devices: which == "devices", profiles: which == "profiles", connects: which == "connects"})
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for _, a := range append(attempts, wider...) {
		if which == "off" && a.off == errUntried {
			continue
		}
		came := make(chan error)
		old <- func() { came <- a.do() }
		before := <-came
		go func() {
			runtime.LockOSThread() // for good: the thread ends, and the next attempt gets another
			came <- a.do()
		}()
		fmt.Printf("%s: %v, %v\n", a.name, cause(before), cause(<-came))
	}
	return 0
}

// TestFromInside tries the ways out, from a cell with the sandbox for each of
// the needs, and without one: to see that it is the sandbox that bars them.
func TestFromInside(t *testing.T) {
	asRoot(t)
	for which, exceptions := range map[string]map[string]error{
		"off":      {},
		"plain":    {},
		"fifos":    {"open to read and write": nil},
		"devices":  {"address of an interface": nil, "ioctl": unix.EPERM},
		"profiles": {"timer to profile with": unix.EFAULT},
		"connects": {"connect": nil},
		"writes": {
			"open to write": nil, "open to read and write": nil, "open to truncate": nil, "open to create": nil,
			"snapshot": nil, "remove": unix.ENOENT,
		},
	} {
		t.Run(which, func(t *testing.T) {
			dir := publicDir(t)
			for name, mode := range map[string]os.FileMode{".": 0o777, "there": 0o666, "program": 0o755} {
				path := filepath.Join(dir, name)
				if name != "." {
					if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				if err := os.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command(os.Args[0])
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), asPrisoner+"="+which)
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			lines := strings.Split(string(out), "\n")
			for i, a := range append(attempts, wider...) {
				want := a.on
				if which == "off" {
					want = a.off
				} else if other, ok := exceptions[a.name]; ok {
					want = other
				}
				if want == errUntried {
					continue
				}
				if runtime.GOARCH == "386" && which != "off" && i >= len(attempts) {
					want = map[string]error{"connect": unix.EPERM, "fast open": unix.ECONNREFUSED}[a.name]
					if other, ok := exceptions[a.name]; ok {
						want = other
					}
				}
				if line := fmt.Sprintf("%s: %v, %[2]v", a.name, want); lines[0] != line {
					t.Errorf("got %q, want %q", lines[0], line)
				}
				lines = lines[1:]
			}
		})
	}
}
