//go:build race

package main

// race says that everything takes ten times as long, and more memory.
const race = true
