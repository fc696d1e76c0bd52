//go:build linux

package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	screenshots = flag.String("screenshots", "../dist/screenshots", "the `folder` for pictures of the page")
	pageLoad    = flag.Duration("page-load", 4*time.Second, "how long the tracker of the page is loaded before pictures are taken")
	axe         = flag.String("axe", "", "the `file` axe.min.js of axe-core, to check the page with")
)

const (
	// pageBudget is how long the page may take until its numbers stand there.
	// A machine that runs all tests at once is told, not failed.
	pageBudget = time.Second
	// pageLimit is how long the page may take to notice what happened: it asks
	// every 5 seconds, and after two failures after 10.
	pageLimit = 40 * time.Second
)

// TestPage opens the page in a browser, beside a tracker that is really asked.
func TestPage(t *testing.T) {
	t.Parallel()
	s := startDual(t, freePort(t).Port())
	asked := s.askAll(t)
	b := startBrowser(t)
	b.look(t, 1440, "light")

	b.open(t, fmt.Sprintf("http://%v/", s.addr))
	b.await(t, pageLimit, "no numbers", `return document.querySelector("[data-k=peers]").dataset.v > 0`)
	b.reportTime(t)
	for key, want := range asked {
		var got string
		b.eval(t, &got, "return document.querySelector(`[data-k='${arguments[0]}']`).dataset.v", key)
		if got != fmt.Sprint(want) {
			t.Errorf("%s is %s on the page, want %d", key, got, want)
		}
	}
	b.checkTop(t)
	b.checkMoves(t, s)
	b.checkKeys(t)
	b.checkWindow(t)
	b.takePictures(t)
	b.checkNetwork(t, s.addr.String())
	for _, line := range b.log(t, "browser") {
		t.Errorf("the browser's console says: %s: %s", line.Level, line.Message)
	}

	// What follows is trouble, which the browser writes to its console.
	s.stopTracker(t)
	b.awaitTrouble(t, "cannot be reached")
	s = startDual(t, s.addr.Port(), "-A", "192.0.2.1")
	b.awaitTrouble(t, "Access refused")
	b.checkAxe(t)
	s.stopTracker(t)
	s = startDual(t, s.addr.Port())
	b.eval(t, nil, `document.querySelector("#again").click()`)
	b.await(t, pageLimit, "the page does not recover", `return document.querySelector("#state").textContent == "Live" && document.querySelector("#trouble").hidden`)
	s.stopTracker(t)

	conf := filepath.Join(t.TempDir(), "tracker.conf")
	if err := os.WriteFile(conf, []byte("access.stats_path secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s = startTracker(t, "-f", conf)
	b.open(t, fmt.Sprintf("http://%v/secret.html", s.addr))
	b.await(t, pageLimit, "no numbers at a secret path", `return document.querySelector("[data-k=peers]").dataset.v === "0" && source == "secret.json"`)
}

// startDual starts the tracker on a port of 127.0.0.1 and of ::1.
func startDual(t *testing.T, port uint16, args ...string) *server {
	t.Helper()
	p := fmt.Sprint(port)
	args = append([]string{"-i", "127.0.0.1", "-p", p, "-P", p, "-i", "::1", "-p", p, "-P", p}, args...)
	s := &server{process: start(t, exec.Command(tracker(t), args...)), addr: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)}
	if err := waitPorts(s.process, port); err != nil {
		t.Fatalf("%v\n%s", err, &s.out)
	}
	return s
}

// askAll asks for everything over both wires and families, and returns what of
// it the page is to tell, by the names of stats.json.
func (s *server) askAll(t *testing.T) map[string]int {
	t.Helper()
	for _, host := range []string{"127.0.0.1", "::1"} {
		s.announceUDP(t, host, 0, 1000, 3)
		s.announceHTTP(t, host, 1, 2000, 2)
	}
	ih := captureHash(1)
	s.askHTTP(t, "127.0.0.1", fmt.Sprintf("/announce?info_hash=%s&port=2000&left=0&event=completed", percent(ih[:])))
	s.askHTTP(t, "127.0.0.1", fmt.Sprintf("/scrape?info_hash=%s", percent(ih[:])))
	forged := announcement(make([]byte, 8), ih, 0, 1, 7)
	s.askUDP(t, "127.0.0.1", forged)
	return map[string]int{
		"torrents": 2, "peers": 10, "completed": 1,
		"requests.udp.ipv4.connect": 1, "requests.udp.ipv4.announce": 3,
		"requests.udp.ipv6.connect": 1, "requests.udp.ipv6.announce": 3,
		"requests.http.ipv4.announce": 3, "requests.http.ipv4.scrape": 1,
		"requests.http.ipv6.announce": 2, "requests.http.ipv6.scrape": 0,
		"refused.connection_id": 1, "refused.denied": 0,
	}
}

// announceUDP has n peers of a torrent announce themselves over UDP, from ports
// from port on. The first of them is a seeder.
func (s *server) announceUDP(t *testing.T, host string, torrent int, port uint16, n int) {
	t.Helper()
	cid := s.askUDP(t, host, connectRequest(1))[8:16]
	for i := range n {
		s.askUDP(t, host, announcement(cid, captureHash(torrent), 0, uint64(i), port+uint16(i)))
	}
}

// announceHTTP does the same over HTTP.
func (s *server) announceHTTP(t *testing.T, host string, torrent int, port uint16, n int) {
	t.Helper()
	ih := captureHash(torrent)
	for i := range n {
		s.askHTTP(t, host, fmt.Sprintf("/announce?info_hash=%s&port=%d&left=%d", percent(ih[:]), int(port)+i, i+1))
	}
}

// askUDP sends a datagram that is answered and returns the answer.
func (s *server) askUDP(t *testing.T, host string, question []byte) []byte {
	t.Helper()
	c, err := net.Dial("udp", net.JoinHostPort(host, fmt.Sprint(s.addr.Port())))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(question); err != nil {
		t.Fatal(err)
	}
	answer := receive(c.(*net.UDPConn), answerLimit)
	if len(answer) < 16 {
		t.Fatalf("%s answers %x to %x", host, answer, question)
	}
	return answer
}

// askHTTP asks for a target over HTTP and waits until all is said.
func (s *server) askHTTP(t *testing.T, host, target string) {
	t.Helper()
	c, err := net.Dial("tcp", net.JoinHostPort(host, fmt.Sprint(s.addr.Port())))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: tracker.test\r\n\r\n", target)
	if got, end := readAll(c.(*net.TCPConn), answerLimit); !strings.HasPrefix(string(got), "HTTP/1.1 200") {
		t.Fatalf("%s: %q, %s", target, got, end)
	}
}

// reportTime tells how long it took from asking for the page until its numbers
// stood there.
func (b *browser) reportTime(t *testing.T) {
	t.Helper()
	var milliseconds struct{ Loaded, Shown float64 }
	b.eval(t, &milliseconds, `return {Loaded: performance.getEntriesByType("navigation")[0].loadEventEnd, Shown: performance.getEntriesByName("shown")[0].startTime}`)
	t.Logf("the page is loaded after %.0f ms, and its numbers stand there after %.0f", milliseconds.Loaded, milliseconds.Shown)
	if took := time.Duration(milliseconds.Shown * float64(time.Millisecond)); took > pageBudget {
		t.Logf("that is over its budget of %v", pageBudget)
	}
}

// checkTop fails unless the largest torrent is first in its table.
func (b *browser) checkTop(t *testing.T) {
	t.Helper()
	b.await(t, pageLimit, "no torrents", `return document.querySelectorAll("#t-top td[data-v]").length > 0`)
	var got []string
	b.eval(t, &got, `return [...document.querySelectorAll("#t-top tbody tr:first-child > *")].map(e => e.textContent)`)
	if want := fmt.Sprintf("[%x 2 4 0]", captureHash(0)); !strings.EqualFold(fmt.Sprint(got), want) {
		t.Errorf("the largest torrent is %v, want %v", got, want)
	}
}

// checkMoves has many peers announce themselves for a while, and fails unless
// that moves numbers and plots.
func (b *browser) checkMoves(t *testing.T, s *server) {
	t.Helper()
	const paths = "return ['#p-requestsbyprotocol', '#p-requestsbykind', '#p-peersandtorrents'].map(id => [...document.querySelectorAll(id + ' path')].map(p => p.getAttribute('d')).join())"
	var before []string
	b.eval(t, &before, paths)
	for end, i := time.Now().Add(*pageLoad), 0; time.Now().Before(end); i++ {
		for _, host := range []string{"127.0.0.1", "::1"} {
			s.announceUDP(t, host, i%50, uint16(3000+i%20000), 3)
			s.announceHTTP(t, host, i%40, uint16(3000+i%20000), 1)
		}
		time.Sleep(pollEvery) // a load for people to look at, not for the machine
	}
	moved := strings.Replace(paths, "return", "const now =", 1) + "; return now.every((path, i) => path && path != arguments[i])"
	b.await(t, pageLimit, "plots do not move", moved, before[0], before[1], before[2])
	b.await(t, pageLimit, "peers do not grow", `return document.querySelector("[data-k=peers]").dataset.v > 10`)
}

// The keys of a keyboard, as WebDriver calls them.
const (
	keyTab    = "\ue004"
	keyEscape = "\ue00c"
	keyHome   = "\ue011"
	keyLeft   = "\ue012"
)

// checkKeys fails unless a plot can be reached and read with the keyboard.
func (b *browser) checkKeys(t *testing.T) {
	t.Helper()
	const focused = "const e = document.activeElement; return "
	var onPlot bool
	for range 30 {
		b.keys(t, keyTab)
		if b.eval(t, &onPlot, focused+"e.getAttribute('role') == 'slider'"); onPlot {
			break
		}
	}
	if !onPlot {
		t.Fatal("30 times Tab does not reach a plot")
	}
	says := func() (text string) {
		b.eval(t, &text, focused+"e.getAttribute('aria-valuetext')")
		return text
	}
	latest := says()
	b.keys(t, keyLeft)
	left := says()
	b.keys(t, keyHome)
	if home := says(); !strings.Contains(latest, "Latest: UDP IPv4") || left == latest || home == left {
		t.Errorf("a plot says %q, to the left %q and at its begin %q", latest, left, home)
	}
	b.keys(t, keyEscape)
	if again := says(); !strings.HasPrefix(again, "Latest") {
		t.Errorf("after Escape a plot says %q", again)
	}
	b.eval(t, nil, "document.activeElement.blur()")
}

// checkWindow fails unless a plot can be pointed at between the choice of another
// window and its history, which may never come.
func (b *browser) checkWindow(t *testing.T) {
	t.Helper()
	var errors []string
	b.eval(t, &errors, `const errors = [], note = e => errors.push(e.message);
		addEventListener("error", note);
		document.querySelector("[name=window][value=day]").click();
		const hand = plots[0].hand;
		hand.dispatchEvent(new PointerEvent("pointermove", {clientX: hand.getBoundingClientRect().left + 9}));
		hand.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowLeft"}));
		removeEventListener("error", note);
		return errors`)
	if len(errors) > 0 {
		t.Errorf("pointing at a plot fails: %q", errors)
	}
	b.await(t, pageLimit, "there is no day", `return past && past.step == 300`)
	b.eval(t, nil, `document.querySelector("[name=window][value=hour]").click()`)
	b.await(t, pageLimit, "there is no hour", `return past && past.step == 15`)
}

// takePictures writes screenshots of the page as people have it, for a person
// to look at, and fails if it is wider than the window. Meanwhile the page
// believes to be in the background, and must not ask for anything.
func (b *browser) takePictures(t *testing.T) {
	t.Helper()
	if err := os.MkdirAll(*screenshots, 0o755); err != nil {
		t.Fatal(err)
	}
	const hide = `Object.defineProperty(document, "hidden", {value: arguments[0], configurable: true}); document.dispatchEvent(new Event("visibilitychange"))`
	const count = `return performance.getEntriesByType("resource").filter(e => e.name.endsWith(".json")).length`
	b.eval(t, nil, hide, true)
	b.await(t, pageLimit, "it does not stop asking", "return !asking")
	var before, after int
	b.eval(t, &before, count)
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int{320, 360, 768, 1440} {
			b.look(t, width, scheme)
			if width > 320 { // the narrowest that anybody has; it need only fit
				b.screenshot(t, filepath.Join(*screenshots, fmt.Sprintf("page-%d-%s.png", width, scheme)))
			}
			var wide int
			if b.eval(t, &wide, "return document.documentElement.scrollWidth"); wide > width {
				t.Errorf("in a window of %d pixels the page is %d wide", width, wide)
			}
		}
	}
	b.checkAxe(t)
	if b.eval(t, &after, count); after != before {
		t.Errorf("in the background the page asked %d times", after-before)
	}
	b.eval(t, nil, hide, false)
	b.await(t, pageLimit, "it does not ask again", count+" > arguments[0]", before)
	t.Logf("pictures are in %s", *screenshots)
}

