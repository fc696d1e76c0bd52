package config

import (
	"bytes"
	stdflag "flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

var update = stdflag.Bool("update", false, "rewrite the golden files and tracker.conf.example")

// golden compares got with a file, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(want, []byte(got)) {
		return
	}
	w, g := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i := range g {
		if i >= len(w) || w[i] != g[i] {
			t.Fatalf("%s:%d differs (run with -update if that is meant):\ngot  %s", name, i+1, g[i])
		}
	}
	t.Fatalf("%s has more lines than we print", name)
}

// text returns an Env in which every file has this content.
func text(s string) Env {
	return Env{ReadFile: func(string) ([]byte, error) { return []byte(s), nil }}
}

// parseText parses a config file with this content, called tracker.conf.
func parseText(s string) (*Config, error) {
	c, _, err := Parse([]string{"-f", "tracker.conf"}, text(s))
	return c, err
}

// outcome prints what came of a Parse: the error, or each field that is not
// as in a tracker without configuration.
func outcome(c *Config, action Action, err error) string {
	if err != nil {
		return "  error: " + err.Error() + "\n"
	}
	if c == nil {
		return fmt.Sprintf("  action %d\n", action)
	}
	var b strings.Builder
	if action == Check {
		b.WriteString("  check\n")
	}
	plain, _, _ := Parse(nil, Env{})
	got, was := reflect.ValueOf(*c), reflect.ValueOf(*plain)
	for i := range got.NumField() {
		if !got.Type().Field(i).IsExported() {
			continue
		}
		name, v := got.Type().Field(i).Name, got.Field(i).Interface()
		if name != "Warnings" && !reflect.DeepEqual(v, was.Field(i).Interface()) {
			fmt.Fprintf(&b, "  %s %+v\n", name, v)
		}
	}
	for _, w := range c.Warnings {
		fmt.Fprintf(&b, "  warning: %s\n", w)
	}
	if b.Len() == 0 {
		b.WriteString("  nothing changes\n")
	}
	return b.String()
}
