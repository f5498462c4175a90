package pull

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"lomo/internal/checkpoint"
	"lomo/internal/fault"
)

// cut is a connection that ended before the file did.
type cut struct{ why string }

func (e *cut) Error() string { return e.why }

var errStalled = errors.New("no data came")

// leastRate is what a connection must bring in each span of Patience, in bytes, to count as alive.
const leastRate = 1024

// watch ends ctx when too few bytes were counted for too long.
func (c *Client) watch(parent context.Context) (ctx context.Context, arrived *atomic.Int64, done func()) {
	ctx, cancel := context.WithCancelCause(parent)
	arrived = new(atomic.Int64)
	go func() {
		tick := time.NewTicker(c.Patience)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if arrived.Swap(0) < leastRate {
					cancel(errStalled)
				}
			}
		}
	}()
	return ctx, arrived, func() { cancel(nil) }
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n *atomic.Int64
}

func (r *counted) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.n.Add(int64(n))
	return n, err
}

// cutOff is the error of a read that ended too early, told from an end that the user wants.
func (c *Client) cutOff(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, errStalled) {
		return cause
	}
	if errors.Is(context.Cause(ctx), errStalled) || errors.Is(err, errStalled) {
		return &cut{fmt.Sprintf("nothing came for %s", c.Patience)}
	}
	return &cut{"the connection was cut"}
}

// writeError marks an error of the disk, which no other try mends.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

// download is a file on its way into part, the file of what is there so far.
type download struct {
	c    *Client
	repo *repository
	file *File
	part *os.File
	m    Meter

	sum    hash.Hash // of the bytes in part; nil when no checksum is known
	have   int64     // bytes in part
	etag   string    // of the answer that the last bytes came from
	cached bool      // part of the bytes are from an earlier time
}

// fetch brings a file into the file at part, resuming what is there, and compares its checksum. What fails it removes.
func (c *Client) fetch(ctx context.Context, repo *repository, f *File, part string, m Meter) error {
	out, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE|noFollow, 0o644)
	if err != nil {
		return diskError(part, err)
	}
	defer out.Close()
	d := &download{c: c, repo: repo, file: f, part: out, m: m}
	if err := d.begin(); err != nil {
		return err
	}
	for whole := !d.cached; ; whole = true {
		if err := d.all(ctx); err != nil {
			return err
		}
		err := d.verify()
		if err == nil {
			return diskError(part, out.Sync())
		}
		if whole {
			out.Close()
			os.Remove(part)
			m.Add(-d.have)
			return err
		}
		m.Note("%s: what was there from an earlier time is not its beginning; fetching it anew", f.Name)
		if err := d.restart(); err != nil {
			return err
		}
	}
}

// begin takes over what an earlier time has left.
func (d *download) begin() error {
	d.newSum()
	st, err := d.part.Stat()
	if err != nil {
		return diskError(d.part.Name(), err)
	}
	if st.Size() > d.file.Size {
		return diskError(d.part.Name(), d.part.Truncate(0))
	}
	if st.Size() > 0 {
		d.cached = true
		n, err := io.Copy(d.writer(), d.part)
		d.have = n
		return diskError(d.part.Name(), err)
	}
	return nil
}

// writer is where bytes that are in part already go.
func (d *download) writer() io.Writer {
	if d.sum == nil {
		return io.Discard
	}
	return d.sum
}

func (d *download) newSum() {
	switch {
	case d.file.SHA256 != "":
		d.sum = sha256.New()
	case d.file.Git != "":
		d.sum = sha1.New()
		fmt.Fprintf(d.sum, "blob %d\x00", d.file.Size)
	}
}

// restart throws away what is there.
func (d *download) restart() error {
	d.m.Add(-d.have)
	d.have, d.etag, d.cached = 0, "", false
	d.newSum()
	if _, err := d.part.Seek(0, io.SeekStart); err != nil {
		return diskError(d.part.Name(), err)
	}
	return diskError(d.part.Name(), d.part.Truncate(0))
}

// all asks for the rest until it is there. Tries are counted anew when a good piece came.
func (d *download) all(ctx context.Context) error {
	const goodPiece = 1 << 20
	for n := 1; d.have < d.file.Size || d.file.Size == 0 && n == 1 && !d.cached; n++ {
		before := d.have
		err := d.rest(ctx)
		if err == nil {
			continue
		}
		if errors.As(err, new(*writeError)) || errors.As(err, new(*fault.Error)) {
			return err
		}
		if d.have-before >= goodPiece {
			n = 1
		}
		what := d.file.Name
		if d.have > 0 {
			what = fmt.Sprintf("%s at %s of %s", d.file.Name, checkpoint.FormatSize(d.have), checkpoint.FormatSize(d.file.Size))
		}
		if !d.c.again(ctx, err, n, what) {
			return d.gaveUp(ctx, err)
		}
	}
	return nil
}

func (d *download) gaveUp(ctx context.Context, err error) error {
	var broken *cut
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.As(err, &broken) {
		return fault.Refuse("give the same command again: it goes on where this one stopped", "%s: %w at %s of %s, again and again", d.file.Name, err, checkpoint.FormatSize(d.have), checkpoint.FormatSize(d.file.Size))
	}
	if status := (*statusError)(nil); errors.As(err, &status) && status.code == http.StatusNotFound && status.kind != "RepoNotFound" {
		return fault.Refuse("the hub's list names a file that it does not have: try again later, or another --revision", "%s: %w", d.file.Name, err)
	}
	return fmt.Errorf("%s: %w", d.file.Name, d.c.explain(ctx, err, d.repo.name))
}

