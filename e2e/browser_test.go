//go:build linux

package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// A browser is a headless Chromium, driven by Debian's chromedriver over the
// WebDriver protocol, which is JSON over HTTP.
type browser struct {
	driver *process
	window string // URL of what we look through, at the driver
}

// callLimit is how long one command to the browser may take. Starting it is the
// longest.
const callLimit = 40 * time.Second

var driverPort = regexp.MustCompile(`started successfully on port (\d+)`)

// startBrowser starts a browser that ends with the test.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	dir := t.TempDir()
	chromium := need(t, "chromium", "chromium")
	cmd := exec.Command(need(t, "chromedriver", "chromium-driver"), "--port=0")
	cmd.Env = append(os.Environ(), "HOME="+dir, "TMPDIR="+dir)
	b := &browser{driver: start(t, cmd)}
	b.window = "http://127.0.0.1:" + b.awaitPort(t) + "/session"

	var made struct {
		ID   string `json:"sessionId"`
		Caps struct {
			PID int `json:"goog:processID"`
		} `json:"capabilities"`
	}
	b.call(t, http.MethodPost, "", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{
		"browserName":         "chrome",
		"goog:loggingPrefs":   map[string]string{"browser": "ALL", "performance": "ALL"},
		"goog:chromeOptions":  map[string]any{"binary": chromium, "args": chromiumFlags(dir)},
		"pageLoadStrategy":    "normal",
		"acceptInsecureCerts": false,
	}}}, &made)
	b.window += "/" + made.ID
	t.Cleanup(func() {
		b.quit()
		if made.Caps.PID > 0 {
			syscall.Kill(made.Caps.PID, syscall.SIGKILL) // ESRCH if it has ended: good
		}
	})
	b.open(t, "about:blank") // instead of the browser's own page, which loads a lot
	b.log(t, "performance")
	return b
}

// chromiumFlags make a browser that root may run, that keeps what it writes in
// dir and talks to nobody of its own accord.
func chromiumFlags(dir string) []string {
	return []string{
		"--headless=new", "--no-sandbox", "--user-data-dir=" + filepath.Join(dir, "profile"),
		"--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--lang=en-US",
		"--no-first-run", "--no-default-browser-check", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--disable-extensions", "--disable-breakpad", "--no-proxy-server",
	}
}

// awaitPort returns the port the driver chose.
func (b *browser) awaitPort(t *testing.T) string {
	t.Helper()
	for deadline := time.Now().Add(startLimit); time.Now().Before(deadline); time.Sleep(pollEvery) {
		if m := driverPort.FindStringSubmatch(b.driver.out.String()); m != nil {
			return m[1]
		}
		if b.driver.ended() {
			break
		}
	}
	t.Fatalf("chromedriver did not start:\n%s", &b.driver.out)
	return ""
}

// try sends one command and decodes the value of the answer into out, unless
// that is nil.
func (b *browser) try(method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, b.window+path, body)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: callLimit}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct{ Value json.RawMessage }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, path, answer.Value)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer.Value, out)
}

// call is try for a command that must succeed.
func (b *browser) call(t *testing.T, method, path string, in, out any) {
	t.Helper()
	if err := b.try(method, path, in, out); err != nil {
		t.Fatal(err)
	}
}

// quit ends the browser.
func (b *browser) quit() { b.try(http.MethodDelete, "", nil, nil) }

// open goes to a page and returns when it is loaded.
func (b *browser) open(t *testing.T, url string) {
	t.Helper()
	b.call(t, http.MethodPost, "/url", map[string]string{"url": url}, nil)
}

// eval runs the body of a function in the page and decodes what it returns, or
// promises, into out, unless that is nil.
func (b *browser) eval(t *testing.T, out any, script string, args ...any) {
	t.Helper()
	if args == nil {
		args = []any{}
	}
	b.call(t, http.MethodPost, "/execute/sync", map[string]any{"script": script, "args": args}, out)
}

// await returns when the script does not return false any more. why is what
// did not happen otherwise.
func (b *browser) await(t *testing.T, limit time.Duration, why, script string, args ...any) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(pollEvery) {
		var ok bool
		b.eval(t, &ok, script, args...)
		if ok {
			return
		}
		if time.Now().After(deadline) {
			var text string
			b.eval(t, &text, "return document.body.innerText")
			t.Fatalf("after %v: %s. The page says:\n%s", limit, why, text)
		}
	}
}

// devtools gives a command of the DevTools protocol.
func (b *browser) devtools(t *testing.T, out any, command string, params map[string]any) {
	t.Helper()
	b.call(t, http.MethodPost, "/goog/cdp/execute", map[string]any{"cmd": command, "params": params}, out)
}

// keys presses keys, in the encoding of WebDriver.
func (b *browser) keys(t *testing.T, keys ...string) {
	t.Helper()
	var actions []map[string]string
	for _, k := range keys {
		actions = append(actions, map[string]string{"type": "keyDown", "value": k}, map[string]string{"type": "keyUp", "value": k})
	}
	b.call(t, http.MethodPost, "/actions", map[string]any{"actions": []any{
		map[string]any{"type": "key", "id": "keyboard", "actions": actions},
	}}, nil)
}

// A logged line of the browser's console, or an event of the network.
type logged struct {
	Level, Message string
}

// log returns what was logged since the last call: "browser" is the console,
// "performance" what happened on the network.
func (b *browser) log(t *testing.T, kind string) []logged {
	t.Helper()
	var lines []logged
	b.call(t, http.MethodPost, "/se/log", map[string]string{"type": kind}, &lines)
	return lines
}

// look has the page in a window that is width CSS pixels wide, in a colour
// scheme, "light" or "dark".
func (b *browser) look(t *testing.T, width int, scheme string) {
	t.Helper()
	b.devtools(t, nil, "Emulation.setDeviceMetricsOverride", map[string]any{
		"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600,
	})
	b.devtools(t, nil, "Emulation.setEmulatedMedia", map[string]any{
		"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}},
	})
}

// screenshot writes a picture of the whole page, however long, to path.
func (b *browser) screenshot(t *testing.T, path string) {
	t.Helper()
	// Two frames: what the last change of the window's size draws anew is drawn.
	b.eval(t, nil, "return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(null))))")
	var shot struct{ Data string }
	b.devtools(t, &shot, "Page.captureScreenshot", map[string]any{"captureBeyondViewport": true, "format": "png"})
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err == nil {
		err = os.WriteFile(path, png, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
