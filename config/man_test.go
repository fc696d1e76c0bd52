package config

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The manual pages of the packages, in mdoc(7), are made of the tables of flags
// and keys: go test ./config -update, or make man. What no table has is written
// here.

// manDate is when the text below or the tables changed last. It is not that of
// the build, or two builds would differ.
const manDate = "November 23, 2026"

const programHead = `.Dd ` + manDate + `
.Dt BTTRACKER 8
.Os
.Sh NAME
.Nm bttracker
.Nd BitTorrent tracker over HTTP and UDP
.Sh SYNOPSIS
.Nm
`

const programText = `.Nm
.Cm hash
.Ar file ...
.Sh DESCRIPTION
.Nm
tells the clients of a torrent about one another, over HTTP and UDP, IPv4 and
IPv6.
Without flags it listens on port 6969 of every address, TCP and UDP, and serves
every torrent.
.Pp
Started as root it binds its addresses, locks itself into a directory and
becomes another user.
Whoever started it, on Linux it then gives up every system call that a tracker
does not need.
It stays in the foreground and writes a line to standard error for each event
that matters, none for requests.
.Pp
Flags act from left to right;
.Fl i
is for the
.Fl p
and
.Fl P
to its right.
If neither flags nor config files name a port, TCP and UDP 6969 are opened on
the last
.Fl i ,
or on every address.
A port that is named is the only one:
.Fl p
80 alone means no UDP.
.Bl -tag -width Ds
`

const programRest = `.El
.Pp
The command
.Cm hash
prints the line for a whitelist of each
.Pa .torrent
file or magnet link.
.Sh SIGNALS
.Bl -tag -width Ds
.It Dv SIGINT , Dv SIGTERM
Answer what is in hand, write a snapshot, and end.
.It Dv SIGHUP
Read the lists again.
They are read again by themselves when they change, too.
.It Dv SIGUSR1
Log one line that sums up what there is.
.It Dv SIGUSR2
Write a snapshot, and log one line about it.
.El
.Sh ENVIRONMENT
.Bl -tag -width Ds
.It Ev LISTEN_FDS , Ev LISTEN_PID
Sockets that a service manager has opened are used for the addresses they have.
If no address is configured, they are all that is listened on.
.It Ev NOTIFY_SOCKET , Ev WATCHDOG_USEC
A service manager is told when the tracker serves, reads its lists again, hands
over to another process, and ends; what there is; and that it is alive, for as
long as its clock goes and none of its reactors leaves unread what has arrived.
Not in builds for routers.
.It Ev XDG_RUNTIME_DIR
Where the socket for
.Fl -replace
is, unless root starts the tracker.
.El
.Sh FILES
.Bl -tag -width Ds
.It Pa /etc/bttracker/bttracker.conf
The config file of the packages; see
.Xr bttracker.conf 5 .
.It Pa /var/lib/bttracker
Lists and the state file, in the packages.
.El
.Sh EXIT STATUS
.Bl -tag -width Ds
.It 0
Ended as asked.
.It 1
There is a mistake in flags or config file.
.It 111
An address or a right cannot be had, or root cannot be given up.
.El
.Sh EXAMPLES
Check a configuration, then run it:
.Bd -literal -offset indent
bttracker -t -f /etc/bttracker/bttracker.conf
bttracker -f /etc/bttracker/bttracker.conf
.Ed
.Pp
Allow a torrent:
.Bd -literal -offset indent
bttracker hash x.torrent >>/var/lib/bttracker/whitelist
.Ed
.Sh SEE ALSO
.Xr bttracker.conf 5
`

const fileHead = `.Dd ` + manDate + `
.Dt BTTRACKER.CONF 5
.Os
.Sh NAME
.Nm bttracker.conf
.Nd config file of the BitTorrent tracker
.Sh DESCRIPTION
Each line is a key, white space and a value.
Empty lines and lines that begin with # are comments; a comment behind a value
is not possible.
The file is read when the flag
.Fl f
of
.Xr bttracker 8
is reached.
An unknown key or a value that is not allowed stops the start;
.Nm bttracker
.Fl t f Ar file
checks it before.
`

const fileRest = `.Sh EXAMPLES
Serve what is in a list, and keep peers over a restart:
.Bd -literal -offset indent
listen.tcp_udp [::]:6969
access.whitelist /var/lib/bttracker/whitelist
access.stats 127.0.0.1
state.file /var/lib/bttracker/state
.Ed
.Sh SEE ALSO
.Xr bttracker 8
`

