package main

import "golang.org/x/sys/unix"

// onThisCPU are the calls that not every CPU has, many of them for numbers of
// 64 bits.
var onThisCPU = append(plain(
	unix.SYS_ACCEPT, unix.SYS_CLOCK_GETTIME64, unix.SYS_CLOCK_NANOSLEEP_TIME64, unix.SYS_DUP2, unix.SYS_EPOLL_WAIT, unix.SYS_FCNTL64,
	unix.SYS_FSTAT64, unix.SYS_FSTATAT64, unix.SYS_FUTEX_TIME64, unix.SYS_LSTAT64, unix.SYS_STAT64,
	unix.SYS_GETEGID32, unix.SYS_GETEUID32, unix.SYS_GETGID32, unix.SYS_GETGROUPS32, unix.SYS_GETUID32,
	unix.SYS_POLL, unix.SYS_PPOLL_TIME64, unix.SYS_PSELECT6_TIME64,
	unix.SYS_RECVMMSG_TIME64, unix.SYS_SIGRETURN, unix.SYS__LLSEEK, unix.SYS__NEWSELECT,
), rule{unix.SYS_MMAP2, noCode})

// toWriteOnThisCPU are those of them that change files.
var toWriteOnThisCPU = plain(unix.SYS_RENAMEAT, unix.SYS_FTRUNCATE64)

// toProfileOnThisCPU are those of them that profiles need.
var toProfileOnThisCPU = plain(unix.SYS_TIMER_SETTIME64)

// toConnectOnThisCPU are those that connections need.
var toConnectOnThisCPU = []uint32{unix.SYS_CONNECT}
