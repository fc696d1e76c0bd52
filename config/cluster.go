//go:build !router

package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// hasCluster says that this build can share announces with other trackers.
const hasCluster = true

// Limits of what cluster.* takes.
const (
	// MaxBrokers is the most cluster.url.
	MaxBrokers = 16
	// MaxClusterName is the longest name or subject, in bytes: it is in every
	// greeting.
	MaxClusterName = 64
	// MinBatch and MaxBatch are for how long announces are gathered before they
	// are sent.
	MinBatch = 50 * time.Millisecond
	MaxBatch = 10 * time.Second
)

// clusterKeys are the keys of sharing announces.
var clusterKeys = []key{
	{
		name: "cluster.url", arg: "url", def: "none (this tracker is alone)", allowed: "nats://[USER[:PASSWORD]@]HOST[:PORT] or tls:// with the same",
		doc: "Share announces with other trackers by way of this NATS server, so that all of them know the same peers and a client may ask" +
			" any. Lines add up: others are tried when one fails. The port is 4222 if none is given. Names are looked up at the start, before" +
			" anything is given up. While no server can be reached, the tracker serves alone; what is missing then is exchanged afterwards." +
			" All trackers need clocks that are right within some seconds, and the same tracker.interval.",
		sample: "nats://192.0.2.1:4222", kind: kindName, set: (*parser).setBroker,
	},
	{
		name: "cluster.subject", arg: "name", def: "tracker", allowed: "letters, digits, - and _, in words with dots between, up to 64 bytes",
		doc:    "What the subjects begin with on which trackers speak to each other. Those that are to know the same peers need the same.",
		sample: "tracker", kind: kindName, set: (*parser).setSubject,
	},
	{
		name: "cluster.name", arg: "name", def: "none (the host's name, a colon and the port that is listened on first)", allowed: `1 to 64 printable ASCII characters but blanks, ", < and \`,
		doc:    "What this tracker is called in the statistics of the others. Each needs a name of its own.",
		sample: "tracker-1", kind: kindName, set: (*parser).setClusterName,
	},
	{
		name: "cluster.credentials", arg: "path", def: "none", allowed: allowedPath,
		doc: "A file of credentials (JWT and seed, as nsc writes it) to log in to the NATS servers with. It is read at the start, before" +
			" anything is given up.",
		sample: "/etc/bttracker/cluster.creds", kind: kindPath,
		set: func(p *parser, v string) error { p.clusterAt = p.place; p.cfg.ClusterCredentials = v; return nil },
	},
	{
		name: "cluster.tls.ca", arg: "path", def: "none (the authorities that the system trusts)", allowed: allowedPath,
		doc: "A file with certificates (PEM) of the authorities that may vouch for the NATS servers. With this or one of the next two, nats:// is" +
			" encrypted as well. Read at the start, before anything is given up.",
		sample: "/etc/bttracker/ca.pem", kind: kindPath,
		set: func(p *parser, v string) error { return p.setTLS(&p.cfg.ClusterCA, v) },
	},
	{
		name: "cluster.tls.cert", arg: "path", def: "none", allowed: allowedPath,
		doc:    "A file with the certificate (PEM) that this tracker shows to the NATS servers. Needs cluster.tls.key.",
		sample: "/etc/bttracker/cert.pem", kind: kindPath,
		set: func(p *parser, v string) error { return p.setTLS(&p.cfg.ClusterCert, v) },
	},
	{
		name: "cluster.tls.key", arg: "path", def: "none", allowed: allowedPath,
		doc:    "The file with its key.",
		sample: "/etc/bttracker/key.pem", kind: kindPath,
		set: func(p *parser, v string) error { return p.setTLS(&p.cfg.ClusterKey, v) },
	},
	{
		name: "cluster.batch", arg: "milliseconds", def: "1000", unit: "milliseconds", allowed: "a number of milliseconds from 50 to 10000",
		doc: "For how long announces are gathered before they are sent to the other trackers. Those know a new peer within twice as long." +
			" Less costs more messages.",
		sample: "1000",
		set: func(p *parser, v string) error {
			n, err := number(v, int(MinBatch/time.Millisecond), int(MaxBatch/time.Millisecond))
			p.cfg.ClusterBatch = time.Duration(n) * time.Millisecond
			return err
		},
	},
}

// setBroker adds a broker. No error tells more of the URL than there has to be:
// a password may be in it.
func (p *parser) setBroker(v string) error {
	if err := word(v); err != nil {
		return err
	}
	u, err := url.Parse(v)
	switch all := &p.cfg.ClusterURL; {
	case err != nil || u.Host == "":
		return errors.New("not a URL of a server")
	case u.Scheme != "nats" && u.Scheme != "tls":
		return errors.New("neither nats:// nor tls://")
	case u.Hostname() == "":
		return errors.New("the host is missing")
	case u.Port() == "" && strings.HasSuffix(u.Host, ":") || u.Port() == "0":
		return errors.New("the port is missing")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return errors.New("nothing may stand behind the port")
	case slices.Contains(*all, v):
		return nil
	case len(*all) == MaxBrokers:
		return fmt.Errorf("more than %d of them", MaxBrokers)
	default:
		if port := u.Port(); port != "" {
			if _, err := parsePort(port); err != nil {
				return err
			}
		}
		*all = append(*all, v)
	}
	return nil
}

func (p *parser) setSubject(v string) error {
	if err := word(v); err != nil {
		return err
	}
	for token := range strings.SplitSeq(v, ".") {
		if token == "" || strings.Trim(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return errors.New("not words with dots between")
		}
	}
	return p.clusterName(&p.cfg.ClusterSubject, v)
}

func (p *parser) setClusterName(v string) error {
	if err := word(v); err != nil {
		return err
	}
	if strings.IndexFunc(v, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"<\`, r) }) >= 0 {
		return errors.New("a character in it is not allowed")
	}
	p.clusterAt = p.place
	return p.clusterName(&p.cfg.ClusterName, v)
}

// clusterName stores a word of limited length.
func (p *parser) clusterName(to *string, v string) error {
	if len(v) > MaxClusterName {
		return fmt.Errorf("longer than %d bytes", MaxClusterName)
	}
	*to = v
	return nil
}

// setTLS stores the path of a file for TLS.
func (p *parser) setTLS(to *string, v string) error {
	p.clusterAt, p.tlsAt = p.place, p.place
	*to = v
	return nil
}

// finishCluster checks what cannot be checked before everything is read.
func (p *parser) finishCluster() error {
	c := &p.cfg
	if (c.ClusterCert == "") != (c.ClusterKey == "") {
		return &Error{place: p.tlsAt, msg: "cluster.tls.cert and cluster.tls.key are of no use without each other; name both"}
	}
	if p.clusterAt.set() && len(c.ClusterURL) == 0 {
		p.place = p.clusterAt
		p.warn("has no effect without cluster.url, which says by way of which server announces are shared")
	}
	return nil
}
