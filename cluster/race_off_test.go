//go:build !race

package cluster

// raced says that everything takes ten times as long.
const raced = false
