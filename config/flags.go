package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// A flag is one row of the command line.
type flag struct {
	letter  byte   // 0: it has none
	long    string // with two dashes, for what opentracker has no letter for; empty: none
	arg     string // what follows, empty if nothing does
	doc     string
	def     string // the default, for the help text; empty: none worth naming
	allowed string // what arg may be
	action  Action // for flags without argument
	set     func(p *parser, v string) error
}

// What is allowed where more than one row takes the same.
const (
	allowedPort   = "a number from 0 to 65535, 0 for any free port"
	allowedPath   = "a path"
	allowedSource = "the path of a list file or of a folder of .torrent files"
	allowedNet    = "an address or a network, like 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32"
	allowedURL    = "a URL, like https://tracker.example/"
	allowedUser   = "the name or number of a user of this system, but not root"
)

// To add a flag: a row here, a field with its default in Config if it sets
// one, and its cases in flags_test.go; then `go test ./config -update`, and
// the diff of the golden files is part of the review. Flags that opentracker
// has keep its meaning.
var flags = []flag{
	{letter: 'f', arg: "config", doc: "read the config file now", allowed: "the path of a config file", set: (*parser).file},
	{
		letter: 'i', arg: "ip", doc: "address for the -p and -P that follow", def: "any",
		allowed: "an address, like 192.0.2.1 or 2001:db8::1", set: (*parser).setIP,
	},
	{letter: 'p', arg: "port", doc: "listen on this TCP port, may be repeated", def: "6969", allowed: allowedPort, set: (*parser).listenTCP},
	{letter: 'P', arg: "port", doc: "listen on this UDP port, may be repeated", def: "6969", allowed: allowedPort, set: (*parser).listenUDP},
	{letter: 'r', arg: "redirect", doc: "URL that GET / is redirected to", def: "none", allowed: allowedURL, set: (*parser).setRedirect},
	{
		letter: 'd', arg: "dir", doc: "directory to chroot to as root, to change to otherwise", def: ". as root",
		allowed: allowedPath, set: func(p *parser, v string) error { p.cfg.RootDir = v; return nil },
	},
	{letter: 'u', arg: "user", doc: "user to become when started as root", def: "nobody", allowed: allowedUser, set: (*parser).setUser},
	{
		letter: 'A', arg: "ip[/bits]", doc: "bless an address or network: it may read the statistics and is a trusted proxy",
		def: "none", allowed: allowedNet, set: func(p *parser, v string) error { return nets(&p.blessed, v) },
	},
	{
		letter: 'l', arg: "file", doc: "load torrents and download counts from this state file", def: "none",
		allowed: allowedPath, set: func(p *parser, v string) error { p.cfg.StateLoad = v; return nil },
	},
	{
		letter: 'w', arg: "whitelist", doc: "serve only the torrents in this file or folder, may be repeated", def: "none",
		allowed: allowedSource, set: func(p *parser, v string) error { return source(&p.cfg.Whitelist, v) },
	},
	{
		letter: 'b', arg: "blacklist", doc: "never serve the torrents in this file or folder, may be repeated", def: "none",
		allowed: allowedSource, set: func(p *parser, v string) error { return source(&p.cfg.Blacklist, v) },
	},
	{letter: 's', arg: "port", doc: "accepted and without effect: live sync is replaced by cluster.url in the config file", allowed: allowedPort, set: (*parser).setSync},
	{
		long: "replace", doc: "take the place of the tracker that runs, with its sockets, its peers and this configuration, and start anew if none does",
		action: Run, set: func(p *parser, _ string) error { p.cfg.Replace = true; return nil },
	},
	{letter: 't', doc: "check the configuration, say OK or what is wrong, and exit", action: Check},
	{letter: 'h', doc: "print this and exit", action: Help},
	{letter: 'v', doc: "print the version and exit", action: Version},
}

// Usage returns the one line that says which flags there are.
func Usage() string {
	var b strings.Builder
	b.WriteString("Usage: tracker")
	for _, f := range flags {
		fmt.Fprintf(&b, " [%s]", f.form())
	}
	b.WriteByte('\n')
	return b.String()
}

