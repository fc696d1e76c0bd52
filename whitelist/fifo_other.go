//go:build !unix

package whitelist

import (
	"errors"
	"os"
)

// Systems that are not Unix have no FIFOs in their file system.

func mkfifo(string) error               { return errors.ErrUnsupported }
func openFIFO(string) (*os.File, error) { return nil, errors.ErrUnsupported }
func tryAgain(error) bool               { return false }
