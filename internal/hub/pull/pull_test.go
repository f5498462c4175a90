package pull

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lomo/internal/hub"
	"lomo/internal/hub/hubtest"
)

const name = "owner/model"

// bed is a hub of one model, the second host of its large files, and a client.
type bed struct {
	*hubtest.Hub
	t      *testing.T
	front  *httptest.Server
	back   *httptest.Server
	env    map[string]string
	client *Client
	meter  *notes
	files  map[string][]byte
}

// notes is a Meter that keeps what it is told.
type notes struct {
	mu    sync.Mutex
	lines []string
	have  atomic.Int64
	total atomic.Int64
}

func (n *notes) Start(_ int, total, have int64) { n.total.Store(total); n.have.Store(have) }
func (n *notes) Add(k int64)                    { n.have.Add(k) }
func (n *notes) Note(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

func (n *notes) text() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.lines, "\n")
}

var weights = bytes.Repeat([]byte("0123456789abcdef-some weights-"), 40000) // 1.2 MB

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{Hub: &hubtest.Hub{}, t: t, meter: &notes{}, files: map[string][]byte{
		"config.json": []byte(`{"model_type": "llama"}`), "tokenizer.json": []byte("{}"), "model.safetensors": weights, "README.md": []byte("# a model"),
		"pytorch_model.bin": []byte("the same again"), "onnx/model.onnx": []byte("onnx"), "tf_model.h5": []byte("tf"), "empty/none.txt": nil,
	}}
	b.front, b.back = httptest.NewServer(b.Hub), httptest.NewServer(b.Hub)
	b.CDN = b.back.URL
	t.Cleanup(b.front.Close)
	t.Cleanup(b.back.Close)
	b.env = map[string]string{"HF_ENDPOINT": b.front.URL, "HF_HOME": t.TempDir(), "HOME": t.TempDir()}
	b.serve(name)
	return b
}

// serve writes the bed's files and offers them.
func (b *bed) serve(name string) {
	b.t.Helper()
	dir := b.t.TempDir()
	for f, text := range b.files {
		at := filepath.Join(dir, filepath.FromSlash(f))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			b.t.Fatal(err)
		}
		if err := os.WriteFile(at, text, 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := b.Serve(name, dir); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) pull(o Options) (*Result, error) {
	b.t.Helper()
	return b.pullIn(context.Background(), o)
}

func (b *bed) pullIn(ctx context.Context, o Options) (*Result, error) {
	b.t.Helper()
	c, err := NewClient(func(name string) string { return b.env[name] })
	if err != nil {
		b.t.Fatal(err)
	}
	c.Pause, c.Tries, c.Patience = time.Millisecond, 4, time.Second
	if b.env["PATIENCE"] != "" {
		c.Patience = 150 * time.Millisecond
	}
	if o.ID.Owner == "" {
		o.ID.Owner, o.ID.Name = "owner", "model"
	}
	b.client = c
	return Pull(ctx, c, o, b.meter)
}

// wants fails unless err says all the words, the hint included.
func wants(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", words)
	}
	text := err.Error()
	if h := (interface{ Hint() string })(nil); errors.As(err, &h) {
		text += "\n" + h.Hint()
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%s\nwant %q in it", text, w)
		}
	}
}

func (b *bed) same(path string, want []byte) {
	b.t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		b.t.Errorf("%s: %d bytes, %v, want %d", path, len(got), err, len(want))
	}
}