// HelpText returns the text of -h, with the line of Usage on top.
func HelpText() string {
	var b strings.Builder
	b.WriteString(Usage())
	for _, f := range flags {
		fmt.Fprintf(&b, "\t%-13s %s", f.form(), f.doc)
		if f.def != "" {
			fmt.Fprintf(&b, " (default: %s)", f.def)
		}
		b.WriteByte('\n')
	}
	b.WriteString(`
Example:   tracker -i 127.0.0.1 -p 6969 -P 6969 -f tracker.conf -i 192.0.2.1 -p 2710 -p 80
           Flags act from left to right; -i is for the -p and -P to its right.
           If neither flags nor config files name a port, TCP and UDP 6969 are
           opened on the last -i, or on every address. A port that is named is
           the only one: -p 80 alone means no UDP.

           tracker hash FILE... >>whitelist
           Prints the line for a whitelist of each .torrent file or magnet link.
`)
	return b.String()
}

// form returns the flag as it is written: -p port.
func (f *flag) form() string {
	if f.long != "" {
		return "--" + f.long
	}
	if f.arg == "" {
		return "-" + string(f.letter)
	}
	return "-" + string(f.letter) + " " + f.arg
}

// commandLine reads args as getopt does: an argument may follow its letter
// directly or as the next word, letters without one may be joined, and --
// ends the flags. Other words are skipped wherever they stand, so that a
// stray one cannot switch off the -w behind it.
func (p *parser) commandLine(args []string) (Action, error) {
	action := Run
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			p.ignored(args...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			p.ignored(arg)
			continue
		}
		if f := findLong(arg); f != nil {
			if err := f.set(p, ""); err != nil {
				return Run, err
			}
			continue
		}
		for letters := arg[1:]; letters != ""; {
			f, err := findFlag(letters[0], arg)
			if err != nil {
				return Run, err
			}
			letters = letters[1:]
			if f.arg == "" {
				if f.action != Check {
					return f.action, nil
				}
				action = Check
				continue
			}
			if letters == "" {
				if len(args) == 0 {
					return Run, &Error{place: place{name: "-" + string(f.letter)}, msg: "the argument is missing: " + f.allowed, Usage: true}
				}
				letters, args = args[0], args[1:]
				if len(letters) == 2 && letters[0] == '-' {
					p.place = place{name: "-" + string(f.letter), value: letters}
					p.warn("its argument looks like the next flag")
				}
			}
			if err := p.flag(f, letters); err != nil {
				return Run, err
			}
			break
		}
	}
	return action, nil
}

// findLong returns the row of a word with two dashes, or nil.
func findLong(arg string) *flag {
	for i := range flags {
		if flags[i].long != "" && arg == flags[i].form() {
			return &flags[i]
		}
	}
	return nil
}

// findFlag returns the row of a letter; arg is the word it came from.
func findFlag(letter byte, arg string) (*flag, error) {
	for i := range flags {
		if flags[i].letter == letter && letter != 0 {
			return &flags[i], nil
		}
	}
	msg := "unknown flag"
	if strings.HasPrefix(arg, "--") {
		msg += "; but for --replace, flags have one letter and one dash"
	}
	return nil, &Error{place: place{name: arg}, msg: msg, Usage: true}
}

// flag acts on one flag and its argument.
func (p *parser) flag(f *flag, v string) error {
	p.place = place{name: "-" + string(f.letter), value: v}
	err := checkText(v)
	if err == nil {
		err = f.set(p, v)
	}
	switch err.(type) {
	case nil:
		p.given(v)
		return nil
	case *Error: // in the file that -f named
		return err
	}
	return &Error{place: p.place, msg: fmt.Sprintf("%v; allowed: %s", err, f.allowed), Usage: true}
}

// ignored warns about words that are no flags.
func (p *parser) ignored(words ...string) {
	for _, w := range words {
		p.place = place{name: "command line"}
		p.warn("%q is ignored; a config file is named with -f", shorten(w))
	}
}

func (p *parser) setIP(v string) (err error) {
	var a netip.Addr
	if a, err = parseIP(v); err == nil {
		p.ip = a
	}
	return err
}

func (p *parser) listenTCP(v string) error { return p.listenPort(TCP, v) }

func (p *parser) listenUDP(v string) error { return p.listenPort(UDP, v) }

// listenPort adds a listener on the address of the -i before it.
func (p *parser) listenPort(proto Proto, v string) error {
	port, err := parsePort(v)
	if err != nil {
		return err
	}
	return p.listen(Listen{Proto: proto, Addr: netip.AddrPortFrom(p.bindIP(), port)})
}

func (p *parser) setSync(v string) error {
	if _, err := parsePort(v); err != nil {
		return err
	}
	p.noSync()
	return nil
}

// noSync warns that opentracker's own ways to share announces are not here.
func (p *parser) noSync() {
	p.warn("has no effect: live and batch sync are replaced by cluster.url and the other cluster.* keys")
}