// rest makes one request for what is missing.
func (d *download) rest(ctx context.Context) error {
	ctx, arrived, done := d.c.watch(ctx)
	defer done()
	header := http.Header{}
	if d.have > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", d.have))
		if strings.HasPrefix(d.etag, `"`) {
			header.Set("If-Range", d.etag)
		}
	}
	resp, err := d.c.send(ctx, http.MethodGet, d.c.address(d.repo, d.file), header)
	var status *statusError
	switch {
	case errors.As(err, &status) && status.code == http.StatusRequestedRangeNotSatisfiable && d.have > 0:
		d.m.Note("%s: the server has no rest of it; fetching it anew", d.file.Name)
		if err := d.restart(); err != nil {
			return err
		}
		return &cut{"the range is not there"}
	case err != nil:
		return err
	}
	defer resp.Body.Close()
	if err := d.accept(resp); err != nil {
		return err
	}
	return d.copy(ctx, resp, arrived)
}

// accept checks that an answer is the rest of the same file, and begins anew where it is the whole of it.
func (d *download) accept(resp *http.Response) error {
	f := d.file
	if at := resp.Header.Get("X-Repo-Commit"); at != "" && at != d.repo.commit {
		return fault.Refuse("give the same command again", "%s: the hub sends it from another commit (%s) than the one asked for", f.Name, fault.Line(at))
	}
	if size := resp.Header.Get("X-Linked-Size"); size != "" && size != strconv.FormatInt(f.Size, 10) {
		return fault.Refuse(strange, "%s: the hub lists %d bytes, and the server has %s", f.Name, f.Size, fault.Line(size))
	}
	etag := resp.Header.Get("ETag")
	changed := d.etag != "" && etag != d.etag
	d.etag = etag
	if d.have == 0 {
		if n := resp.ContentLength; n >= 0 && n != f.Size {
			return fault.Refuse(strange, "%s: the hub lists %d bytes, and the server sends %d", f.Name, f.Size, n)
		}
		return nil
	}
	from, total, ok := contentRange(resp.Header.Get("Content-Range"))
	switch {
	case resp.StatusCode != http.StatusPartialContent:
		d.m.Note("%s: the server sends no parts of it; fetching it from the beginning", f.Name)
	case !ok || from != d.have || total >= 0 && total != f.Size:
		d.m.Note("%s: the server sends another part than the one asked for; fetching it anew", f.Name)
		if err := d.restart(); err != nil {
			return err
		}
		return &cut{"it is another part"}
	case changed:
		d.m.Note("%s: it changed on the server; fetching it anew", f.Name)
		if err := d.restart(); err != nil {
			return err
		}
		return &cut{"it changed"}
	default:
		return nil
	}
	if err := d.restart(); err != nil {
		return err
	}
	d.etag = etag
	return nil
}

// contentRange reads "bytes 5-9/10"; total is -1 for *.
func contentRange(text string) (from, total int64, ok bool) {
	span, size, ok := strings.Cut(strings.TrimPrefix(text, "bytes "), "/")
	first, _, dash := strings.Cut(span, "-")
	from, err := strconv.ParseInt(first, 10, 64)
	if !ok || !dash || err != nil {
		return 0, 0, false
	}
	if size == "*" {
		return from, -1, true
	}
	total, err = strconv.ParseInt(size, 10, 64)
	return from, total, err == nil
}

// copy takes the body of an answer, no more of it than the file is long.
func (d *download) copy(ctx context.Context, resp *http.Response, arrived *atomic.Int64) error {
	body := &counted{resp.Body, arrived}
	buf := make([]byte, 256<<10)
	for {
		n, err := body.Read(buf)
		if int64(n) > d.file.Size-d.have {
			return fault.Refuse(strange, "%s: the server sends more than the %d bytes it announced", d.file.Name, d.file.Size)
		}
		if n > 0 {
			if _, werr := d.part.WriteAt(buf[:n], d.have); werr != nil {
				return &writeError{diskError(d.part.Name(), werr)}
			}
			d.writer().Write(buf[:n])
			d.have += int64(n)
			d.m.Add(int64(n))
			d.c.loaded.Add(int64(n))
		}
		switch {
		case err == io.EOF && d.have < d.file.Size:
			return d.c.cutOff(ctx, err)
		case err == io.EOF:
			return nil
		case err != nil:
			return d.c.cutOff(ctx, err)
		}
	}
}

// verify compares the checksum of what is there with the hub's.
func (d *download) verify() error {
	want, kind := d.file.SHA256, "SHA-256"
	if want == "" {
		want, kind = d.file.Git, "git hash"
	}
	if want == "" {
		return nil
	}
	if got := hex.EncodeToString(d.sum.Sum(nil)); got != want {
		return fault.Refuse("give the command again; if it fails the same way, a proxy or mirror changes the file", "%s: wrong checksum: %s %s…, the hub says %s…; the file was removed", d.file.Name, kind, got[:12], want[:12])
	}
	return nil
}

// sumOf tells whether the file at path has f's size and checksum.
func sumOf(path string, f *File) (same bool, err error) {
	in, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil || !st.Mode().IsRegular() || st.Size() != f.Size {
		return false, err
	}
	d := &download{file: f}
	d.newSum()
	if d.sum == nil {
		return true, nil
	}
	if _, err := io.Copy(d.sum, in); err != nil {
		return false, err
	}
	return d.verify() == nil, nil
}

// diskError adds the way out to an error of the disk.
func diskError(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return fault.Refuse("free some space, or choose another place: --to DIR, or HF_HUB_CACHE for the cache; what is there stays", "the disk is full: %w", err)
	case errors.Is(err, syscall.EROFS), errors.Is(err, os.ErrPermission):
		return fault.Refuse("choose a place that can be written: --to DIR, or HF_HUB_CACHE for the cache", "%w", err)
	}
	return err
}
