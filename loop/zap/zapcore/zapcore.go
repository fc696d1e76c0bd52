// Package zapcore is the part of zap's package of that name that gnet mentions.
package zapcore

import (
	"io"

	"go.uber.org/zap/buffer"
)

// A Level is a level of logging, with the real one's values.
type Level int8

// The levels.
const (
	DebugLevel Level = iota - 1
	InfoLevel
	WarnLevel
	ErrorLevel
	DPanicLevel
	PanicLevel
	FatalLevel
)

// String names no level: nothing is logged at any.
func (Level) String() string { return "none" }

// Enabled reports that nothing is logged.
func (Level) Enabled(Level) bool { return false }

// A LevelEnabler says what is logged.
type LevelEnabler interface{ Enabled(Level) bool }

// The types that gnet passes around.
type (
	// Core is where lines would go.
	Core struct{}
	// Entry is a line.
	Entry struct{}
	// Field is a part of a line.
	Field struct{}
	// EncoderConfig says how a line would look.
	EncoderConfig struct {
		EncodeTime  func()
		EncodeLevel func()
	}
	// Encoder would make bytes of a line.
	Encoder interface {
		EncodeEntry(Entry, []Field) (*buffer.Buffer, error)
	}
	// WriteSyncer is where bytes would go.
	WriteSyncer interface{ io.Writer }
)

type encoder struct{}

func (encoder) EncodeEntry(Entry, []Field) (*buffer.Buffer, error) { return &buffer.Buffer{}, nil }

// RFC3339NanoTimeEncoder does nothing.
func RFC3339NanoTimeEncoder() {}

// CapitalLevelEncoder does nothing.
func CapitalLevelEncoder() {}

// NewConsoleEncoder returns an encoder.
func NewConsoleEncoder(EncoderConfig) Encoder { return encoder{} }

// NewCore returns a core.
func NewCore(Encoder, WriteSyncer, LevelEnabler) Core { return Core{} }

// Lock returns ws.
func Lock(ws WriteSyncer) WriteSyncer { return ws }

// AddSync returns w.
func AddSync(w io.Writer) WriteSyncer { return w }
