package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// parser is a configuration in the making.
type parser struct {
	cfg   Config
	read  func(name string) ([]byte, error)
	place place // of the line or flag being read

	ip      netip.Addr     // the last -i; invalid: none
	blessed []netip.Prefix // -A; merged by finish, wherever the flag stood

	proxyAt place // the first listen.tcp_proxy
	apartAt place // the last metrics.listen
	fifoAt  place // the first access.fifo_add or access.fifo_delete
	realAt  place // the last access.real_ip
	stateAt place // the last state.interval
	lanAt   place // the last lan.network

	clusterAt place // the last of cluster.* that does nothing by itself
	tlsAt     place // the last of cluster.tls.*
}

// warn adds a warning about the line or flag being read.
func (p *parser) warn(format string, args ...any) {
	p.cfg.Warnings = append(p.cfg.Warnings, p.place.String()+": "+fmt.Sprintf(format, args...))
}

// given remembers where the setting was given that has just been stored.
func (p *parser) given(value string) {
	p.place.value = value
	p.cfg.given = append(p.cfg.given, p.place)
}

// finish does what cannot be done before everything is read.
func (p *parser) finish() error {
	c := &p.cfg
	if err := p.listenAnyway(); err != nil {
		return err
	}
	// An address blessed by -A alone restricts the statistics as well: who
	// names an administrator does not mean everyone.
	c.Stats = appendNets(c.Stats, p.blessed)
	c.Proxies = appendNets(c.Proxies, p.blessed)

	if p.proxyAt.set() && len(c.Proxies) == 0 {
		return &Error{place: p.proxyAt, msg: "nobody may use this listener, because a PROXY header is only believed from" +
			" the networks of access.proxy; name your proxy there, like access.proxy 127.0.0.1"}
	}
	if p.fifoAt.set() && len(c.Whitelist)+len(c.Blacklist) == 0 {
		return &Error{place: p.fifoAt, msg: "there is no list to change; add a line access.whitelist FILE" +
			" or access.blacklist FILE"}
	}
	if c.RealIP && len(c.Proxies) == 0 {
		p.place = p.realAt
		p.warn("has no effect without access.proxy, which says whose header is believed")
	}
	if c.StateInterval > 0 && c.StateFile == "" {
		p.place = p.stateAt
		p.warn("has no effect without state.file, which says where to write")
	}
	if p.lanAt.set() && len(c.LANExternal) == 0 {
		p.place = p.lanAt
		p.warn("without lan.external, peers there are not handed out to anybody else")
	}
	return p.finishCluster()
}

// bindIP returns the address that -i selected, or the one that means any.
func (p *parser) bindIP() netip.Addr {
	if p.ip.IsValid() {
		return p.ip
	}
	return netip.IPv6Unspecified()
}

// listenAnyway adds the default listeners if none for clients is named, and
// puts those for metrics behind the others.
func (p *parser) listenAnyway() error {
	c := &p.cfg
	if !slices.ContainsFunc(c.Listen, func(l Listen) bool { return !l.Metrics }) {
		addr := netip.AddrPortFrom(p.bindIP(), DefaultPort)
		c.unnamed = !p.ip.IsValid()
		for _, proto := range []Proto{TCP, UDP} {
			if err := p.listen(Listen{Proto: proto, Addr: addr}); err != nil {
				return &Error{place: p.apartAt, msg: err.Error()}
			}
		}
	}
	var ordered []Listen
	for _, metrics := range []bool{false, true} {
		for _, l := range c.Listen {
			if l.Metrics == metrics {
				ordered = append(ordered, l)
			}
		}
	}
	c.Listen = ordered
	return nil
}

// listen adds a listener unless it is already there: bound twice, a port
// would only split its traffic. Port 0 is another port each time.
func (p *parser) listen(add Listen) error {
	for _, l := range p.cfg.Listen {
		switch {
		case l.Proto != add.Proto || l.Addr != add.Addr || add.Addr.Port() == 0:
			continue
		case l.Metrics != add.Metrics:
			return fmt.Errorf("%s is asked for metrics alone and for clients; use two ports", add.Addr)
		case l.Proxy != add.Proxy:
			return fmt.Errorf("%s is asked for with PROXY protocol and without; use two ports", add.Addr)
		}
		return nil
	}
	most := MaxListen
	if add.Metrics {
		most -= 2 // there are two for clients in any case
	}
	if len(p.cfg.Listen) >= most {
		return fmt.Errorf("more than %d listeners", most)
	}
	p.cfg.Listen = append(p.cfg.Listen, add)
	return nil
}

// source adds a file or folder to an access list, once.
func source(list *[]string, path string) error {
	if slices.Contains(*list, path) {
		return nil
	}
	if len(*list) == MaxSources {
		return fmt.Errorf("more than %d files and folders", MaxSources)
	}
	*list = append(*list, path)
	return nil
}

// nets adds the network v to list, once.
func nets(list *[]netip.Prefix, v string) error {
	add, err := parseNet(v)
	if err != nil {
		return err
	}
	if *list = appendNets(*list, add); len(*list) > MaxNets {
		return fmt.Errorf("more than %d networks", MaxNets)
	}
	return nil
}

