package pull

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"lomo/internal/fault"
	"lomo/internal/hub"
)

// Client speaks with a hub.
type Client struct {
	Endpoint *url.URL
	Cache    string // folder of the cache
	Offline  bool   // HF_HUB_OFFLINE: nothing is asked of a server

	HTTP     *http.Client
	Patience time.Duration // without a sign of life a connection is given up after this
	Pause    time.Duration // before the second try; doubled before each further one
	Tries    int           // of a request that fails for a reason that may pass
	MaxPause time.Duration // the longest wait a server may ask for

	token     string
	tokenFrom string // where it was found, for messages

	note    func(string, ...any)
	reached atomic.Bool  // some answer came: the hub is there
	loaded  atomic.Int64 // bytes of files that came over the network
	copied  atomic.Int64 // files that came from the cache
}

// DefaultEndpoint is the hub itself.
const DefaultEndpoint = "https://huggingface.co"

// NewClient is a client as the environment describes it, with the variables that huggingface_hub reads.
func NewClient(env func(string) string) (*Client, error) {
	at := strings.TrimRight(env("HF_ENDPOINT"), "/")
	if at == "" {
		at = DefaultEndpoint
	}
	endpoint, err := url.Parse(at)
	if err != nil || endpoint.Scheme != "https" && endpoint.Scheme != "http" || endpoint.Host == "" || endpoint.User != nil {
		return nil, &ChoiceError{fault.Refuse("e.g. HF_ENDPOINT="+DefaultEndpoint, "HF_ENDPOINT: %q is no address of a hub", fault.Line(at))}
	}
	c := &Client{Endpoint: endpoint, Cache: hub.Cache(env), Patience: 30 * time.Second, Pause: time.Second, Tries: 6, MaxPause: 5 * time.Minute, note: func(string, ...any) {}}
	if text := env("HF_HUB_DOWNLOAD_TIMEOUT"); text != "" {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil || !(seconds > 0 && seconds < 1e6) {
			return nil, &ChoiceError{fault.Refuse("give seconds, e.g. 30", "HF_HUB_DOWNLOAD_TIMEOUT: %q is no number of seconds", fault.Line(text))}
		}
		c.Patience = time.Duration(seconds * float64(time.Second))
	}
	for _, name := range []string{"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} {
		c.Offline = c.Offline || truth(env(name))
	}
	if err := c.findToken(env); err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() // HTTPS_PROXY and its kin are honoured
	transport.DisableCompression = true                          // a file is wanted as it is
	transport.DialContext = (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	transport.MaxResponseHeaderBytes = 1 << 20
	c.HTTP = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

// truth is how huggingface_hub reads a variable that says yes or no.
func truth(s string) bool {
	switch strings.ToUpper(s) {
	case "1", "ON", "YES", "TRUE":
		return true
	}
	return false
}

// findToken looks for the user's token where huggingface_hub does.
func (c *Client) findToken(env func(string) string) error {
	for _, name := range []string{"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"} {
		if t := strings.TrimSpace(env(name)); t != "" {
			c.token, c.tokenFrom = t, name
			return c.checkToken()
		}
	}
	if truth(env("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
		return nil
	}
	at := env("HF_TOKEN_PATH")
	if at == "" {
		at = filepath.Join(hub.Home(env), "token")
	}
	st, err := os.Stat(at)
	if err != nil || !st.Mode().IsRegular() || st.Size() > 4096 {
		return nil
	}
	raw, err := os.ReadFile(at)
	if err != nil {
		return nil
	}
	c.token, c.tokenFrom = strings.TrimSpace(string(raw)), at
	return c.checkToken()
}

// checkToken refuses what cannot stand in a header; the token itself is never shown.
func (c *Client) checkToken() error {
	for _, r := range c.token {
		if r <= ' ' || r > '~' {
			return &ChoiceError{fault.Refuse("copy it again from "+DefaultEndpoint+"/settings/tokens", "the token of %s has characters that no token has", c.tokenFrom)}
		}
	}
	return nil
}

// statusError is an answer that is not what was asked for.
type statusError struct {
	code       int
	kind       string // X-Error-Code: RepoNotFound, RevisionNotFound, EntryNotFound, GatedRepo, …
	message    string
	retryAfter string
	sentToken  bool
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("the server answers %d %s", e.code, http.StatusText(e.code))
	if e.message != "" {
		text += ": " + e.message
	}
	return text
}

// passing tells answers that may be others in a moment.
func (e *statusError) passing() bool {
	return e.code == http.StatusTooManyRequests || e.code == http.StatusRequestTimeout || e.code >= 500 && e.code != http.StatusNotImplemented
}

// unreachable is a server that did not answer at all.
type unreachable struct {
	host  string
	proxy string // through which the request went, when it is the proxy that failed
	err   error
}

func (e *unreachable) Error() string {
	if e.proxy != "" {
		return fmt.Sprintf("the proxy %s, through which %s is asked, cannot be reached: %v", e.proxy, e.host, plain(e.err))
	}
	return fmt.Sprintf("%s cannot be reached: %v", e.host, plain(e.err))
}
func (e *unreachable) Unwrap() error { return e.err }

// hint says what to look at.
func (e *unreachable) hint() string {
	if e.proxy != "" {
		return "mend or unset HTTPS_PROXY (or HTTP_PROXY, ALL_PROXY), or name the host in NO_PROXY; then give the same command again"
	}
	return "check the network, HTTPS_PROXY, and HF_ENDPOINT (a mirror); then give the same command again"
}

// through is the address of the proxy whose fault an error is, "" if it is not a proxy's.
func (c *Client) through(req *http.Request, err error) string {
	t, ok := c.HTTP.Transport.(*http.Transport)
	if !ok || t.Proxy == nil {
		return ""
	}
	p, bad := t.Proxy(req)
	if bad != nil || p == nil {
		return ""
	}
	var op *net.OpError
	if errors.As(err, &op) && (op.Op == "proxyconnect" || op.Op == "dial" || op.Op == "socks connect") { // else the proxy answered
		return fault.Line(p.Host)
	}
	return ""
}

// plain is a network error without the parts that say what the program was doing.
func plain(err error) error {
	var dns *net.DNSError
	var op *net.OpError
	var certificate *tls.CertificateVerificationError
	var of *url.Error
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return errors.New("there is no such host")
	case errors.As(err, &dns):
		return errors.New("its name cannot be looked up")
	case errors.As(err, &certificate):
		return fmt.Errorf("its certificate is not trusted (%w)", certificate.Err)
	case errors.As(err, &op) && op.Err != nil:
		for inner := (*net.OpError)(nil); errors.As(op.Err, &inner) && inner.Err != nil; { // a proxy's holds that of its connection
			op = inner
		}
		return op.Err
	case errors.As(err, &of):
		return of.Err
	}
	return err
}

// send makes one request and follows its redirects by hand: the token goes to the hub's own host only, and never over a weaker scheme.
func (c *Client) send(ctx context.Context, method, at string, header http.Header) (*http.Response, error) {
	next, err := url.Parse(at)
	if err != nil {
		return nil, err
	}
	var told http.Header // by the hub itself, before it sent us elsewhere
	for range 10 {
		req, err := http.NewRequestWithContext(ctx, method, next.String(), nil)
		if err != nil {
			return nil, err
		}
		for name, values := range header {
			req.Header[name] = values
		}
		req.Header.Set("User-Agent", "lomo")
		req.Header.Set("Accept-Encoding", "identity")
		own := next.Scheme == c.Endpoint.Scheme && strings.EqualFold(next.Host, c.Endpoint.Host)
		if own && c.token != "" {
			req.Header.Set("Authorization", "Bearer "+c.token)
		}
		if !own {
			req.Header.Del("If-Range") // another host has its own names for a content
		}
		resp, err := c.HTTP.Do(req)
		if err != nil {
			switch cause := context.Cause(ctx); {
			case errors.Is(cause, errStalled):
				return nil, &cut{fmt.Sprintf("no answer for %s", c.Patience)}
			case cause != nil:
				return nil, cause
			}
			return nil, &unreachable{next.Host, c.through(req, err), err}
		}
		c.reached.Store(true)
		if own {
			told = resp.Header
		}
		if resp.StatusCode >= 300 && resp.StatusCode < 400 && resp.Header.Get("Location") != "" {
			io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
			resp.Body.Close()
			to, err := next.Parse(resp.Header.Get("Location"))
			switch {
			case err != nil || to.Scheme != "https" && to.Scheme != "http" || to.Host == "":
				return nil, fault.Refuse(strange, "%s sends us to %q", next.Host, fault.Line(resp.Header.Get("Location")))
			case next.Scheme == "https" && to.Scheme == "http":
				return nil, fault.Refuse(strange, "%s sends us from https to http, to %s", next.Host, fault.Line(to.Host))
			case method == http.MethodHead && !strings.EqualFold(to.Host, next.Host):
				return resp, nil // what the hub says of the file stands in its own answer
			}
			next = to
			continue
		}
		if resp.StatusCode >= 300 {
			return nil, c.refusal(resp, own)
		}
		for _, name := range []string{"X-Repo-Commit", "X-Linked-Etag", "X-Linked-Size"} {
			if v := told.Get(name); v != "" && resp.Header.Get(name) == "" {
				resp.Header.Set(name, v)
			}
		}
		return resp, nil
	}
	return nil, fault.Refuse(strange, "%s sends us from one address to another without an end", c.Endpoint.Host)
}

// refusal reads what a server says with a status that is no success.
func (c *Client) refusal(resp *http.Response, own bool) *statusError {
	defer resp.Body.Close()
	e := &statusError{code: resp.StatusCode, kind: resp.Header.Get("X-Error-Code"), retryAfter: resp.Header.Get("Retry-After"), sentToken: own && c.token != ""}
	e.message = fault.Line(resp.Header.Get("X-Error-Message"))
	if e.message == "" {
		raw, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		var said struct{ Error string }
		if json.Unmarshal(raw, &said) == nil {
			e.message = fault.Line(said.Error)
		}
	}
	return e
}

// again tells whether a request that failed is worth another try, and waits before it. n is the number of tries so far.
func (c *Client) again(ctx context.Context, err error, n int, what string) bool {
	var status *statusError
	var gone *unreachable
	wait := c.Pause << min(n-1, 8)
	why := ""
	switch {
	case ctx.Err() != nil || n >= c.Tries:
		return false
	case errors.As(err, &status) && status.passing():
		asked := retryAfter(status.retryAfter)
		if asked > c.MaxPause {
			return false
		}
		wait = max(wait, asked)
		why = fmt.Sprintf("%s: %v", what, status)
	case errors.As(err, &gone) && c.reached.Load() && !errors.As(err, new(*tls.CertificateVerificationError)):
		why = fmt.Sprintf("%s: %v", what, gone)
	case errors.As(err, new(*cut)):
		why = fmt.Sprintf("%s: %v", what, err)
	default:
		return false
	}
	c.note("%s; trying again in %s", why, wait.Round(time.Millisecond))
	select {
	case <-time.After(wait):
		return true
	case <-ctx.Done():
		return false
	}
}

// retryAfter reads seconds or a date.
func retryAfter(text string) time.Duration {
	if n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32); err == nil {
		return time.Duration(max(n, 0)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// read is the whole answer to a question of at most limit bytes.
func (c *Client) read(ctx context.Context, at string, limit int64) ([]byte, error) {
	for n := 1; ; n++ {
		raw, err := c.readOnce(ctx, at, limit)
		if err == nil || !c.again(ctx, err, n, c.Endpoint.Host) {
			return raw, err
		}
	}
}

func (c *Client) readOnce(ctx context.Context, at string, limit int64) ([]byte, error) {
	ctx, alive, done := c.watch(ctx)
	defer done()
	resp, err := c.send(ctx, http.MethodGet, c.Endpoint.String()+at, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(&counted{resp.Body, alive}, limit+1))
	if err != nil {
		return nil, c.cutOff(ctx, err)
	}
	if int64(len(raw)) > limit {
		return nil, fault.Refuse(strange, "%s: an answer of more than %d bytes", c.Endpoint.Host, limit)
	}
	return raw, nil
}

// head asks for what the list of files did not tell of a file.
func (c *Client) head(ctx context.Context, repo *repository, f *File) error {
	var h http.Header
	for n := 1; ; n++ {
		resp, err := c.headOnce(ctx, repo, f)
		if err == nil {
			h = resp
			break
		}
		if !c.again(ctx, err, n, f.Name) {
			return c.explain(ctx, err, repo.name)
		}
	}
	if at := h.Get("X-Repo-Commit"); at != "" && at != repo.commit {
		return fault.Refuse("give the same command again", "%s: the hub speaks of another commit (%s) than in its list", f.Name, fault.Line(at))
	}
	tag := h.Get("X-Linked-Etag")
	if tag == "" {
		tag = h.Get("ETag")
	}
	tag = strings.Trim(strings.TrimPrefix(tag, "W/"), `"`)
	size := h.Get("X-Linked-Size")
	if size == "" {
		size = h.Get("Content-Length")
	}
	if n, err := strconv.ParseInt(size, 10, 64); f.Size < 0 && (err != nil || n < 0 || n > maxSize) {
		return fault.Refuse(strange, "%s: the server does not tell its size", f.Name)
	} else if f.Size < 0 {
		f.Size = n
	}
	switch {
	case isSHA256.MatchString(tag):
		f.SHA256 = tag
	case isSHA1.MatchString(tag):
		f.Git = tag
	case isTag.MatchString(tag):
		f.etag = tag
		c.note("%s: the server gives no checksum of it; its size is all that is checked", f.Name)
	default:
		return fault.Refuse(strange, "%s: the server does not tell which version of it this is (ETag %q)", f.Name, fault.Line(tag))
	}
	return nil
}

func (c *Client) headOnce(ctx context.Context, repo *repository, f *File) (http.Header, error) {
	ctx, _, done := c.watch(ctx)
	defer done()
	resp, err := c.send(ctx, http.MethodHead, c.address(repo, f), nil)
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	return resp.Header, nil
}

// address is where a file is: at the commit of the list, so that it cannot change on the way.
func (c *Client) address(repo *repository, f *File) string {
	var parts []string
	for _, p := range strings.Split(f.Name, "/") {
		parts = append(parts, url.PathEscape(p))
	}
	return fmt.Sprintf("%s/%s/resolve/%s/%s", c.Endpoint, repo.name, repo.commit, strings.Join(parts, "/"))
}