// TestCache: what is needed comes into the cache as huggingface_hub lays it out, and a second pull asks for no file.
func TestCache(t *testing.T) {
	b := newBed(t)
	r, err := b.pull(Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(b.env["HF_HOME"], "hub", "models--owner--model")
	if want := filepath.Join(dir, "snapshots", b.Commit(name)); r.Path != want {
		t.Errorf("path %s, want %s", r.Path, want)
	}
	for f, text := range b.files {
		at := filepath.Join(r.Path, filepath.FromSlash(f))
		switch f {
		case "config.json", "tokenizer.json", "model.safetensors", "README.md":
			b.same(at, text)
			if link, err := os.Readlink(at); err != nil || !strings.HasPrefix(link, "../../blobs/") {
				t.Errorf("%s: a link to %q, %v", f, link, err)
			}
		default:
			if _, err := os.Lstat(at); err == nil {
				t.Errorf("%s was fetched", f)
			}
		}
	}
	sum := sha256.Sum256(weights)
	b.same(filepath.Join(dir, "blobs", hex.EncodeToString(sum[:])), weights)
	b.same(filepath.Join(dir, "refs", "main"), []byte(b.Commit(name)))
	if left, _ := filepath.Glob(filepath.Join(dir, "blobs", "*.incomplete")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if b.meter.have.Load() != b.meter.total.Load() || b.meter.total.Load() != r.Bytes {
		t.Errorf("progress ends at %d of %d, the files have %d", b.meter.have.Load(), b.meter.total.Load(), r.Bytes)
	}
	if !strings.Contains(b.meter.text(), "left out: 4 files, first ") {
		t.Error(b.meter.text())
	}
	b.Before = func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/resolve/") {
			t.Errorf("asked for %s again", r.URL)
		}
		return false
	}
	for _, damage := range []bool{false, true} { // a snapshot without its links, too: the contents are there
		if damage {
			os.RemoveAll(r.Path)
		}
		again, err := b.pull(Options{})
		if err != nil || again.Loaded != 0 || again.Path != r.Path {
			t.Errorf("again: %+v, %v", again, err)
		}
		b.same(filepath.Join(r.Path, "config.json"), b.files["config.json"])
	}
	got, cached, err := hub.Locate(name, func(n string) string { return b.env[n] })
	if err != nil || !cached || got != r.Path {
		t.Errorf("Locate: %s, %v, %v", got, cached, err)
	}
}

