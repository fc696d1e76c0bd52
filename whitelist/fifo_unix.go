//go:build unix

package whitelist

import (
	"errors"
	"os"
	"syscall"
)

// mkfifo makes a FIFO.
func mkfifo(path string) error {
	if err := syscall.Mkfifo(path, fifoMode); err != nil {
		return &os.PathError{Op: "mkfifo", Path: path, Err: err}
	}
	return nil
}

// openFIFO opens a FIFO to read, without waiting for a writer. It opens it to
// write as well, if it may: as long as one writer is left, which is us, a read
// waits for bytes instead of telling of the end over and over.
func openFIFO(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrPermission) {
		return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	}
	return f, err
}

// tryAgain reports whether a read found nothing yet. It happens where Go cannot
// wait for a FIFO: on Darwin.
func tryAgain(err error) bool { return errors.Is(err, syscall.EAGAIN) }
