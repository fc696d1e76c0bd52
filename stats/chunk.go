package stats

import (
	"compress/gzip"
	"io"
	"strconv"
)

// An Encoding is how the body of a long answer goes out.
type Encoding uint8

// Encodings.
const (
	Plain Encoding = iota
	Gzip           // RFC 1952, if the client names gzip
)

// AppendTextHead appends the head of an answer with a body of that many bytes
// of text. The connection closes behind it.
func AppendTextHead(dst []byte, bodyLen int) []byte {
	dst = append(dst, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(bodyLen), 10)
	return append(dst, "\r\n\r\n"...)
}

// AppendListingHead appends the head of an answer whose body a [ChunkWriter]
// makes. As with opentracker, a client that speaks HTTP/1.0 gets the same.
func AppendListingHead(dst []byte, e Encoding) []byte {
	dst = append(dst, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"...)
	if e == Gzip {
		dst = append(dst, "Content-Encoding: gzip\r\n"...)
	}
	return append(dst, "Transfer-Encoding: chunked\r\n\r\n"...)
}

// MaxChunk is the most bytes of one chunk. opentracker's have up to 1 MiB, which
// is much on a router, and what a slow client has not read waits in memory.
const MaxChunk = 32 << 10

// gzipLevel is how hard gzip tries. Infohashes are random, so there is little to
// win after the first. Of 50,000 torrents, bencoded:
//
//	level         -2      1      2      6      7
//	size         73 %   38 %   37 %   34 %   34 %
//	µs/torrent   0.4    0.9    0.7    3.7    6.3
//	memory, KB   738   1207    814    814    814
const gzipLevel = 2

// Around the data of a chunk stand its length in hex and the line ends.
const (
	chunkHead = len("8000\r\n")
	chunkTail = len("\r\n" + endChunk)
	endChunk  = "0\r\n\r\n"
)

// The build fails here if the length of a chunk needs another number of digits.
var _ = [1]struct{}{}[MaxChunk>>15-1]

// A ChunkWriter makes the body of a long answer: a listing, in chunks (RFC 9112,
// 7.1), compressed or not. Each chunk is one Write of the writer below, which
// may block for as long as the client needs; what it has returned from is not
// needed any more.
//
// The first error of the writer below is the answer to all further calls, so
// that whoever walks over torrents can stop. A ChunkWriter belongs to one
// goroutine. It takes 32 KB, and once it has compressed, 814 KB more; Reset keeps
// both for the next answer.
type ChunkWriter struct {
	to    io.Writer
	gzip  *gzip.Writer // nil until needed
	zip   bool         // what is written goes through gzip
	entry [maxEntry]byte
	buf   []byte // chunkHead bytes of room, then data
	err   error
}

// NewChunkWriter returns a ChunkWriter that waits for Reset.
func NewChunkWriter() *ChunkWriter {
	return &ChunkWriter{buf: make([]byte, chunkHead, chunkHead+MaxChunk+chunkTail)}
}

// Reset begins the body of another answer. What of the last was not closed is
// lost. The head is the caller's to write, see [AppendListingHead]. Reset(nil,
// Plain) lets go of the writer below.
func (c *ChunkWriter) Reset(w io.Writer, e Encoding) {
	c.to, c.err, c.zip = w, nil, e == Gzip
	c.buf = c.buf[:chunkHead]
	if !c.zip {
		return
	}
	if c.gzip == nil {
		c.gzip, _ = gzip.NewWriterLevel(nil, gzipLevel) // the level exists
	}
	c.gzip.Reset((*chunks)(c))
}

// WriteHead writes what stands before the first torrent.
func (c *ChunkWriter) WriteHead(f Format) error {
	_, err := c.Write(f.AppendHead(c.entry[:0]))
	return err
}

// WriteTorrent writes t.
func (c *ChunkWriter) WriteTorrent(f Format, t *Torrent) error {
	_, err := c.Write(f.AppendTorrent(c.entry[:0], t))
	return err
}

// Close writes what stands behind the last torrent, and ends the body. It does
// not close the writer below.
func (c *ChunkWriter) Close(f Format) error {
	_, _ = c.Write(f.AppendTail(c.entry[:0]))
	if c.zip && c.err == nil {
		c.err = c.gzip.Close()
	}
	c.flush(endChunk)
	return c.err
}

// Write writes a part of the body, of any length.
func (c *ChunkWriter) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if c.zip {
		n, err := c.gzip.Write(p)
		return n, err
	}
	return (*chunks)(c).Write(p)
}

// chunks are the lower half of a ChunkWriter, below compression.
type chunks ChunkWriter

// Write implements [io.Writer] for gzip.
func (k *chunks) Write(p []byte) (int, error) {
	c, n := (*ChunkWriter)(k), 0
	for n < len(p) && c.err == nil {
		room := chunkHead + MaxChunk - len(c.buf)
		if room == 0 {
			c.flush("")
			continue
		}
		part := p[n:min(len(p), n+room)]
		c.buf = append(c.buf, part...)
		n += len(part)
	}
	return n, c.err
}

// flush writes what is held as a chunk, if anything is, and end behind it, with
// one Write.
func (c *ChunkWriter) flush(end string) {
	if c.err != nil {
		return
	}
	out := c.buf[chunkHead:]
	if n := len(out); n > 0 {
		// The length stands right before the data, however many digits it has.
		var digits [chunkHead]byte
		head := append(strconv.AppendInt(digits[:0], int64(n), 16), "\r\n"...)
		copy(c.buf[chunkHead-len(head):], head)
		out = append(c.buf, "\r\n"...)[chunkHead-len(head):]
	}
	out = append(out, end...)
	if len(out) > 0 {
		_, c.err = c.to.Write(out)
	}
	c.buf = c.buf[:chunkHead]
}