// programPage returns bttracker(8).
func programPage() string {
	var b strings.Builder
	b.WriteString(programHead)
	for _, f := range flags {
		b.WriteString(".Op " + f.macro() + "\n")
	}
	b.WriteString(programText)
	for _, f := range flags {
		b.WriteString(".It " + f.macro() + "\n")
		doc := strings.ToUpper(f.doc[:1]) + f.doc[1:] + "."
		if f.def != "" {
			doc += " Default: " + f.def + "."
		}
		roff(&b, doc)
	}
	b.WriteString(programRest)
	return b.String()
}

// filePage returns bttracker.conf(5).
func filePage() string {
	var b strings.Builder
	b.WriteString(fileHead)
	last, lastDoc := "", ""
	for _, k := range slices.Concat(keys[:]...) {
		if section, _, _ := strings.Cut(k.name, "."); section != last {
			if last != "" {
				b.WriteString(".El\n")
			}
			b.WriteString(".Ss " + sections[section] + "\n.Bl -tag -width Ds\n")
			last = section
		}
		b.WriteString(".It Ic " + k.name + " Ar " + k.arg + "\n")
		if k.doc == lastDoc {
			roff(&b, "The same.")
		} else {
			roff(&b, k.doc)
		}
		lastDoc = k.doc
		roff(&b, "Default: "+strings.TrimSpace(k.def+" "+k.unit)+".")
		roff(&b, "Allowed: "+k.allowed+".")
	}
	b.WriteString(".El\n" + fileRest)
	return b.String()
}

// macro returns the flag with its argument in mdoc(7).
func (f *flag) macro() string {
	s := "Fl " + strings.TrimPrefix(f.form(), "-")
	if f.arg != "" {
		s = "Fl " + string(f.letter) + " Ar " + f.arg
	}
	return s
}

var sentenceEnd = regexp.MustCompile(`([^ ])\. `)

// roff writes s, each sentence from a line of its own on, in lines of at most 80
// columns.
func roff(b *strings.Builder, s string) {
	const width = 80
	s = strings.ReplaceAll(strings.Join(strings.Fields(s), " "), `\`, `\e`)
	for sentence := range strings.SplitSeq(sentenceEnd.ReplaceAllString(s, "$1.\n"), "\n") {
		column := 0
		for word := range strings.FieldsSeq(sentence) {
			switch {
			case column+1+len(word) > width:
				b.WriteByte('\n')
				column = 0
			case column > 0:
				b.WriteByte(' ')
				column++
			}
			if column == 0 && (word[0] == '.' || word[0] == '\'') {
				word = `\&` + word
			}
			b.WriteString(word)
			column += len(word)
		}
		b.WriteByte('\n')
	}
}

// TestManuals checks that the manual pages are what the tables give, and that
// no text is taken for a request to the formatter.
func TestManuals(t *testing.T) {
	golden(t, "../packaging/man/bttracker.8", programPage())
	golden(t, "../packaging/man/bttracker.conf.5", filePage())

	var b strings.Builder
	roff(&b, ".so  /etc/passwd. 'tis a \\ so: . as root. "+strings.Repeat("x", 78)+" .x")
	if got, want := b.String(), "\\&.so /etc/passwd.\n\\&'tis a \\e so: . as root.\n"+strings.Repeat("x", 78)+"\n\\&.x\n"; got != want {
		t.Errorf("roff writes %q, want %q", got, want)
	}
}

// TestOptions writes which keys OpenWrt has options for, all but those without
// effect, and checks that no two have the same.
func TestOptions(t *testing.T) {
	var b strings.Builder
	options := map[string]string{}
	for _, k := range slices.Concat(keys[:]...) {
		if k.doc == docSync {
			continue
		}
		option := strings.ReplaceAll(k.name, ".", "_")
		if other := options[option]; other != "" {
			t.Errorf("%s and %s have the same option %s", other, k.name, option)
		}
		options[option] = k.name
		b.WriteString(k.name + "\n")
	}
	golden(t, "../packaging/openwrt/files/bttracker.keys", b.String())
}

// TestSections checks that every key stands under a title.
func TestSections(t *testing.T) {
	for _, k := range slices.Concat(keys[:]...) {
		if section, _, _ := strings.Cut(k.name, "."); sections[section] == "" {
			t.Errorf("%s has no title in sections", k.name)
		}
	}
}
