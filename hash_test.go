package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestHash runs the subcommand on good files and bad ones.
func TestHash(t *testing.T) {
	dir := t.TempDir()
	torrent := filepath.Join(dir, "one.torrent")
	text := "d4:infod6:lengthi1e4:name5:a.iso12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee"
	if err := os.WriteFile(torrent, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	const magnet = "magnet:?xt=urn:btih:12265A8791313E55C1BFCA4D8EBAA484057FB478&dn=b"
	missing := filepath.Join(dir, "missing")
	for _, tt := range []struct {
		args   []string
		out    string
		errors string
		code   int
	}{
		{[]string{torrent, magnet}, infoHashOf + " # a.iso\n12265a8791313e55c1bfca4d8ebaa484057fb478 # b\n", "", 0},
		{[]string{missing, magnet}, "12265a8791313e55c1bfca4d8ebaa484057fb478 # b\n", "tracker: hash " + missing + ": no such file or directory\n", 1},
		{nil, "", "Usage: tracker hash FILE... (a .torrent file or a magnet link each)\n", 1},
	} {
		cmd := exec.Command(os.Args[0], append([]string{"hash"}, tt.args...)...)
		cmd.Env = append(os.Environ(), asTracker+"=1")
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		cmd.Run() // the code tells
		if code := cmd.ProcessState.ExitCode(); out.String() != tt.out || errs.String() != tt.errors || code != tt.code {
			t.Errorf("%q: wrote %q and %q, code %d", tt.args, &out, &errs, code)
		}
	}
}

// infoHashOf is the infohash of the torrent file above, from sha1sum.
const infoHashOf = "dbe442a6bf875dce09e02c18801797e3fec24234"
