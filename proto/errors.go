package proto

import "errors"

// Noise: requests that are none. They are compared with == or errors.Is.
var (
	// ErrInvalid is a malformed HTTP request, to be answered with [HTTP400].
	ErrInvalid = errors.New("proto: invalid HTTP request")
	// ErrCompact is an announce of a client that takes no compact IPv6 peers,
	// to be answered with [HTTP400]: there is no other form with both families.
	ErrCompact = errors.New("proto: client takes no compact peers")
	// ErrNotFound is an HTTP request for a page that cannot exist, to be
	// answered with [HTTP404].
	ErrNotFound = errors.New("proto: no such page")
	// ErrShort is a datagram too short for its action, to be dropped.
	ErrShort = errors.New("proto: short packet")
)

// A Refusal is a well-formed request turned down. Its text goes to the client
// as the failure reason (BEP 3) or the error message (BEP 15). It is returned
// as an error without allocating; find it with a type assertion, which does
// not allocate either:
//
//	if r, ok := err.(proto.Refusal); ok { … }
type Refusal string

// Error implements error.
func (r Refusal) Error() string { return string(r) }

// Refusals a client may see. The first, the fourth and the fifth are the words
// of opentracker, spelling included, because scripts look for them.
const (
	RefuseNoInfohash Refusal = "Your client forgot to send your torrent's info_hash. Please upgrade your client."
	RefusePort       Refusal = "Your client did not send a port that other peers could connect to."
	RefuseLeft       Refusal = "Your client did not send a usable number of bytes left."
	RefuseUnlisted   Refusal = "Requested download is not authorized for use with this tracker."
	RefuseClient     Refusal = "This tracker does not serve your client. Please use another one."
	RefuseConnID     Refusal = "Connection ID missmatch."
	RefuseRate       Refusal = "Your address has sent far too many requests. Please wait."
)
