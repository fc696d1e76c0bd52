//go:build race

package whitelist

// raceEnabled makes the largest tests smaller: the race detector is ten times
// slower.
const raceEnabled = true
