//go:build !race

package whitelist

const raceEnabled = false
