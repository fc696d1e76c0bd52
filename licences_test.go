package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestLicences fails if THIRD_PARTY.txt lacks what a binary contains, on any
// system: it has to be passed on with it. make licences writes it.
func TestLicences(t *testing.T) {
	text, err := os.ReadFile("THIRD_PARTY.txt")
	if err != nil {
		t.Fatal(err)
	}
	const modules = "{{with .Module}}{{if not (or .Main .Replace)}}{{.Path}} {{.Version}}{{end}}{{end}}"
	for _, system := range []string{"linux", "freebsd", "openbsd", "darwin"} {
		cmd := exec.Command("go", "list", "-deps", "-f", modules, ".")
		cmd.Env = append(os.Environ(), "GOOS="+system)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			// Once in the table, once above its licence.
			if strings.TrimSpace(line) != "" && strings.Count(string(text), "\n"+line) != 2 {
				t.Errorf("THIRD_PARTY.txt has no licence of %s: run make licences", line)
			}
		}
	}
}
