// Package e2e tests the whole program together with programs of other people.
//
// It holds tests only. They build ./tracker once, start it as a user would,
// and look at it from outside:
//
//   - replay_test.go asks it the questions whose answers by opentracker are
//     recorded in testdata/captures, and lists every difference with a reason.
//     Debian's opentracker is asked the same, which proves the questions.
//   - malformed_test.go puts every byte into every part of a request, and has
//     opentracker and ours agree on each.
//   - transfer_test.go moves a file from a seeding client to a downloading one
//     for transmission, aria2 and libtorrent, in network namespaces of its own.
//   - home_test.go moves files out of a home network behind NAT, into it and
//     within it, with the tracker inside.
//   - cluster_test.go and its neighbours have three trackers share what they know
//     by way of three nats-servers, kill and cut some of them, and move files
//     between clients that know different ones.
//   - proxies_test.go puts nginx and haproxy in front, and sees that the peers
//     get the client's address, and nobody else's by forging a header.
//   - prometheus_test.go has Prometheus read the metrics, and tell at what rate
//     requests come.
//   - readers_test.go reads the statistics as programs that are out there do.
//   - page_test.go opens the page of statistics in Chromium, reads it, and takes
//     the pictures that are in dist/screenshots then.
//   - guides_test.go follows the guides in packaging/guides, command by command,
//     on machines that have a systemd of their own.
//   - cpus_test.go runs released binaries under qemu, and has each CPU read what
//     another has written.
//   - badinput_test.go cuts, mangles and dawdles, descriptors_test.go floods,
//     and both see it go on serving.
//
// The tests need Linux. The transfers need root, for the namespaces, and the
// clients, the others nginx, haproxy, curl, nats-server, Prometheus and Chromium; what is
// missing is named, and is a failure: a test that skips is a test nobody
// misses. Nothing here imports a package of the tracker, so no mistake can
// cancel itself out.
package e2e
