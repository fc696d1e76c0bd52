// Package handover carries what one process gives to another over a Unix
// socket: messages, and with them open descriptors.
//
// # Who may come
//
// The socket is a file that only its owner may connect to, and each side asks
// the system who is on the other: it has to be root, or who owns the socket.
// What the file system says is not relied on alone, because some systems do not
// look at the mode of a socket, and because a directory may be anybody's.
//
//	              the tracker that runs             the one that is started
//	Listen  ─►    before root is given up
//	Accept  ─►    a Peer, or it is sent away        Dial ─► a Peer, or an error
//	              Send, Receive                     Receive, Send
//
// # Messages
//
// A message is a kind, up to [MaxMessage] bytes, and up to [MaxFiles]
// descriptors. All numbers are little-endian:
//
//	0  length of the message  4
//	4  kind                   4
//	8  the message
//
// The descriptors travel with the first of those bytes, so it is known to which
// message they belong. Whoever receives them owns them.
//
// # What it never does
//
// It waits for nobody longer than it is told. It removes no file that somebody
// listens behind.
package handover

import (
	"encoding/binary"
	"errors"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of a message. The system takes at most 253 descriptors at once.
const (
	MaxMessage = 1 << 20
	MaxFiles   = 200

	headLen = 8
)

// Errors of Listen, Dial and Receive.
var (
	// ErrTaken says that somebody listens at the path.
	ErrTaken = errors.New("another tracker has it")
	// ErrNobody says that nobody listens at the path.
	ErrNobody = errors.New("no tracker listens there")
	// ErrStranger says that the other side is neither root nor the owner.
	ErrStranger = errors.New("it belongs to another user")
	// ErrMessage says that no message begins like what came.
	ErrMessage = errors.New("that is not how a tracker speaks")
	// ErrFiles says that the system did not give us all descriptors that came.
	ErrFiles = errors.New("not every descriptor arrived: the limit on open files has no room for them")

	errNoSocket = errors.New("there is something that is no socket")
)

// A Peer is the process on the other side. Send and Receive may be called by
// one goroutine each.
type Peer struct {
	conn stream
	head [headLen]byte
	in   []byte
	rest []byte // of a message that was begun to be sent
}

// A Message is what arrived. Body is valid until the next Receive.
type Message struct {
	Kind  uint32
	Body  []byte
	Files []int
}

// Limit bounds how long all that is sent and received from now on may take. 0 is
// no bound.
func (p *Peer) Limit(d time.Duration) error {
	var end time.Time
	if d > 0 {
		end = time.Now().Add(d)
	}
	return p.conn.file.SetDeadline(end)
}

// Shut has all that the other side sends from now on fail there. What it has
// sent before can still be received, where the system is Linux, and then
// [io.EOF] follows.
func (p *Peer) Shut() (err error) {
	if e := p.conn.control(func(fd int) { err = unix.Shutdown(fd, unix.SHUT_RD) }); e != nil {
		return e
	}
	return err
}

// Close ends it.
func (p *Peer) Close() { _ = p.conn.file.Close() }

// Send sends a message. The descriptors stay the caller's. After an error that
// says that the limit was over, another may be sent: the other side sees the
// first one whole or not at all.
func (p *Peer) Send(kind uint32, body []byte, files ...int) error {
	if err := p.finish(p.rest); err != nil {
		return err
	}
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, headLen+len(body)), uint32(len(body)))
	b = append(binary.LittleEndian.AppendUint32(b, kind), body...)
	var rights []byte
	if len(files) > 0 {
		rights = unix.UnixRights(files...)
	}
	n, err := p.conn.write(b, rights)
	if n == 0 || err != nil {
		return err
	}
	return p.finish(b[n:])
}

// finish sends the rest of a message that has begun.
func (p *Peer) finish(rest []byte) error {
	for p.rest = rest; len(p.rest) > 0; {
		n, err := p.conn.write(p.rest, nil)
		if err != nil {
			return err
		}
		p.rest = p.rest[n:]
	}
	return nil
}

// Receive waits for a message.
func (p *Peer) Receive() (Message, error) {
	var m Message
	rights := make([]byte, unix.CmsgSpace(4*MaxFiles))
	for got := 0; got < headLen; {
		n, oobn, flags, err := p.conn.read(p.head[got:], rights)
		if oobn > 0 {
			files, bad := filesIn(rights[:oobn])
			m.Files = append(m.Files, files...)
			err = errors.Join(err, bad)
		}
		if err == nil && flags&unix.MSG_CTRUNC != 0 {
			err = ErrFiles // those that are missing are lost
		}
		if err == nil && n == 0 {
			err = io.EOF
		}
		if err != nil {
			m.CloseFiles()
			return Message{}, err
		}
		got += n
	}
	size := binary.LittleEndian.Uint32(p.head[:])
	m.Kind = binary.LittleEndian.Uint32(p.head[4:])
	if size > MaxMessage {
		m.CloseFiles()
		return Message{}, ErrMessage
	}
	if cap(p.in) < int(size) {
		p.in = make([]byte, size)
	}
	m.Body = p.in[:size]
	for got := 0; got < int(size); {
		n, _, _, err := p.conn.read(m.Body[got:], nil)
		if err == nil && n == 0 {
			err = io.EOF
		}
		if err != nil {
			m.CloseFiles()
			return Message{}, err
		}
		got += n
	}
	return m, nil
}

// filesIn returns the descriptors in a control message. Programs that we start,
// if any, do not get them.
func filesIn(rights []byte) (files []int, err error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // something else
		}
		files = append(files, fds...)
	}
	for _, fd := range files {
		unix.CloseOnExec(fd)
	}
	return files, nil
}

// CloseFiles closes the descriptors that came with m.
func (m *Message) CloseFiles() {
	for _, fd := range m.Files {
		unix.Close(fd)
	}
	m.Files = nil
}
