//go:build race

package store

// raced says that everything takes ten times as long.
const raced = true