// appendNets appends those of add that list does not hold.
func appendNets(list, add []netip.Prefix) []netip.Prefix {
	for _, n := range add {
		if !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	return list
}

// peerIDs adds the beginning of a peer id to list, once.
func peerIDs(list *[]string, v string) error {
	if err := word(v); err != nil {
		return err
	}
	switch {
	case len(v) > MaxPeerID:
		return fmt.Errorf("a peer id has %d bytes", MaxPeerID)
	case strings.IndexFunc(v, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0:
		return errors.New("a character in it is not printable ASCII")
	case slices.Contains(*list, v):
		return nil
	case len(*list) == MaxClients:
		return fmt.Errorf("more than %d of them", MaxClients)
	}
	*list = append(*list, v)
	return nil
}

// number returns v if it is a plain decimal from low to high.
func number(v string, low, high int) (int, error) {
	n := int64(0) // an int of 32 bits would overflow before it is above high
	for _, c := range []byte(v) {
		if c < '0' || c > '9' {
			return 0, errors.New("not a whole number")
		}
		if n = n*10 + int64(c-'0'); n > int64(high) {
			return 0, fmt.Errorf("above %d", high)
		}
	}
	if v == "" {
		return 0, errors.New("not a whole number")
	}
	if n < int64(low) {
		return 0, fmt.Errorf("below %d", low)
	}
	return int(n), nil
}

// memory returns a number of bytes, 0 for off, or MemoryAuto.
func memory(v string) (int64, error) {
	switch v {
	case "auto":
		return MemoryAuto, nil
	case "off", "0":
		return 0, nil
	case "":
		return 0, errors.New("not a size")
	}
	digits, shift := v, 0
	if at := strings.IndexByte("kmgt", v[len(v)-1]|' '); at >= 0 {
		digits, shift = v[:len(v)-1], 10*(at+1)
	}
	n := int64(0)
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return 0, errors.New("not a size")
		}
		if n = n*10 + int64(c-'0'); n > MaxMemory>>shift {
			return 0, errors.New("above 64t")
		}
	}
	if digits == "" {
		return 0, errors.New("not a size")
	}
	if n <<= shift; n < MinMemory {
		return 0, errors.New("below 8m")
	}
	return n, nil
}

// onOff returns whether v is "on".
func onOff(v string) (bool, error) {
	if v != "on" && v != "off" {
		return false, errors.New("neither on nor off")
	}
	return v == "on", nil
}

// checkText refuses what no value may hold: nothing, too much, and control
// characters, which no path or URL has and which would garble logs and headers.
func checkText(v string) error {
	if v == "" {
		return errors.New("the value is missing")
	}
	if len(v) > maxValueBytes {
		return fmt.Errorf("the value has %d bytes, at most %d are allowed", len(v), maxValueBytes)
	}
	if i := strings.IndexFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }); i >= 0 {
		return fmt.Errorf("the value has a control character (0x%02x) in it", v[i])
	}
	return nil
}

// maxValueBytes bounds the argument of a flag: the longest path Linux takes.
// A value in a file is bounded by its line.
const maxValueBytes = 4096

// word refuses blanks in names and URLs.
func word(v string) error {
	if strings.ContainsAny(v, " \t") {
		return errors.New("blanks are not allowed in it, and no comment may follow a value")
	}
	return nil
}

// setUser stores whom to become.
func (p *parser) setUser(v string) error {
	if err := word(v); err != nil {
		return err
	}
	if strings.ContainsAny(v, ":/") {
		return errors.New("no user name has : or / in it")
	}
	p.cfg.User = v
	return nil
}

// setRedirect stores where GET / is sent. The URL goes into a header as it is.
func (p *parser) setRedirect(v string) error {
	if err := word(v); err != nil {
		return err
	}
	if i := strings.IndexFunc(v, func(r rune) bool { return r > '~' }); i >= 0 {
		return errors.New("a URL is plain ASCII; write other letters as %XX")
	}
	if !strings.HasPrefix(v, "http://") && !strings.HasPrefix(v, "https://") && v[0] != '/' {
		return errors.New("a URL begins with http:// or https://, or with a slash for this host")
	}
	p.cfg.RedirectURL = v
	return nil
}

// setStatsPath stores the path of the statistics. It has to be one that
// reaches them: by the first letters, announce and scrape come before it, and
// there are paths that nobody can choose.
func (p *parser) setStatsPath(v string) error {
	if err := word(v); err != nil {
		return err
	}
	v = strings.TrimLeft(v, "/")
	switch {
	case v == "":
		return errors.New("there is nothing after the slash")
	case v[0] == 'a':
		return errors.New("every path that begins with a is an announce")
	case strings.HasPrefix(v, "sc"):
		return errors.New("every path that begins with sc is a scrape")
	case v == "healthz" || strings.HasPrefix(v, "debug/pprof/"):
		return errors.New("something else is there")
	case strings.IndexFunc(v, func(r rune) bool { return !pathRune(r) }) >= 0:
		return errors.New("a character in it is not allowed")
	}
	p.cfg.StatsPath = v
	return nil
}

// pathRune reports whether r may stand unescaped in the path of a request.
func pathRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!'()*+,-./:;<>_~", r)
}
