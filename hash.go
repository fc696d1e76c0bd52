package main

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"tracker/config"
	"tracker/whitelist"
)

// hash is the subcommand that writes the whitelist lines of .torrent files and
// magnet links to w: tracker hash x.torrent >> whitelist. One that is no good
// does not keep the others from being written. It returns the exit code.
func hash(files []string, w io.Writer) int {
	if len(files) == 0 {
		fmt.Fprintln(os.Stderr, "Usage: tracker hash FILE... (a .torrent file or a magnet link each)")
		return config.ExitCode
	}
	code := 0
	out := bufio.NewWriter(w)
	for _, file := range files {
		lines, err := whitelist.HashFile(file)
		if err != nil {
			logf(failure, "hash", "%v", err)
			code = config.ExitCode
		}
		for _, line := range lines {
			fmt.Fprintln(out, line)
		}
	}
	if err := out.Flush(); err != nil {
		logf(failure, "hash", "%v", err)
		return config.ExitCode
	}
	return code
}
