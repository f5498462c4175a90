// Package pull downloads models from the Hugging Face hub, or a server that speaks as it does, into the hub's cache, where
// huggingface_hub finds them, or into a plain folder.
//
// What a server says is not believed: names must stay inside the folder, sizes and lists are bounded, and every file is compared
// with its checksum before it gets its name. The token goes to the hub itself and to no other host.
package pull

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"lomo/internal/checkpoint"
	"lomo/internal/fault"
	"lomo/internal/hub"
)

// Options is what to download, and to where.
type Options struct {
	ID      hub.ID
	To      string   // a plain folder; "" is the cache
	Include []string // patterns of names; none takes what a model needs
	Force   bool     // write over files of To that differ
}

// Meter is shown the progress. Its methods may be called from several goroutines.
type Meter interface {
	Start(files int, total, have int64) // what there is to do
	Add(n int64)                        // bytes that arrived; below 0 when some are thrown away
	Note(format string, args ...any)    // a line of talk
}

// Result is what a pull left behind.
type Result struct {
	Path   string // folder of the model, or its .gguf file
	Commit string
	Files  int
	Bytes  int64 // of all files
	Loaded int64 // of them, over the network now
	Copied int   // files that were taken from the cache
}

// InterruptedError says how much of a pull is there when the user stops it.
type InterruptedError struct{ Have, Total int64 }

func (e *InterruptedError) Error() string {
	return fmt.Sprintf("interrupted: %s of %s are there; the same command goes on from here", checkpoint.FormatSize(e.Have), checkpoint.FormatSize(e.Total))
}

// parallel is how many files are fetched at once.
const parallel = 3

// Pull downloads what o asks for.
func Pull(ctx context.Context, c *Client, o Options, m Meter) (*Result, error) {
	c.note = m.Note
	if c.Offline {
		return c.offline(o)
	}
	repo, err := c.list(ctx, o.ID)
	if err != nil {
		return nil, c.withCache(err, o)
	}
	if repo.id != o.ID.String() {
		m.Note("%s is now called %s", o.ID, fault.Line(repo.id))
	}
	chosen, left, err := choose(repo.files, o)
	if err != nil {
		return nil, err
	}
	left.note(m.Note)
	if err := c.complete(ctx, repo, chosen); err != nil {
		return nil, err
	}
	to, err := c.place(repo, o)
	if err != nil {
		return nil, err
	}
	defer to.close()
	return c.fetchAll(ctx, repo, chosen, to, o, m)
}

// complete asks for the checksums and sizes that the list of files did not tell.
func (c *Client) complete(ctx context.Context, repo *repository, files []*File) error {
	for _, f := range files {
		if f.Size >= 0 && f.tag() != "" {
			continue
		}
		if err := c.head(ctx, repo, f); err != nil {
			return err
		}
	}
	return nil
}

// fetchAll brings every file to its place.
func (c *Client) fetchAll(ctx context.Context, repo *repository, files []*File, to place, o Options, m Meter) (*Result, error) {
	r := &Result{Commit: repo.commit, Files: len(files)}
	var missing []*File
	var need, have int64
	for _, f := range files {
		there, err := to.has(f)
		if err != nil {
			return nil, err
		}
		r.Bytes += f.Size
		if there {
			have += f.Size
			continue
		}
		part := partSize(to.part(f), f.Size)
		missing, need, have = append(missing, f), need+f.Size-part, have+part
	}
	if err := enough(to.root(), need); err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		if err := to.begin(ctx, m.Note); err != nil {
			return nil, err
		}
		m.Start(len(missing), r.Bytes, have)
	}
	c.loaded.Store(0)
	c.copied.Store(0)
	if err := c.each(ctx, missing, func(ctx context.Context, f *File) error { return c.bring(ctx, repo, f, to, m) }); err != nil {
		if ctx.Err() != nil {
			return nil, &InterruptedError{there(files, to), r.Bytes}
		}
		return nil, err
	}
	if err := to.finish(repo, o.ID.Revision); err != nil {
		return nil, err
	}
	r.Copied = int(c.copied.Load())
	r.Loaded, r.Path = c.loaded.Load(), filepath.Join(to.model(), filepath.FromSlash(theGGUF(files)))
	return r, nil
}

