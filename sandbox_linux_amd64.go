package main

import "golang.org/x/sys/unix"

// onThisCPU are the calls that not every CPU has.
var onThisCPU = append(plain(
	unix.SYS_ACCEPT, unix.SYS_ARCH_PRCTL, unix.SYS_DUP2, unix.SYS_EPOLL_WAIT, unix.SYS_NEWFSTATAT, unix.SYS_POLL,
), rule{unix.SYS_MMAP, noCode})

// toWriteOnThisCPU are those of them that change files.
var toWriteOnThisCPU = plain(unix.SYS_RENAMEAT)

// toProfileOnThisCPU are those of them that profiles need: none.
var toProfileOnThisCPU []rule

// toConnectOnThisCPU are those that connections need.
var toConnectOnThisCPU = []uint32{unix.SYS_CONNECT}
