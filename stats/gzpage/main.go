// Gzpage compresses the page that people look at, as it is sent and embedded:
//
//	go generate ./stats
//
// The result depends on nothing but the page and the version of Go.
package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gzpage FILE, which writes FILE.gz")
		os.Exit(2)
	}
	if err := compress(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gzpage:", err)
		os.Exit(1)
	}
}

// compress writes name.gz.
func compress(name string) error {
	page, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression) // without a name or a time
	if err != nil {
		return err
	}
	if _, err := z.Write(page); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return os.WriteFile(name+".gz", out.Bytes(), 0o644)
}