// checkAxe fails for everything that axe-core finds wrong with the page as it
// is, with all of it unfolded, in both colour schemes. Without axe-core it does
// nothing.
func (b *browser) checkAxe(t *testing.T) {
	t.Helper()
	if *axe == "" {
		return
	}
	script, err := os.ReadFile(*axe)
	if err != nil {
		t.Fatal(err)
	}
	b.eval(t, nil, string(script))
	b.eval(t, nil, `document.querySelectorAll("details").forEach(d => d.open = true)`)
	for _, scheme := range []string{"light", "dark"} {
		b.look(t, 1440, scheme)
		var result struct {
			Passes     int
			Incomplete []string
			Violations []struct{ ID, Help, Nodes string }
		}
		b.eval(t, &result, `return axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(r => ({
			Passes: r.passes.length, Incomplete: r.incomplete.map(v => v.id),
			Violations: r.violations.map(v => ({ID: v.id, Help: v.help, Nodes: v.nodes.map(n => n.html + ": " + n.failureSummary).join("\n")})),
		}))`)
		t.Logf("axe, %s: %d rules passed, %d violated; for a person to decide: %v", scheme, result.Passes, len(result.Violations), result.Incomplete)
		for _, v := range result.Violations {
			t.Errorf("%s: %s\n%s", v.ID, v.Help, v.Nodes)
		}
	}
	b.eval(t, nil, `document.querySelectorAll("details").forEach(d => d.open = false)`)
}

