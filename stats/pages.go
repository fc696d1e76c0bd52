package stats

import "strconv"

// The pages of a few lines. None ends in a line end unless its last line is
// one of many alike: there are parsers out there that count on it.

// AppendPeer appends the default page: peers, seeders, torrents.
func AppendPeer(dst []byte, s *Snapshot) []byte {
	return appendServing(dst, s.Peers, s.Seeders, s)
}

// AppendTorr appends the page of torrents.
func AppendTorr(dst []byte, s *Snapshot) []byte {
	return appendServing(dst, s.Torrents, 0, s)
}

func appendServing(dst []byte, first, second uint64, s *Snapshot) []byte {
	dst = appendLine(dst, first)
	dst = appendLine(dst, second)
	dst = append(dst, "opentracker serving "...)
	dst = strconv.AppendUint(dst, s.Torrents, 10)
	return append(dst, " torrents\nopentracker"...)
}

// AppendConn appends the page of connections and datagrams, and how many of
// them were of use.
func AppendConn(dst []byte, s *Snapshot) []byte {
	dst = s.appendTop(dst, s.connections(), s.successes())
	return s.appendRates(dst, "opentracker connections, ", s.connections(), s.successes())
}

// AppendTCP4 appends the page of TCP, of both families despite its name.
func AppendTCP4(dst []byte, s *Snapshot) []byte {
	accepts, announces := s.Totals.Sum(TCPAccepts), s.Totals.Sum(HTTPAnnounces)
	dst = s.appendTop(dst, accepts, announces)
	return s.appendRates(dst, "opentracker tcp4 stats, ", accepts, announces)
}

// AppendUDP4 appends the page of UDP, of both families despite its name.
func AppendUDP4(dst []byte, s *Snapshot) []byte {
	packets, successes := s.Totals.Sum(UDPPackets), s.udpSuccesses()
	dst = s.appendTop(dst, packets, successes)
	return s.appendRates(dst, "opentracker udp4 stats, ", packets, successes)
}

// AppendSyncs appends the page of announces learnt from other trackers, whose
// text is that of the page of connections.
func AppendSyncs(dst []byte, s *Snapshot) []byte {
	dst = s.appendTop(dst, s.Totals.Sum(SyncRecords), 0)
	return s.appendRates(dst, "opentracker connections, ", s.connections(), s.successes())
}

// AppendScrp appends the page of scrapes of named torrents.
func AppendScrp(dst []byte, s *Snapshot) []byte {
	tcp, udp := s.Totals.Sum(HTTPScrapes), s.Totals.Sum(UDPScrapes)
	dst = s.appendTop(dst, tcp, udp)
	dst = append(dst, "opentracker scrape stats, "...)
	dst = strconv.AppendUint(dst, s.perSecond(tcp+udp), 10)
	return append(dst, " scrape/s (tcp and udp)"...)
}

// AppendFscr appends the page of full scrapes: how many, and how many bytes.
func AppendFscr(dst []byte, s *Snapshot) []byte {
	scrapes, bytes := s.Totals.Sum(FullScrapes), s.Totals.Sum(FullScrapeBytes)
	dst = s.appendTop(dst, scrapes, bytes)
	dst = append(dst, "opentracker full scrape stats, "...)
	dst = strconv.AppendUint(dst, s.perSecond(scrapes), 10)
	dst = append(dst, " conns/s :: "...)
	dst = strconv.AppendUint(dst, s.perSecond(bytes), 10)
	return append(dst, " bytes/s."...)
}

// AppendCompleted appends the page of finished downloads.
func AppendCompleted(dst []byte, s *Snapshot) []byte {
	completed := s.Totals.Sum(Completed)
	dst = s.appendTop(dst, completed, 0)
	dst = append(dst, "opentracker, "...)
	dst = strconv.AppendUint(dst, s.perHour(completed), 10)
	return append(dst, " completed/h."...)
}

// AppendRenew appends 45 lines: announces of known peers by the minutes since
// they were last heard of.
func AppendRenew(dst []byte, s *Snapshot) []byte {
	for minute, n := range s.Renew {
		dst = appendPadded(dst, uint64(minute), 2)
		dst = append(dst, ' ')
		dst = appendLine(dst, n)
	}
	return dst
}

// AppendNumwants appends 201 lines: announces by how many peers they may be
// given.
func AppendNumwants(dst []byte, s *Snapshot) []byte {
	for numWant, n := range s.NumWant {
		dst = appendPadded(dst, uint64(numWant), 3)
		dst = append(dst, " => "...)
		dst = appendLine(dst, n)
	}
	return dst
}

// AppendHerr appends the page of HTTP answers other than 200.
func AppendHerr(dst []byte, s *Snapshot) []byte {
	for _, line := range [...]struct {
		label string
		n     uint64
	}{
		{"302 RED ", s.Totals.Sum(HTTPRedirects)},
		{"400 ... ", s.Totals.Sum(HTTPParseErrors)},
		{"400 PAR ", s.Totals.Sum(HTTPInvalid)},
		{"400 COM ", s.Totals.Sum(HTTPCompact)},
		{"403 IP  ", s.Totals.Sum(HTTPDenied)},
		{"404 INV ", s.Totals.Sum(HTTPNotFound)},
		{"500 SRV ", s.serverErrors()},
	} {
		dst = append(dst, line.label...)
		dst = appendLine(dst, line.n)
	}
	return dst
}

// serverErrors returns how many answers were 500.
func (s *Snapshot) serverErrors() uint64 {
	return s.Totals.Sum(HTTPTooLong) + s.Totals.Sum(HTTPSwitchedOff) + s.Totals.Sum(HTTPBusy)
}

// AppendVersion appends the page that says which program this is.
func AppendVersion(dst []byte, s *Snapshot) []byte {
	dst = append(dst, s.Version...)
	return append(dst, '\n')
}

// appendTop appends the first three lines of most pages.
func (s *Snapshot) appendTop(dst []byte, first, second uint64) []byte {
	dst = appendLine(dst, first)
	dst = appendLine(dst, second)
	dst = strconv.AppendUint(dst, s.UptimeSeconds, 10)
	dst = append(dst, " seconds ("...)
	dst = strconv.AppendUint(dst, s.hours(), 10)
	return append(dst, " hours)\n"...)
}

// appendRates appends the last line of a page of connections.
func (s *Snapshot) appendRates(dst []byte, label string, connections, successes uint64) []byte {
	dst = append(dst, label...)
	dst = strconv.AppendUint(dst, s.perSecond(connections), 10)
	dst = append(dst, " conns/s :: "...)
	dst = strconv.AppendUint(dst, s.perSecond(successes), 10)
	return append(dst, " success/s."...)
}

// appendLine appends n and a line end.
func appendLine(dst []byte, n uint64) []byte {
	return append(strconv.AppendUint(dst, n, 10), '\n')
}

// appendPadded appends n with zeros in front, to at least width digits.
func appendPadded(dst []byte, n uint64, width int) []byte {
	start := len(dst)
	dst = strconv.AppendUint(dst, n, 10)
	for len(dst)-start < width {
		dst = append(dst, 0)
		copy(dst[start+1:], dst[start:])
		dst[start] = '0'
	}
	return dst
}
