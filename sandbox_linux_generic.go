//go:build linux && (arm64 || riscv64)

package main

import "golang.org/x/sys/unix"

// onThisCPU are the calls that not every CPU has. These two follow the generic
// list of the kernel, which has nothing that is obsolete.
var onThisCPU = append(plain(unix.SYS_ACCEPT, unix.SYS_FSTATAT), rule{unix.SYS_MMAP, noCode})

// renameat has this number wherever the kernel's generic list is used. RISC-V
// does without.
const renameat = 38

// toWriteOnThisCPU are those of them that change files.
var toWriteOnThisCPU = plain(renameat)

// toProfileOnThisCPU are those of them that profiles need: none.
var toProfileOnThisCPU []rule

// toConnectOnThisCPU are those that connections need.
var toConnectOnThisCPU = []uint32{unix.SYS_CONNECT}