// checkNetwork fails if the page asked anybody else than host, or for anything
// but itself and the numbers.
func (b *browser) checkNetwork(t *testing.T, host string) {
	t.Helper()
	asked := map[string]int{}
	for _, line := range b.log(t, "performance") {
		var event struct {
			Message struct {
				Method string
				Params struct{ Request struct{ URL string } }
			}
		}
		if err := json.Unmarshal([]byte(line.Message), &event); err != nil {
			t.Fatal(err)
		}
		if event.Message.Method != "Network.requestWillBeSent" {
			continue
		}
		u, err := url.Parse(event.Message.Params.Request.URL)
		if err != nil {
			t.Fatal(err)
		}
		if u.Scheme == "data" {
			continue // the icon, which is in the page
		}
		if u.Host != host || u.Path != "/" && u.Path != "/stats.json" {
			t.Errorf("the page asks for %v", u)
		}
		asked[u.RequestURI()]++
	}
	if asked["/"] != 1 || asked["/stats.json"] == 0 || asked["/stats.json?history=hour"] == 0 {
		t.Errorf("the page asked for %v", asked)
	}
}

// awaitTrouble returns when the page says in an alert that there is trouble.
func (b *browser) awaitTrouble(t *testing.T, text string) {
	t.Helper()
	b.await(t, pageLimit, "no word of: "+text, `const e = document.querySelector("#trouble"); return !e.hidden && e.innerText.includes(arguments[0])`, text)
}