// TestFolder: --to writes plain files, repairs nothing silently and mixes with nothing.
func TestFolder(t *testing.T) {
	b := newBed(t)
	to := filepath.Join(t.TempDir(), "models", "m")
	r, err := b.pull(Options{To: to, Include: []string{"*"}})
	if err != nil || r.Path != to {
		t.Fatal(r, err)
	}
	for f, text := range b.files {
		b.same(filepath.Join(to, filepath.FromSlash(f)), text)
	}
	if _, err := os.Stat(filepath.Join(to, partsFolder)); err == nil {
		t.Error("the folder of parts is still there")
	}
	if r, err = b.pull(Options{To: to}); err != nil || r.Loaded != 0 {
		t.Errorf("again: %+v, %v", r, err)
	}
	if err := os.WriteFile(filepath.Join(to, "config.json"), []byte(`{"model_type": "mine!"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = b.pull(Options{To: to})
	wants(t, err, "config.json is there and is not the hub's", "--force")
	if _, err = b.pull(Options{To: to, Force: true}); err != nil {
		t.Error(err)
	}
	b.same(filepath.Join(to, "config.json"), b.files["config.json"])
	if err := os.WriteFile(filepath.Join(to, "notes.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = b.pull(Options{To: to})
	wants(t, err, "it holds files that are not of owner/model, such as notes.txt")
	_, err = b.pull(Options{To: filepath.Join(to, "notes.txt")})
	wants(t, err, "a file of this name is there")
	_, err = b.pull(Options{To: filepath.Join(to, "notes.txt", "model")})
	wants(t, err, "a part of it is a file, not a folder")

	// What the cache has is copied.
	if _, err := b.pull(Options{}); err != nil {
		t.Fatal(err)
	}
	if r, err = b.pull(Options{To: filepath.Join(t.TempDir(), "n")}); err != nil || r.Loaded != 0 || r.Copied != 4 {
		t.Errorf("beside the cache: %+v, %v", r, err)
	}
}

// TestResume: a connection that is cut goes on where it was, within a pull and in the next one.
func TestResume(t *testing.T) {
	for _, c := range []struct {
		name  string
		cuts  int    // how often the connection is cut
		after int    // bytes
		want  string // of the error, "" for none
		says  string
	}{
		{"once", 1, 500_000, "", "the connection was cut; trying again"},
		{"thrice", 3, 100_000, "", "at 293 KiB of 1.14 MiB: the connection was cut"},
		{"at once", 3, 0, "", "the connection was cut"},
		{"for ever", 1000, 1000, "again and again", "the connection was cut"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t)
			var asking sync.Mutex
			var ranges []string
			left := c.cuts
			b.Before = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasPrefix(r.URL.Path, "/cdn/") {
					return false
				}
				asking.Lock()
				defer asking.Unlock()
				ranges = append(ranges, r.Header.Get("Range"))
				if left--; left < 0 {
					return false
				}
				from := 0
				fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
				w.Header().Set("Content-Length", fmt.Sprint(len(weights)-from))
				if from > 0 {
					w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(weights)-1, len(weights)))
					w.WriteHeader(http.StatusPartialContent)
				}
				w.Write(weights[from : from+c.after])
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
			r, err := b.pull(Options{})
			if !strings.Contains(b.meter.text(), c.says) {
				t.Errorf("said:\n%s\nwant %q", b.meter.text(), c.says)
			}
			if c.want != "" {
				wants(t, err, c.want, "it goes on where this one stopped")
				left, ranges = 0, nil
				before := b.client.loaded.Load()
				if r, err = b.pull(Options{}); err == nil && (r.Loaded >= int64(len(weights)) || before == 0 || ranges[0] == "") {
					t.Errorf("the next pull loaded %d, asked for %q", r.Loaded, ranges)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			b.same(filepath.Join(r.Path, "model.safetensors"), weights)
			if c.after > 0 && ranges[len(ranges)-1] == "" {
				t.Errorf("ranges asked for: %q", ranges)
			}
			if b.meter.have.Load() != b.meter.total.Load() {
				t.Errorf("progress ends at %d of %d", b.meter.have.Load(), b.meter.total.Load())
			}
		})
	}
}

// TestDishonest: servers that send something else than they should. The file is whole in the end, or not there.
func TestDishonest(t *testing.T) {
	half := len(weights) / 2
	for _, c := range []struct {
		name string
		part []byte // what is there from an earlier time
		send func(w http.ResponseWriter, r *http.Request, n int) bool
		want string // of the error
		says string
	}{
		{name: "ignores Range", part: weights[:half], says: "the server sends no parts of it", send: func(w http.ResponseWriter, r *http.Request, _ int) bool {
			r.Header.Del("Range")
			return false
		}},
		{name: "another part", part: weights[:half], says: "another part than the one asked for", send: func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n > 1 {
				return false
			}
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 10-%d/%d", len(weights)-1, len(weights)))
			w.WriteHeader(http.StatusPartialContent)
			w.Write(weights[10:])
			return true
		}},
		{name: "a part of no file", part: weights[:half], says: "another part than the one asked for", send: func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n > 1 {
				return false
			}
			w.WriteHeader(http.StatusPartialContent)
			w.Write(weights[half:])
			return true
		}},
		{name: "no range is there", part: weights[:half], says: "fetching it anew", send: func(w http.ResponseWriter, r *http.Request, n int) bool {
			if r.Header.Get("Range") == "" {
				return false
			}
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return true
		}},
		{name: "an old part of another file", part: bytes.Repeat([]byte("x"), half), says: "is not its beginning; fetching it anew", send: func(http.ResponseWriter, *http.Request, int) bool { return false }},
		{name: "a part that is too long", part: bytes.Repeat([]byte("x"), len(weights)+1), send: func(http.ResponseWriter, *http.Request, int) bool { return false }},
		{name: "a whole part that is wrong", part: bytes.Repeat([]byte("x"), len(weights)), says: "fetching it anew", send: func(http.ResponseWriter, *http.Request, int) bool { return false }},
		{name: "a whole part that is right", part: weights, send: func(http.ResponseWriter, *http.Request, int) bool { panic("asked for") }},
		{name: "wrong bytes", want: "wrong checksum", send: func(w http.ResponseWriter, r *http.Request, _ int) bool {
			w.Write(bytes.Repeat([]byte("y"), len(weights)))
			return true
		}},
		{name: "too many bytes", want: "the server sends", send: func(w http.ResponseWriter, r *http.Request, _ int) bool {
			w.(http.Flusher).Flush() // no length
			w.Write(append(weights, 'z'))
			return true
		}},
		{name: "another length", want: "the server sends 3", send: func(w http.ResponseWriter, r *http.Request, _ int) bool {
			w.Header().Set("Content-Length", "3")
			w.Write([]byte("abc"))
			return true
		}},
		{name: "changes on the way", says: "it changed on the server", send: func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n > 1 {
				return false
			}
			w.Header().Set("ETag", `"old"`)
			w.Header().Set("Content-Length", fmt.Sprint(len(weights)))
			w.Write(bytes.Repeat([]byte("o"), half))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}},
		{name: "a slow drip", says: "nothing came for", send: func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n > 1 {
				return false
			}
			w.Header().Set("Content-Length", fmt.Sprint(len(weights)))
			for i := range 1000 {
				if _, err := w.Write(weights[i : i+1]); err != nil || r.Context().Err() != nil {
					break
				}
				w.(http.Flusher).Flush()
				time.Sleep(10 * time.Millisecond)
			}
			return true
		}},
		{name: "no answer", says: "no answer for", send: func(w http.ResponseWriter, r *http.Request, n int) bool {
			if n > 1 {
				return false
			}
			<-r.Context().Done()
			return true
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t)
			b.env["PATIENCE"] = "short"
			sum := sha256.Sum256(weights)
			blob := filepath.Join(b.env["HF_HOME"], "hub", "models--owner--model", "blobs", hex.EncodeToString(sum[:]))
			if c.part != nil {
				os.MkdirAll(filepath.Dir(blob), 0o755)
				if err := os.WriteFile(blob+".incomplete", c.part, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var n atomic.Int64
			b.Before = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasPrefix(r.URL.Path, "/cdn/") {
					return false
				}
				return c.send(w, r, int(n.Add(1)))
			}
			r, err := b.pull(Options{})
			if !strings.Contains(b.meter.text(), c.says) {
				t.Errorf("said:\n%s\nwant %q", b.meter.text(), c.says)
			}
			if c.want != "" {
				wants(t, err, c.want)
				for _, at := range []string{blob, filepath.Join(filepath.Dir(blob), "../refs/main")} {
					if _, err := os.Stat(at); err == nil {
						t.Errorf("%s is there", at)
					}
				}
				if strings.Contains(c.want, "checksum") {
					if _, err := os.Stat(blob + ".incomplete"); err == nil {
						t.Error("the wrong file was not removed")
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			b.same(filepath.Join(r.Path, "model.safetensors"), weights)
			if b.meter.have.Load() != b.meter.total.Load() {
				t.Errorf("progress ends at %d of %d", b.meter.have.Load(), b.meter.total.Load())
			}
		})
	}
}

// TestToken: the token goes to the hub and to nobody else.
func TestToken(t *testing.T) {
	for _, c := range []struct {
		name   string
		env    map[string]string
		file   string // of the token, below HF_HOME
		redone string // address that the hub redirects its API to
	}{
		{name: "HF_TOKEN", env: map[string]string{"HF_TOKEN": "hf_secret"}},
		{name: "old name", env: map[string]string{"HUGGING_FACE_HUB_TOKEN": " hf_secret\n"}},
		{name: "file", file: "hf_secret\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t)
			for k, v := range c.env {
				b.env[k] = v
			}
			if c.file != "" {
				if err := os.WriteFile(filepath.Join(b.env["HF_HOME"], "token"), []byte(c.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			b.Gated, b.Token = true, "hf_secret"
			var asked, elsewhere atomic.Int64
			b.Before = func(_ http.ResponseWriter, r *http.Request) bool {
				token := r.Header.Get("Authorization")
				if "http://"+r.Host == b.front.URL {
					asked.Add(1)
					if token != "Bearer hf_secret" {
						t.Errorf("%s without the token: %q", r.URL, token)
					}
					return false
				}
				elsewhere.Add(1)
				if token != "" || strings.Contains(fmt.Sprint(r.Header), "secret") {
					t.Errorf("%s%s was told the token", r.Host, r.URL)
				}
				return false
			}
			if _, err := b.pull(Options{}); err != nil {
				t.Fatal(err)
			}
			if asked.Load() == 0 || elsewhere.Load() == 0 {
				t.Errorf("%d requests to the hub, %d to the other host", asked.Load(), elsewhere.Load())
			}
		})
	}
	b := newBed(t)
	b.env["HF_TOKEN"] = "hf secret"
	_, err := NewClient(func(name string) string { return b.env[name] })
	wants(t, err, "the token of HF_TOKEN has characters that no token has")
	if strings.Contains(err.Error(), "secret") {
		t.Error("the message shows the token")
	}
}

// TestImplicitToken: the token of the file is sent unless the user says no, the one of HF_TOKEN always.
func TestImplicitToken(t *testing.T) {
	for _, c := range []struct{ disable, token, want string }{
		{"", "", "hf_file"}, {"0", "", "hf_file"}, {"1", "", ""}, {"yes", "", ""}, {"true", "", ""}, {"1", "hf_given", "hf_given"}, {"", "hf_given", "hf_given"},
	} {
		home := t.TempDir()
		if err := os.WriteFile(filepath.Join(home, "token"), []byte("hf_file\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		env := map[string]string{"HF_HOME": home, "HF_HUB_DISABLE_IMPLICIT_TOKEN": c.disable, "HF_TOKEN": c.token}
		client, err := NewClient(func(name string) string { return env[name] })
		if err != nil || client.token != c.want {
			t.Errorf("%+v: %v; the token is %q", c, err, client.token)
		}
	}
}

// TestRedirects: a model that was renamed, an endless chain, a weaker scheme, another scheme.
func TestRedirects(t *testing.T) {
	b := newBed(t)
	b.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if rest, old := strings.CutPrefix(r.URL.Path, "/api/models/old/name/"); old {
			w.Header().Set("Location", "/api/models/owner/model/"+rest+"?"+r.URL.RawQuery)
			w.WriteHeader(http.StatusTemporaryRedirect)
			return true
		}
		if rest, old := strings.CutPrefix(r.URL.Path, "/old/name/"); old {
			w.Header().Set("Location", "/owner/model/"+rest)
			w.WriteHeader(http.StatusTemporaryRedirect)
			return true
		}
		return false
	}
	if _, err := b.pull(Options{ID: hub.ID{Owner: "old", Name: "name"}}); err != nil {
		t.Error(err)
	}
	if !strings.Contains(b.meter.text(), "old/name is now called owner/model") {
		t.Error(b.meter.text())
	}
	for to, want := range map[string]string{"/loop": "without an end", "file:///etc/passwd": "sends us to", "gopher://x/": "sends us to", "http:///nowhere": "sends us to"} {
		b.Before = func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
			return true
		}
		_, err := b.pull(Options{})
		wants(t, err, want)
	}
}

// TestRefusals: each status with its way out.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name  string
		token string
		gated bool
		id    hub.ID
		code  int // answered to everything, 0: as the hub does
		head  map[string]string
		body  string
		times int // how often code is answered; 0: always
		want  []string
		says  string
	}{
		{name: "no such model", id: hub.ID{Owner: "owner", Name: "modle"}, want: []string{"owner/modle does not exist on the hub, or is private", "check the name"}},
		{name: "nearly", id: hub.ID{Owner: "ownr", Name: "model"}, want: []string{"did you mean owner/model?"}},
		{name: "no such model, token", id: hub.ID{Owner: "owner", Name: "x"}, token: "right", want: []string{"owner/x does not exist on the hub, or is private", "the account of the token from HF_TOKEN"}},
		{name: "no such revision", id: hub.ID{Owner: "owner", Name: "model", Revision: "v9"}, want: []string{"owner/model has no revision v9", "it has main"}},
		{name: "wrong token", token: "wrong", want: []string{"the hub does not know the token from HF_TOKEN", "/settings/tokens"}},
		{name: "gated", gated: true, want: []string{"owner/model is gated", "accept its licence at http://", "/owner/model", "HF_TOKEN"}},
		{name: "gated, no access", token: "right", code: 403, head: map[string]string{"X-Error-Code": "GatedRepo"}, want: []string{"is gated, and this account has no access", "accept its licence at"}},
		{name: "forbidden", code: 403, want: []string{"access is refused", "accept the licence at"}},
		{name: "forbidden, token", token: "right", code: 403, body: `{"error": "no \u001b[31mscope"}`, want: []string{"access is refused: no [31mscope", "the right to read"}},
		{name: "rate", code: 429, head: map[string]string{"Retry-After": "7200"}, want: []string{"too many requests (429)", "wait 2h0m0s, as the server asks", "HF_TOKEN"}},
		{name: "rate, date", code: 429, head: map[string]string{"Retry-After": time.Now().Add(3 * time.Hour).UTC().Format(http.TimeFormat)}, want: []string{"too many requests (429)", "as the server asks"}},
		{name: "rate, once", code: 429, times: 1, head: map[string]string{"Retry-After": "0"}, says: "429 Too Many Requests; trying again"},
		{name: "rate, a second", code: 429, times: 1, head: map[string]string{"Retry-After": "1"}, says: "trying again in 1s"},
		{name: "broken", code: 500, want: []string{"500 Internal Server Error", "try again in a few minutes"}, says: "trying again"},
		{name: "broken, thrice", code: 503, times: 3, says: "503 Service Unavailable; trying again"},
		{name: "odd", code: 418, want: []string{"the server answers 418"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t)
			b.env["HF_TOKEN"], b.Token, b.Gated = c.token, "right", c.gated
			var asked atomic.Int64
			b.Before = func(w http.ResponseWriter, r *http.Request) bool {
				if n := int(asked.Add(1)); c.code == 0 || c.times > 0 && n > c.times {
					return false
				}
				for k, v := range c.head {
					w.Header()[k] = []string{v}
				}
				w.WriteHeader(c.code)
				io.WriteString(w, c.body)
				return true
			}
			_, err := b.pull(Options{ID: c.id})
			if !strings.Contains(b.meter.text(), c.says) {
				t.Errorf("said:\n%s\nwant %q", b.meter.text(), c.says)
			}
			if c.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wants(t, err, c.want...)
			if entries, _ := os.ReadDir(filepath.Join(b.env["HF_HOME"], "hub")); len(entries) > 0 {
				t.Errorf("it left %v", entries)
			}
		})
	}
}

// TestProxy: a proxy that is not there is what the error names, not the hub.
func TestProxy(t *testing.T) {
	for proxy, want := range map[string]string{
		"http://127.0.0.1:1":      "the proxy 127.0.0.1:1, through which hub.test is asked, cannot be reached: connect: connection refused",
		"http://nonsense.invalid": "the proxy nonsense.invalid, through which hub.test is asked, cannot be reached: there is no such host",
		"socks5://127.0.0.1:1":    "the proxy 127.0.0.1:1, through which hub.test is asked, cannot be reached: connect: connection refused",
	} {
		for _, scheme := range []string{"http", "https"} {
			b := newBed(t)
			b.env["HF_ENDPOINT"] = scheme + "://hub.test"
			c, err := NewClient(func(name string) string { return b.env[name] })
			if err != nil {
				t.Fatal(err)
			}
			at, _ := url.Parse(proxy)
			c.HTTP.Transport.(*http.Transport).Proxy = http.ProxyURL(at)
			_, err = c.send(context.Background(), "GET", scheme+"://hub.test/api/models/a/b", nil)
			wants(t, c.explain(context.Background(), err, hub.ID{Owner: "a", Name: "b"}), want, "mend or unset HTTPS_PROXY")
		}
	}
}

// TestUnreachable: no hub, with and without the model in the cache, and offline.
func TestUnreachable(t *testing.T) {
	b := newBed(t)
	at := b.env["HF_ENDPOINT"]
	b.env["HF_ENDPOINT"] = "http://127.0.0.1:1"
	_, err := b.pull(Options{})
	wants(t, err, "127.0.0.1:1 cannot be reached: connect: connection refused", "HTTPS_PROXY")
	b.env["HF_HUB_OFFLINE"] = "1"
	_, err = b.pull(Options{})
	wants(t, err, "HF_HUB_OFFLINE is set, and the hub's cache", "does not have it")
	b.env["HF_HUB_OFFLINE"], b.env["HF_ENDPOINT"] = "0", at
	r, err := b.pull(Options{})
	if err != nil {
		t.Fatal(err)
	}
	b.env["HF_ENDPOINT"] = "http://127.0.0.1:1"
	_, err = b.pull(Options{})
	wants(t, err, "cannot be reached", "the hub's cache has this model: use it as "+r.Path)
	b.env["HF_HUB_OFFLINE"] = "yes"
	if off, err := b.pull(Options{}); err != nil || off.Path != r.Path {
		t.Errorf("offline: %+v, %v", off, err)
	}
	for _, at := range []string{"huggingface.co", "ftp://x", "://", "http://"} {
		_, err := NewClient(func(name string) string { return map[string]string{"HF_ENDPOINT": at}[name] })
		wants(t, err, "is no address of a hub")
	}
}

// TestHostileList: what a list of files may not say.
func TestHostileList(t *testing.T) {
	commit := strings.Repeat("a", 40)
	file := func(name string, more string) string {
		quoted, _ := json.Marshal(name)
		return fmt.Sprintf(`{"sha": %q, "siblings": [{"rfilename": %s, "size": 5, "blobId": %q%s}]}`, commit, quoted, commit, more)
	}
	for _, c := range []struct{ answer, want string }{
		{file("../x.json", ""), "leads out of the folder"},
		{file("/etc/x.json", ""), "leads out of the folder"},
		{file("a/../../x.json", ""), "leads out of the folder"},
		{file("a//x.json", ""), "leads out of the folder"},
		{file(".", ""), "leads out of the folder"},
		{file("", ""), "its length is 0"},
		{file(strings.Repeat("n", 2000), ""), "its length is 2000"},
		{file(`a\..\x.json`, ""), "characters that no name should have"},
		{file("a\x1b[2Jx.json", ""), "characters that no name should have"},
		{file(".git/config", ""), "a folder that is not a model's"},
		{file("config.json", `, "lfs": {"sha256": "`+strings.Repeat("b", 64)+`", "size": -7}`), "has a size of -7"},
		{file("config.json", `, "lfs": {"sha256": "`+strings.Repeat("b", 64)+`", "size": 9007199254740993}`), "has a size of 9007199254740993"},
		{fmt.Sprintf(`{"sha": %q, "siblings": [{"rfilename": "a"}, {"rfilename": "a"}]}`, commit), "two files called"},
		{`{"sha": "../../x", "siblings": []}`, "is no hash"},
		{`{"sha": "main", "siblings": []}`, "is no hash"},
		{`<!DOCTYPE html><p>Log in to the hotel's network`, "is no list of files: <!DOCTYPE html>"},
		{`[]`, "is no list of files"},
		{fmt.Sprintf(`{"sha": %q}`, commit), "has no files"},
		{`{"sha": "` + commit + `", "siblings": [` + strings.Repeat(`{"rfilename": "a"},`, 100001) + `{"rfilename": "b"}]}`, "100002 files, at most 100000"},
	} {
		b := newBed(t)
		b.Before = func(w http.ResponseWriter, r *http.Request) bool {
			io.WriteString(w, c.answer)
			return true
		}
		to := filepath.Join(t.TempDir(), "deep", "to")
		_, err := b.pull(Options{To: to})
		wants(t, err, c.want)
		if _, err := os.Stat(filepath.Dir(to)); err == nil {
			t.Errorf("%.80s: something was written", c.answer)
		}
	}
}

// TestNoChecksums: a mirror whose list tells names only is asked for each file's ETag and size.
func TestNoChecksums(t *testing.T) {
	for _, c := range []struct {
		etag, says, want string
	}{
		{"", "", ""}, // the hub's own
		{`"5f3a-61"`, "the server gives no checksum of it; its size is all that is checked", ""},
		{`W/"5f3a-61"`, "the server gives no checksum", ""},
		{`"../../x"`, "", "does not tell which version of it this is"},
	} {
		b := newBed(t)
		b.Before = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasPrefix(r.URL.Path, "/api/") {
				r.URL.RawQuery = "" // as if blobs were not known
			}
			if c.etag != "" && strings.HasSuffix(r.URL.Path, "config.json") && strings.Contains(r.URL.Path, "/resolve/") {
				w.Header().Set("ETag", c.etag)
				w.Header().Set("Content-Length", fmt.Sprint(len(b.files["config.json"])))
				if r.Method != http.MethodHead {
					w.Write(b.files["config.json"])
				}
				return true
			}
			return false
		}
		r, err := b.pull(Options{})
		if c.want != "" {
			wants(t, err, c.want)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		b.same(filepath.Join(r.Path, "model.safetensors"), weights)
		b.same(filepath.Join(r.Path, "config.json"), b.files["config.json"])
		if !strings.Contains(b.meter.text(), c.says) {
			t.Errorf("said:\n%s\nwant %q", b.meter.text(), c.says)
		}
	}
}

// TestInterrupted: what came before the user stops a pull stays, and the next one goes on from there.
func TestInterrupted(t *testing.T) {
	b := newBed(t)
	ctx, stop := context.WithCancel(context.Background())
	half := len(weights) / 2
	b.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/cdn/") {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(weights)))
		w.Write(weights[:half])
		w.(http.Flusher).Flush()
		for b.partial() < int64(half) && r.Context().Err() == nil { // until all that was sent has arrived
			time.Sleep(time.Millisecond)
		}
		stop()
		<-r.Context().Done()
		return true
	}
	_, err := b.pullIn(ctx, Options{})
	var stopped *InterruptedError
	if !errors.As(err, &stopped) || stopped.Have < int64(half) || stopped.Have >= stopped.Total {
		t.Fatalf("%v, %+v", err, stopped)
	}
	b.Before = func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/cdn/") && r.Header.Get("Range") != fmt.Sprintf("bytes=%d-", half) {
			t.Errorf("asked for %q", r.Header.Get("Range"))
		}
		return false
	}
	r, err := b.pull(Options{})
	if err != nil {
		t.Fatal(err)
	}
	b.same(filepath.Join(r.Path, "model.safetensors"), weights)
}

