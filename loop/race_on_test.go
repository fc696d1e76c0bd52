//go:build race

package loop

// manyTorrents are fewer where looking at all of them takes ten times as long.
const manyTorrents = 80_000

const raced = true
