package whitelist

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"tracker/proto"
)

const (
	// fifoMode is what opentracker makes its FIFOs with, less the umask.
	fifoMode = 0o755
	// fifoBufferLen is as much as a FIFO holds on Linux, in bytes.
	fifoBufferLen = 64 << 10
	// fifoPatience is how long a line may stay without its end before it is
	// dropped. Else it would spoil what the next writer writes.
	fifoPatience = time.Second
	// fifoPause is how long to wait before looking again into a FIFO that cannot
	// be waited for: one we may only read, and that nobody has open.
	fifoPause = 250 * time.Millisecond
)

// A fifo is one of the two FIFOs.
type fifo struct {
	path  string
	mark  mark // of what is written to it
	lines splitter
}

// errNotFIFO disables a FIFO.
var errNotFIFO = errors.New("not a FIFO")

// makeFIFO prepares the FIFO at path, if it is not "". Trouble disables it, and
// the log is told.
func (l *Lists) makeFIFO(path string, m mark) {
	if path == "" {
		return
	}
	f := &fifo{path: path, mark: m}
	if err := f.make(); err != nil {
		l.say(f, "disabled: %v", cause(err))
		return
	}
	l.fifos = append(l.fifos, f)
}

// say tells the log of what is wrong with f. The caller holds the lock, or is alone.
func (l *Lists) say(f *fifo, format string, args ...any) {
	l.log(Note{"FIFO", f.path, true, format, fmt.Sprintf(format, args...)})
}

// make makes the FIFO, if it is missing.
func (f *fifo) make() error {
	err := mkfifo(f.path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	fi, err := os.Stat(f.path)
	if err != nil {
		return err
	}
	if fi.Mode()&fs.ModeNamedPipe == 0 {
		return errNotFIFO
	}
	return nil
}

// follow does what is written to f until ctx is done.
func (l *Lists) follow(ctx context.Context, f *fifo) {
	file, err := openFIFO(f.path)
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.say(f, "disabled: %v", cause(err))
		return
	}
	stop := context.AfterFunc(ctx, func() { file.Close() }) // ends the Read below
	defer file.Close()
	defer stop()
	for buf := make([]byte, fifoBufferLen); ctx.Err() == nil; {
		file.SetReadDeadline(f.deadline()) // without one, a torn line waits for the next
		n, err := file.Read(buf)
		l.obey(f, buf[:n], err)
		switch {
		case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
		case errors.Is(err, io.EOF), tryAgain(err): // no writer, and we are none either
			sleep(ctx, fifoPause)
		default:
			return
		}
	}
}

// deadline returns when to stop waiting: never, but for the end of a line.
func (f *fifo) deadline() time.Time {
	if f.lines.begun {
		return time.Now().Add(fifoPatience)
	}
	return time.Time{}
}

// obey does what data, the next bytes from f, says. err is why there is no more.
func (l *Lists) obey(f *fifo, data []byte, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var broken Broken
	before, full := l.marks, 0
	f.lines.feed(data, func(line []byte) {
		var ih proto.Infohash
		var ok bool
		if !parseLine(line, &ih) {
			broken.add(f.lines.number, whyBroken(line))
		} else if l.marks, ok = l.marks.set(&ih, f.mark); !ok {
			full++
		}
	})
	if l.marks != before {
		l.publish()
	}
	if err != nil && f.lines.begun && len(data) == 0 {
		f.lines.number++
		broken.add(f.lines.number, "it has no end")
		f.lines.drop()
	}
	if broken.Lines > 0 {
		l.say(f, "%v", broken)
	}
	if full > 0 {
		l.say(f, "full; nothing more is taken before the next reload")
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, io.EOF) &&
		!errors.Is(err, os.ErrClosed) && !tryAgain(err) {
		l.say(f, "disabled: %v", cause(err))
	}
}

// sleep waits for d, or for ctx.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
