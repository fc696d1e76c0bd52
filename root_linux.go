package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dropCapabilities gives up every capability of every thread, and the chance to
// get one from a program with the set-user-id bit. To stop being root has taken
// most of them already: not those a container made inheritable, nor any if it
// told the kernel to leave them alone.
//
// Go can make all threads do a system call only in programs without cgo, as
// ours is. Others, like tests with the race detector, go without; what is left
// then is found by the [proof].
func dropCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&none)), 0)
	if errno == syscall.ENOTSUP {
		return nil
	}
	if errno != 0 {
		return errno
	}
	_, _, errno = syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	if errno != 0 && errno != syscall.EINVAL { // since Linux 3.5
		return errno
	}
	return nil
}

// A proof looks at what the kernel says of every thread, in /proc, which it has
// to open before that is out of reach.
type proof struct {
	threads *os.Root // /proc/self/task, or nil if there is no /proc
}

func openProof() *proof {
	root, err := os.OpenRoot("/proc/self/task")
	if err != nil {
		return &proof{}
	}
	return &proof{root}
}

func (p *proof) close() {
	if p.threads != nil {
		p.threads.Close() // it was only read
	}
}

// check returns an error unless every thread is a and nothing more. Without
// /proc it asks for this thread alone, and trusts Go that what it did on one
// thread it did on all.
func (p *proof) check(a account) error {
	if err := checkIDs(a); err != nil {
		return err
	}
	if p.threads == nil {
		return checkThisThread(a)
	}
	threads, err := fs.ReadDir(p.threads.FS(), ".")
	if err != nil {
		return err
	}
	for _, thread := range threads {
		status, err := p.threads.ReadFile(thread.Name() + "/status")
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has ended
		}
		if err != nil {
			return err
		}
		if err := checkStatus(string(status), a); err != nil {
			return fmt.Errorf("thread %s: %w", thread.Name(), err)
		}
	}
	return nil
}

// checkStatus returns an error unless status, as in /proc/PID/status, is that
// of a without any capability.
func checkStatus(status string, a account) error {
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		ok := true
		switch name {
		case "Uid": // real, effective, saved, of the file system
			ok = allAre(value, a.uid)
		case "Gid":
			ok = allAre(value, a.gid)
		case "Groups":
			ok = value == ""
		case "CapInh", "CapPrm", "CapEff", "CapAmb":
			ok = strings.Trim(value, "0") == ""
		}
		if !ok {
			return fmt.Errorf("%s is %s", name, value)
		}
	}
	return nil
}

// allAre reports whether every number in list is id.
func allAre(list string, id int) bool {
	for word := range strings.FieldsSeq(list) {
		if word != strconv.Itoa(id) {
			return false
		}
	}
	return list != ""
}

// checkThisThread asks the kernel about the thread it runs on.
func checkThisThread(a account) error {
	for _, ids := range []struct {
		name string
		get  func() (r, e, s int)
		want int
	}{{"user", unix.Getresuid, a.uid}, {"group", unix.Getresgid, a.gid}} {
		if r, e, s := ids.get(); r != ids.want || e != ids.want || s != ids.want {
			return fmt.Errorf("%s ids are %d %d %d, want %d", ids.name, r, e, s, ids.want)
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&header, &have[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	if have != [2]unix.CapUserData{} {
		return fmt.Errorf("there are capabilities left: %x", have)
	}
	return nil
}