// there is how many bytes of the files a place holds, parts included.
func there(files []*File, to place) (n int64) {
	for _, f := range files {
		if has, _ := to.has(f); has {
			n += f.Size
		} else {
			n += partSize(to.part(f), f.Size)
		}
	}
	return n
}

// each runs fetch on a few files at once. The first error ends the others; what they have so far stays for the next time.
func (c *Client) each(ctx context.Context, files []*File, fetch func(context.Context, *File) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan *File)
	var all sync.WaitGroup
	for range min(parallel, len(files)) {
		all.Go(func() {
			for f := range queue {
				if err := fetch(ctx, f); err != nil {
					cancel(err)
				}
			}
		})
	}
	// The small files go first: a configuration that cannot be had is found before gigabytes are fetched.
	for _, f := range slices.SortedStableFunc(slices.Values(files), func(a, b *File) int { return int(min(max(a.Size-b.Size, -1), 1)) }) {
		select {
		case queue <- f:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(queue)
	all.Wait()
	return context.Cause(ctx)
}

// theGGUF is the GGUF file of a list without another form of weights, the first of a split one.
func theGGUF(files []*File) (name string) {
	for _, f := range files {
		switch {
		case isWeights(f.Name) && !strings.HasSuffix(f.Name, ".gguf"):
			return ""
		case strings.HasSuffix(f.Name, ".gguf") && !hub.LaterPart(f.Name) && !isProjector(f.Name):
			if name != "" {
				return "" // several: the folder
			}
			name = f.Name
		}
	}
	return name
}

// offline answers from the cache alone.
func (c *Client) offline(o Options) (*Result, error) {
	if at, commit := c.snapshot(o.ID); at != "" && o.To == "" {
		return &Result{Path: c.cachedModel(at, o), Commit: commit}, nil
	}
	return nil, fault.Refuse("unset HF_HUB_OFFLINE (and TRANSFORMERS_OFFLINE) to download it", "%s: HF_HUB_OFFLINE is set, and the hub's cache (%s) does not have it", o.ID, c.Cache)
}

// cachedModel is the path of the model in a snapshot: the one GGUF file that is meant, or the folder.
func (c *Client) cachedModel(at string, o Options) string {
	var files []*File
	for _, path := range append(hub.Glob(at, "*"), hub.Glob(at, "*/*.gguf")...) {
		rel, _ := filepath.Rel(at, path)
		if o.ID.Quant == "" || !strings.HasSuffix(rel, ".gguf") || strings.EqualFold(hub.QuantOf(rel), o.ID.Quant) {
			files = append(files, &File{Name: filepath.ToSlash(rel)})
		}
	}
	return filepath.Join(at, filepath.FromSlash(theGGUF(files)))
}

// withCache adds to an error of a hub that cannot be reached that the cache has the model.
func (c *Client) withCache(err error, o Options) error {
	if at, _ := c.snapshot(o.ID); at != "" && errors.As(err, new(*unreachable)) {
		return fault.Refuse(fmt.Sprintf("the hub's cache has this model: use it as %s, or set HF_HUB_OFFLINE=1", at), "%w", err)
	}
	return err
}

// snapshot is the folder and commit of a model in the cache, "" when it is not there.
func (c *Client) snapshot(id hub.ID) (at, commit string) {
	dir := filepath.Join(c.Cache, id.Folder())
	rev := id.Revision
	if rev == "" {
		rev = "main"
	}
	if commit = hub.Ref(dir, rev); commit == "" {
		commit = rev
	}
	at = filepath.Join(dir, "snapshots", commit)
	if st, err := os.Stat(at); !isCommit.MatchString(commit) || err != nil || !st.IsDir() {
		return "", ""
	}
	return at, commit
}
