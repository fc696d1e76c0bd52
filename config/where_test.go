package config

import "testing"

// TestWhere checks that the place of a setting can be told later.
func TestWhere(t *testing.T) {
	c, _, err := Parse([]string{"-u", "a", "-f", "x", "-w", "w"}, text("\ntracker.user b\naccess.whitelist w  \ntracker.user a\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		value string
		names []string
		want  string
	}{
		{"a", []string{"tracker.user", "-u"}, `x:4: tracker.user "a"`},
		{"b", []string{"tracker.user", "-u"}, `x:2: tracker.user "b"`},
		{"w", []string{"access.whitelist"}, `x:3: access.whitelist "w"`},
		{"w", []string{"access.whitelist", "-w"}, `-w "w"`},
		{"w", []string{"access.blacklist"}, ""},
		{"nobody", []string{"tracker.user", "-u"}, ""},
	} {
		if got := c.Where(tt.value, tt.names...); got != tt.want {
			t.Errorf("%q of %q: got %q, want %q", tt.value, tt.names, got, tt.want)
		}
	}
}
