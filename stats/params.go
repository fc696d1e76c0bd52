package stats

// maxWord is the longest name or value that means anything, in bytes, and one
// more: a longer one is cut and so cannot be taken for one of them.
const maxWord = len("woodpeckers") + 1

// params reads a query once, from left to right. Which bytes may stand where
// is opentracker's rule, the same as for announces.
type params struct {
	b    []byte
	i    int
	bad  bool // the query is invalid; what was read is of no use
	word [maxWord]byte
}

// more reports whether there is another parameter. i is at its name.
func (p *params) more() bool { return !p.bad && p.i < len(p.b) && !endsQuery(p.b[p.i]) }

// name reads a name, decoded, and the equals sign behind it.
func (p *params) name() []byte {
	name := p.read(inName)
	if p.i < len(p.b) && p.b[p.i] == '=' {
		p.i++
		return name
	}
	// A name without a value: step onto the &, where value finds nothing.
	p.bad = p.bad || !p.ended()
	return name
}

// value reads a value, decoded, and steps behind it.
func (p *params) value() []byte {
	value := p.read(inValue)
	p.bad = p.bad || !p.ended()
	p.step()
	return value
}

// skip passes over a value that nobody reads. Escapes in it are not looked at,
// and a byte that may stand nowhere ends it, like "&".
func (p *params) skip() {
	for p.i < len(p.b) && inValue(p.b[p.i]) {
		p.i++
	}
	if p.i < len(p.b) && neverLegal(p.b[p.i]) {
		p.bad = true
	}
	p.step()
}

// step steps behind the byte that ended a value, unless it ended the query.
func (p *params) step() {
	if p.more() {
		p.i++
	}
}

// ended reports whether a parameter ends here.
func (p *params) ended() bool {
	return p.i >= len(p.b) || p.b[p.i] == '&' || endsQuery(p.b[p.i])
}

// read decodes the bytes that are legal here. What does not fit is dropped.
func (p *params) read(legal func(byte) bool) []byte {
	n := 0
	for p.i < len(p.b) && legal(p.b[p.i]) {
		c := p.b[p.i]
		p.i++
		if c == '%' {
			if p.i+2 > len(p.b) {
				p.bad = true
				return nil
			}
			high, low := unhex(p.b[p.i]), unhex(p.b[p.i+1])
			if high|low > 0xf {
				p.bad = true
				return nil
			}
			c = high<<4 | low
			p.i += 2
		}
		if n < len(p.word) {
			p.word[n] = c
			n++
		}
	}
	return p.word[:n]
}

// endsQuery reports whether c ends a query.
func endsQuery(c byte) bool { return c == ' ' || c == '\r' || c == '\n' || c == 0 }

// inName reports whether c may stand in a name.
func inName(c byte) bool {
	switch {
	case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '\'' && c <= ';': // ' ( ) * + , - . / 0-9 : ;
		return true
	}
	switch c {
	case '!', '%', '<', '>', '_', '~', '?':
		return true
	}
	return false
}

// inValue reports whether c may stand in a value.
func inValue(c byte) bool { return inName(c) || c == '=' || c == '@' }

// neverLegal reports whether c makes a query invalid even in a value that
// nobody reads.
func neverLegal(c byte) bool {
	switch c {
	case '"', '#', '$', '[', '\\', ']', '^', '`', '{', '|', '}':
		return true
	}
	return false
}

// unhex returns the value of a hexadecimal digit of either case, or more than
// 15 for what is none.
func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}
