//go:build linux

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// What the generator of load makes a second, how long until Prometheus is asked
// for the rate and how often again, and over how much of that time. On a machine
// that computes other things, requests come in bursts and are counted some time
// after they were asked for, so it may take more than one try.
const (
	udpRate    = 500
	httpRate   = 100
	loadTime   = 27 * time.Second
	tries      = 3
	rateWindow = 20 * time.Second
)

// mostOff is by how much the two may differ.
const mostOff = 0.02

// A made is when a request was answered, for each of them in turn.
type made struct {
	mu    sync.Mutex
	times []time.Time
}

// between returns how many were answered from one moment to another.
func (m *made) between(from, to time.Time) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, at := range m.times {
		if at.After(from) && !at.After(to) {
			n++
		}
	}
	return n
}

// paced asks rate times a second until ctx is done, and makes up for lost time.
func (m *made) paced(ctx context.Context, rate int, ask func() error) error {
	began := time.Now()
	for i := range tries*int(loadTime/time.Second)*rate + 1 {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(due)):
		}
		if err := ask(); err != nil {
			return err
		}
		m.mu.Lock()
		m.times = append(m.times, time.Now())
		m.mu.Unlock()
	}
	return nil
}

// A prometheus is one that scrapes.
type prometheus struct{ url string }

// startPrometheus starts a Prometheus that reads the metrics at addr every
// second.
func startPrometheus(t *testing.T, addr string) *prometheus {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil,
		"scrape_configs:\n  - job_name: tracker\n    scrape_interval: 1s\n    static_configs:\n      - targets: [%q]\n", addr), 0o644); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	cmd := exec.Command(need(t, "prometheus", "prometheus"), "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+port.String(), "--log.level=warn")
	awaitListening(t, start(t, cmd), port.Port())
	return &prometheus{"http://" + port.String()}
}

// query returns the values that an expression has at a moment.
func (p *prometheus) query(expr string, at time.Time) ([]float64, error) {
	c := http.Client{Timeout: answerLimit}
	resp, err := c.Get(p.url + "/api/v1/query?time=" + fmt.Sprintf("%.3f", float64(at.UnixMilli())/1000) + "&query=" + url.QueryEscape(expr))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer struct {
		Error string
		Data  struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Error != "" {
		return nil, errors.New(answer.Error)
	}
	var all []float64
	for _, r := range answer.Data.Result {
		text, _ := r.Value[1].(string)
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// TestPrometheus has Prometheus's own tool check the metrics, and Prometheus
// read them every second, while announces come at a rate that is known: it
// tells that rate.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	metrics := freePort(t)
	conf := filepath.Join(t.TempDir(), "conf")
	if err := os.WriteFile(conf, []byte("metrics.listen "+metrics.String()+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := startTracker(t, "-f", conf)
	p := startPrometheus(t, metrics.String())

	var udp, overHTTP made
	began := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	u := s.dialUDP(t, "")
	announce := announcement(s.connID(t, ""), [20]byte{'a'}, 0, 1, 6881)
	asking.Go(func() {
		answer := make([]byte, 2048)
		if err := udp.paced(ctx, udpRate, func() error {
			u.SetDeadline(time.Now().Add(answerLimit))
			_, err := u.Write(announce)
			if err == nil {
				_, err = u.Read(answer)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	})
	c := s.dialFrom(t, "")
	request := fmt.Appendf(nil, "GET /announce?info_hash=%s&port=6882&left=1 HTTP/1.1\r\nConnection: keep-alive\r\n\r\n", percent([]byte("a"+strings.Repeat("\x00", 19))))
	asking.Go(func() {
		r := bufio.NewReader(c)
		if err := overHTTP.paced(ctx, httpRate, func() error {
			c.SetDeadline(time.Now().Add(answerLimit))
			if _, err := c.Write(request); err != nil {
				return err
			}
			resp, err := http.ReadResponse(r, nil)
			if err == nil {
				_, err = r.Discard(int(resp.ContentLength))
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	})

	check(t, metrics.String())
	var at time.Time
	for try := 1; ; try++ {
		at = began.Add(time.Duration(try)*loadTime - time.Second)
		time.Sleep(time.Until(at.Add(time.Second))) // for the last scrape before
		off := max(p.compare(t, "udp", &udp, at), p.compare(t, "http", &overHTTP, at))
		if off <= mostOff {
			break
		}
		if try == tries {
			t.Errorf("in %d tries the rates never agreed", tries)
			break
		}
	}
	cancel()
	asking.Wait()
	for expr, want := range map[string]float64{
		`up{job="tracker"}`: 1, `sum(tracker_peers)`: 2, `tracker_torrents`: 1, `count(tracker_build_info)`: 1,
		`sum(rate(tracker_refused_total[20s]))`: 0, `changes(process_start_time_seconds[20s])`: 0,
		`histogram_quantile(0.99,sum by (le,protocol) (rate(tracker_handler_seconds_bucket[20s]))) < bool 1`: 1,
	} {
		got, err := p.query(expr, at)
		slices.Sort(got)
		if err != nil || len(got) == 0 || got[0] != want || got[len(got)-1] != want {
			t.Errorf("%s is %v, want %v: %v", expr, got, want, err)
		}
	}
}

// compare asks for the rate of announces at a moment and returns by which part it
// differs from what was made.
func (p *prometheus) compare(t *testing.T, protocol string, m *made, at time.Time) float64 {
	t.Helper()
	expr := fmt.Sprintf(`sum(rate(tracker_requests_total{protocol=%q,action="announce",outcome="answered"}[%s]))`, protocol, rateWindow)
	got, err := p.query(expr, at)
	if err != nil || len(got) != 1 {
		t.Fatalf("%s: %v, %v", expr, got, err)
	}
	want := float64(m.between(at.Add(-rateWindow), at)) / rateWindow.Seconds()
	t.Logf("%s: Prometheus says %.2f announces/s, made %.2f: %+.2f %%", protocol, got[0], want, 100*(got[0]/want-1))
	return math.Abs(got[0]/want - 1)
}

// check has promtool look at the metrics of a tracker. It has nothing to say.
func check(t *testing.T, addr string) {
	t.Helper()
	c := http.Client{Timeout: answerLimit}
	resp, err := c.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	cmd := exec.Command(need(t, "promtool", "prometheus"), "check", "metrics")
	cmd.Stdin = resp.Body
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "" {
		t.Errorf("promtool: %v, %s", err, out)
	}
}
