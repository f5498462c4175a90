package pull

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"lomo/internal/checkpoint"
	"lomo/internal/fault"
)

// partsFolder is where --to DIR keeps files on their way, within DIR.
const partsFolder = ".lomo-pull"

// place is where the files of a pull go.
type place interface {
	root() string                                      // some folder on its disk, which need not be there yet
	model() string                                     // the folder of the model
	has(f *File) (bool, error)                         // the file is there, whole
	part(f *File) string                               // what is there of it so far
	begin(context.Context, func(string, ...any)) error // makes the folders
	lock(ctx context.Context, f *File, note func(string, ...any)) (func(), error)
	put(f *File) error // gives what is in part its name
	finish(repo *repository, revision string) error
	close()
}

// bring fetches a file unless it is there, also through another process meanwhile.
func (c *Client) bring(ctx context.Context, repo *repository, f *File, to place, m Meter) error {
	unlock, err := to.lock(ctx, f, m.Note)
	if err != nil {
		return err
	}
	defer unlock()
	if there, err := to.has(f); err != nil || there {
		m.Add(f.Size - partSize(to.part(f), f.Size))
		return err
	}
	if plain, ok := to.(*folder); ok && plain.fromCache(f) {
		m.Add(f.Size)
		c.copied.Add(1)
		return to.put(f)
	}
	if err := c.fetch(ctx, repo, f, to.part(f), m); err != nil {
		return err
	}
	return to.put(f)
}

// place opens where o wants the files.
func (c *Client) place(repo *repository, o Options) (place, error) {
	cache := &cached{dir: filepath.Join(c.Cache, repo.name.Folder()), locks: filepath.Join(c.Cache, ".locks", repo.name.Folder()), commit: repo.commit}
	if o.To == "" {
		return cache, nil
	}
	p := &folder{dir: filepath.Clean(o.To), force: o.Force, cache: cache}
	return p, p.check(repo, o)
}

// partSize is how much of a file of size bytes is at path.
func partSize(path string, size int64) int64 {
	st, err := os.Lstat(path)
	if err != nil || !st.Mode().IsRegular() || st.Size() > size {
		return 0
	}
	return st.Size()
}

// cached is a model's folder in the hub's cache.
type cached struct{ dir, locks, commit string }

func (p *cached) root() string         { return p.dir }
func (p *cached) model() string        { return filepath.Join(p.dir, "snapshots", p.commit) }
func (p *cached) blob(f *File) string  { return filepath.Join(p.dir, "blobs", f.tag()) }
func (p *cached) part(f *File) string  { return p.blob(f) + ".incomplete" }
func (p *cached) close()               {}
func (p *cached) named(f *File) string { return filepath.Join(p.model(), filepath.FromSlash(f.Name)) }

// has believes the cache as huggingface_hub does: a content has the name of its checksum once it is whole.
func (p *cached) has(f *File) (bool, error) {
	st, err := os.Stat(p.named(f))
	if err == nil && st.Mode().IsRegular() && st.Size() == f.Size {
		return true, nil
	}
	st, err = os.Stat(p.blob(f))
	if err != nil || !st.Mode().IsRegular() || st.Size() != f.Size {
		return false, nil
	}
	return true, p.put(f)
}

func (p *cached) begin(context.Context, func(string, ...any)) error {
	for _, dir := range []string{filepath.Join(p.dir, "blobs"), p.model(), filepath.Join(p.dir, "refs"), p.locks} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return diskError(dir, err)
		}
	}
	return nil
}

func (p *cached) lock(ctx context.Context, f *File, note func(string, ...any)) (func(), error) {
	return waitLock(ctx, filepath.Join(p.locks, f.tag()+".lock"), func() { note("%s: another process downloads it; waiting", f.Name) })
}

// put renames the whole file to its checksum and links it into the snapshot.
func (p *cached) put(f *File) error {
	if _, err := os.Stat(p.part(f)); err == nil {
		if err := os.Rename(p.part(f), p.blob(f)); err != nil {
			return diskError(p.blob(f), err)
		}
	}
	at := p.named(f)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return diskError(at, err)
	}
	rel, err := filepath.Rel(filepath.Dir(at), p.blob(f))
	if err != nil {
		return err
	}
	if old, err := os.Readlink(at); err == nil && old == rel {
		return nil
	}
	os.Remove(at)
	if err := os.Symlink(rel, at); err != nil && !errors.Is(err, fs.ErrExist) {
		return diskError(at, checkpoint.CopyFile(at, p.blob(f))) // a file system without links
	}
	return nil
}

// finish writes which commit the revision is, last, so that a model is in the cache when it is whole.
func (p *cached) finish(repo *repository, revision string) error {
	if revision == "" {
		revision = "main"
	}
	if revision == repo.commit || !filepath.IsLocal(filepath.FromSlash(revision)) {
		return nil
	}
	at := filepath.Join(p.dir, "refs", filepath.FromSlash(revision))
	if old, err := os.ReadFile(at); err == nil && strings.TrimSpace(string(old)) == repo.commit {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return diskError(at, err)
	}
	return diskError(at, p.replace(at, repo.commit))
}

