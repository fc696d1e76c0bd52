package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"unsafe"

	"golang.org/x/sys/unix"

	"tracker/perf"
)

// errNeedRoot is returned where a network namespace cannot be made.
var errNeedRoot = errors.New("its addresses live in a network namespace of this command's own, which takes root")

// insideKey marks, in the environment, the copy that runs in the namespace.
const insideKey = "PERF_MEMORY_NETNS"

func inNamespace() bool { return os.Getenv(insideKey) != "" }

// enterNamespace runs this command again in a new network namespace and
// reports true when that copy is done; its exit code, if not 0, becomes ours.
// In the copy, it gives the loopback interface its addresses and reports
// false. It returns [errNeedRoot] if it may not.
func enterNamespace() (done bool, err error) {
	if inNamespace() {
		return false, setupLoopback()
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideKey+"=1")
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGTERM} // on which it ends what it holds
	var exit *exec.ExitError
	switch err := cmd.Run(); {
	case errors.Is(err, unix.EPERM):
		return false, errNeedRoot
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		os.Exit(exit.ExitCode())
	case err != nil:
		return false, err
	}
	return true, nil
}

// setupLoopback brings lo up and gives it the sources of IPv6. The kernel
// skips duplicate address detection on it, so they can be used at once.
func setupLoopback() error {
	if err := linkUp("lo"); err != nil {
		return fmt.Errorf("lo up: %w", err)
	}
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	for _, a := range perf.Sources6(sourceCount) {
		req := in6Ifreq{addr: a.As16(), prefix: 128, ifindex: int32(lo.Index)}
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFADDR, uintptr(unsafe.Pointer(&req))); e != 0 {
			return fmt.Errorf("lo, address %s: %w", a, e)
		}
	}
	return nil
}

// in6Ifreq is struct in6_ifreq of linux/ipv6.h.
type in6Ifreq struct {
	addr    [16]byte
	prefix  uint32
	ifindex int32
}

// linkUp brings an interface up.
func linkUp(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, req); err != nil {
		return err
	}
	req.SetUint16(req.Uint16() | unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}
