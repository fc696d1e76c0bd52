//go:build router && linux && !386 && !s390x

package loop

// hasGnet says that gnet is not part of this build. A router has our own
// transports and no room for others: gnet, with what it links, is a fifth of the
// program, on flash and in memory.
const hasGnet = false

func (s *Server) addGnetUDP(int, *listener, int) error { return errNoGnet }

func (s *Server) newGnetTCP(*tcpReactor) tcpTransport { panic(errNoGnet) }
