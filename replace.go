package main

import (
	"time"
)

// A tracker that is started with --replace takes the place of one that runs,
// and no request is lost: what arrives waits in sockets that both of them hold.
//
//	          the one that runs                  the one that is started
//	            (a giver)                              (an heir)
//	start     makes a socket, gives up root      reads its configuration
//	                                    ◄ hello  connects
//	          welcome, sockets ►                 binds what is new, gives up root,
//	                                             reads lists, enters its sandbox
//	                                    ◄ ready
//	pause     stops reading, and answers
//	          what it has read
//	          state, connections, end ►          makes them its own
//	                                    ◄ taken
//	          go ►                               serves
//	          ends
//
// Until go, the giver can go on as if nothing had been: it does so when the heir
// fails, hangs up, or takes too long. The heir serves nothing before go, unless
// the giver is no more: that it can tell from the end of the connection, since
// a giver that goes on says no, and ends the connection only when that has been
// sent. Both at once would write to the same memory. So it is the giver who
// decides when it has taken too long, and the heir waits for longer.
//
// A giver that comes to an end before it has given everything, because it is
// told to or by force, leaves an heir that is ready with the sockets, and with
// what the state file has.
//
// The giver runs no program: it is in a sandbox. So the heir is started from
// outside, with the rights to bind ports and to read files, and by whom may do
// that: root, or the user that started the giver. The socket has to be made
// before root is given up, and is handed on with all others.
//
// Statistics begin anew, as after any start.

// Kinds of messages. They are never changed; see [handoverVersion].
const (
	msgHello    = 1  // version 4, layout of memory 8
	msgNo       = 2  // why not, a sentence
	msgWelcome  = 3  // version 4, process 4, bytes of the store 8; the socket, and the store's memory if it can be shared
	msgSockets  = 4  // sockets that are listened on
	msgPrepared = 5  // that were all
	msgReady    = 6  //
	msgHeritage = 7  // see appendHeritage
	msgConns    = 8  // see appendConns; their sockets
	msgMemory   = 9  // a part of where things are in the store's memory
	msgSnapshot = 10 // a part of a snapshot
	msgEnd      = 11 //
	msgTaken    = 12 //
	msgGo       = 13 //
)

// handoverVersion is that of the messages. An heir and a giver of different
// versions leave everything as it is.
const handoverVersion = 2

// Limits of what one side waits for.
var (
	// helloLimit is for an heir to say what it wants, and to be told what there
	// is.
	helloLimit = 10 * time.Second
	// readyLimit is for an heir to get ready; lists of a million torrents take a
	// second. Until then everything is as ever.
	readyLimit = 2 * time.Minute
	// takeLimit is for an heir to take what there is. Meanwhile nobody serves. The
	// heir waits twice as long.
	takeLimit = 5 * time.Second
	// deskLimit is for long answers to be finished before that.
	deskLimit = 5 * time.Second
	// pauseLimit is for a giver to come so far, with a snapshot that a slow disk
	// has to store or the last one of all.
	pauseLimit = 30 * time.Second
	// refusalLimit is for an heir to hear that it is not to serve, before something
	// is said about it.
	refusalLimit = time.Second
)

// shareMemory says that the memory of stores may be gone on with.
var shareMemory = true
