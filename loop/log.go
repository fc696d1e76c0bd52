package loop

// A Level says how much an event matters.
type Level uint8

// The levels, from the least.
const (
	Debug Level = iota
	Info
	Warning
	Error
)

// A Logf is told what the operator should see: how much it matters, which event
// it is, in a word that stays the same, and a line without its end. Arguments
// that have more to tell to machines have a method Facts, which returns keys and
// values in turn.
type Logf func(level Level, event, format string, args ...any)