// replace gives a file a new text at once. Pulls that end together each have a temporary file of their own.
func (p *cached) replace(at, text string) error {
	f, err := os.CreateTemp(p.dir, ".ref-*") // not in refs, where every file is a revision
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // of no effect once it has its name
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), at)
}

// folder is a plain folder of files.
type folder struct {
	dir    string
	force  bool
	cache  *cached  // whose files need not be fetched again
	whole  sync.Map // names of files that are known to be whole
	unlock func()
}

func (p *folder) root() string         { return p.dir }
func (p *folder) model() string        { return p.dir }
func (p *folder) named(f *File) string { return filepath.Join(p.dir, filepath.FromSlash(f.Name)) }
func (p *folder) part(f *File) string {
	return filepath.Join(p.dir, partsFolder, f.tag()+".incomplete")
}

// check refuses a folder in which the model would be mixed with something else.
func (p *folder) check(repo *repository, o Options) error {
	st, err := os.Stat(p.dir)
	if err == nil && !st.IsDir() {
		return fault.Refuse("choose another name", "--to %s: a file of this name is there", p.dir)
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return fault.Refuse("choose another place", "--to %s: a part of it is a file, not a folder", p.dir)
	}
	entries, err := os.ReadDir(p.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return diskError(p.dir, fmt.Errorf("--to %w", err))
	}
	known := map[string]bool{}
	for _, f := range repo.files {
		top, _, _ := strings.Cut(f.Name, "/")
		known[top] = true
	}
	if p.force {
		return nil
	}
	for _, e := range entries {
		if !known[e.Name()] && !strings.HasPrefix(e.Name(), ".") {
			return fault.Refuse("choose a new folder, or --force to put the model among them", "--to %s: it holds files that are not of %s, such as %s", p.dir, repo.name, e.Name())
		}
	}
	return nil
}

// has compares a file's checksum, once: nothing else tells that it is whole.
func (p *folder) has(f *File) (bool, error) {
	if _, known := p.whole.Load(f.Name); known {
		return true, nil
	}
	st, err := os.Lstat(p.named(f))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, diskError(p.named(f), err)
	}
	same := false
	if st.Mode().IsRegular() || st.Mode()&fs.ModeSymlink != 0 {
		if same, err = sumOf(p.named(f), f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, diskError(p.named(f), err)
		}
	}
	if !same && (!p.force || st.IsDir()) {
		return false, fault.Refuse("--force writes over it; or choose a new folder", "%s is there and is not the hub's", p.named(f))
	}
	if same {
		p.whole.Store(f.Name, true)
	}
	return same, nil
}

func (p *folder) begin(ctx context.Context, note func(string, ...any)) (err error) {
	if err := os.MkdirAll(filepath.Join(p.dir, partsFolder), 0o755); err != nil {
		return diskError(p.dir, err)
	}
	p.unlock, err = waitLock(ctx, filepath.Join(p.dir, partsFolder, "lock"), func() { note("%s: another process downloads into it; waiting", p.dir) })
	return err
}

func (p *folder) lock(context.Context, *File, func(string, ...any)) (func(), error) {
	return func() {}, nil
}

// fromCache copies a file that the hub's cache has.
func (p *folder) fromCache(f *File) bool {
	if same, err := sumOf(p.cache.blob(f), f); err != nil || !same {
		return false
	}
	os.Remove(p.part(f))
	return checkpoint.CopyFile(p.part(f), p.cache.blob(f)) == nil
}

func (p *folder) put(f *File) error {
	at := p.named(f)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return diskError(at, err)
	}
	if err := os.Rename(p.part(f), at); err != nil {
		return diskError(at, err)
	}
	p.whole.Store(f.Name, true)
	return nil
}

// finish removes the folder of parts, with what other versions have left there.
func (p *folder) finish(*repository, string) error {
	p.close()
	return os.RemoveAll(filepath.Join(p.dir, partsFolder))
}

func (p *folder) close() {
	if p.unlock != nil {
		p.unlock()
		p.unlock = nil
	}
}

// waitLock takes a lock, and says once when it has to wait.
func waitLock(ctx context.Context, path string, waiting func()) (func(), error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, diskError(path, err)
	}
	for said := false; ; said = true {
		locked, err := tryLock(f)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if locked {
			return func() { f.Close() }, nil
		}
		if !said {
			waiting()
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		}
	}
}

// enough refuses a pull for which the disk has no space. root need not be there yet.
func enough(root string, need int64) error {
	free := checkpoint.FreeBytes(root)
	if free < 0 || need <= free {
		return nil
	}
	return fault.Refuse("free some space, or choose a place on another disk: --to DIR, or HF_HUB_CACHE for the cache",
		"%s: %s are to be downloaded, and %s are free there", root, checkpoint.FormatSize(need), checkpoint.FormatSize(free))
}
