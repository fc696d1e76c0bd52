// Package zap stands in for the logger of that name, which gnet links.
//
// The real one brings net/http, crypto/tls and encoding/json into every binary
// that has gnet in it: 2.3 MB of a router's flash, and 2 MB of its memory, for
// lines that are never written, because package loop gives gnet a logger of
// its own. go.mod puts this module in its place. It has the names that gnet's
// pkg/logging mentions and no others, so that a gnet that needs more does not
// compile; what they return does nothing.
package zap

import "go.uber.org/zap/zapcore"

// A Logger logs nothing.
type Logger struct{}

// A SugaredLogger logs nothing either.
type SugaredLogger struct{}

// Option changes nothing.
type Option struct{}

// LevelEnablerFunc is what gnet makes a level of.
type LevelEnablerFunc func(zapcore.Level) bool

// Enabled reports that nothing is logged.
func (LevelEnablerFunc) Enabled(zapcore.Level) bool { return false }

// New returns a logger.
func New(zapcore.Core, ...Option) *Logger { return &Logger{} }

// Sugar returns the other kind of logger.
func (*Logger) Sugar() *SugaredLogger { return &SugaredLogger{} }

// Sync has nothing to write.
func (*Logger) Sync() error { return nil }

// Debugf drops a line.
func (*SugaredLogger) Debugf(string, ...any) {}

// Infof drops a line.
func (*SugaredLogger) Infof(string, ...any) {}

// Warnf drops a line.
func (*SugaredLogger) Warnf(string, ...any) {}

// Errorf drops a line.
func (*SugaredLogger) Errorf(string, ...any) {}

// Fatalf drops a line and, like the real one, does not come back.
func (*SugaredLogger) Fatalf(string, ...any) { panic("gnet: fatal") }

// Development changes nothing.
func Development() Option { return Option{} }

// AddCaller changes nothing.
func AddCaller() Option { return Option{} }

// AddStacktrace changes nothing.
func AddStacktrace(zapcore.LevelEnabler) Option { return Option{} }

// ErrorOutput changes nothing.
func ErrorOutput(zapcore.WriteSyncer) Option { return Option{} }

// NewDevelopmentEncoderConfig returns an empty configuration.
func NewDevelopmentEncoderConfig() zapcore.EncoderConfig { return zapcore.EncoderConfig{} }

// NewProductionEncoderConfig returns an empty configuration.
func NewProductionEncoderConfig() zapcore.EncoderConfig { return zapcore.EncoderConfig{} }
