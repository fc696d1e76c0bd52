//go:build !race

package loop

// manyTorrents make a listing that fits no socket's buffers.
const manyTorrents = 200_000

const raced = false