// partial is how much of a file is in the cache that is not whole.
func (b *bed) partial() (n int64) {
	paths, _ := filepath.Glob(filepath.Join(b.env["HF_HOME"], "hub", "*", "blobs", "*.incomplete"))
	for _, p := range paths {
		if info, err := os.Stat(p); err == nil {
			n = max(n, info.Size())
		}
	}
	return n
}

// TestRefAtOnce: pulls that end in the same moment all leave the whole commit, and no file of theirs.
func TestRefAtOnce(t *testing.T) {
	p := &cached{dir: t.TempDir()}
	at := filepath.Join(p.dir, "refs", "main")
	if err := os.Mkdir(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	commit := strings.Repeat("c", 40)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			if err := p.replace(at, commit); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	raw, err := os.ReadFile(at)
	left, _ := filepath.Glob(filepath.Join(p.dir, "*"))
	hidden, _ := filepath.Glob(filepath.Join(p.dir, ".*"))
	if err != nil || string(raw) != commit || len(left)+len(hidden) != 1 {
		t.Errorf("%q, %v; left %v %v", raw, err, left, hidden)
	}
}

// TestTwoAtOnce: of two pulls one waits for the other, and each byte comes once.
func TestTwoAtOnce(t *testing.T) {
	for _, to := range []string{"", filepath.Join(t.TempDir(), "m")} {
		b := newBed(t)
		var asked atomic.Int64
		b.Before = func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.HasPrefix(r.URL.Path, "/cdn/") {
				asked.Add(1)
				time.Sleep(300 * time.Millisecond)
			}
			return false
		}
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				c, err := NewClient(func(name string) string { return b.env[name] })
				if err == nil {
					_, err = Pull(context.Background(), c, Options{ID: hub.ID{Owner: "owner", Name: "model"}, To: to}, b.meter)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		if asked.Load() != 1 || !strings.Contains(b.meter.text(), "waiting") {
			t.Errorf("to %q: %d requests for the weights; said:\n%s", to, asked.Load(), b.meter.text())
		}
	}
}

// TestDisk: no space, a cache that cannot be written, and one that need not be.
func TestDisk(t *testing.T) {
	if err := enough(filepath.Join(t.TempDir(), "not", "there"), 1<<60); err == nil {
		t.Error("2^60 bytes fit")
	} else {
		wants(t, err, "1048576 TiB are to be downloaded", "are free there", "HF_HUB_CACHE")
	}
	b := newBed(t)
	file := filepath.Join(b.env["HF_HOME"], "hub")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := b.pull(Options{}); err == nil {
		t.Error("a cache that is a file")
	}
}

// TestSmallFilesFirst: what is small is asked for before what is large, so that a configuration that cannot be had ends a pull early.
func TestSmallFilesFirst(t *testing.T) {
	for _, sizes := range [][]int64{{900, 800, 3, 700, 2, 600, 1}, {1, 2, 3, 900}, {1 << 40, 5, 1 << 39, 4, 3}, {7, 7, 1 << 33, 7, 1 << 34, 1 << 35}} {
		var files []*File
		for i, n := range sizes {
			files = append(files, &File{Name: fmt.Sprint(i), Size: n})
		}
		var mu sync.Mutex
		var begun []int64
		var three sync.WaitGroup
		three.Add(parallel)
		err := (&Client{}).each(context.Background(), files, func(_ context.Context, f *File) error {
			mu.Lock()
			n := len(begun)
			begun = append(begun, f.Size)
			mu.Unlock()
			if n < parallel { // as long as all are busy
				three.Done()
				three.Wait()
			}
			return nil
		})
		if err != nil || len(begun) != len(files) {
			t.Fatal(err, begun)
		}
		slices.Sort(sizes)
		first := slices.Sorted(slices.Values(begun[:parallel]))
		if !slices.Equal(first, sizes[:parallel]) {
			t.Errorf("of %v the first are %v", sizes, first)
		}
	}
}
