// Package hubtest serves folders as models on a hub, with the hub's protocol: lists with checksums, commits, ETags, ranges, and
// large files on a second host to which the first redirects. Tests of lomo pull use it, and scripts/hub makes a program of it.
package hubtest

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Large is the size from which a file is kept apart, as Git LFS does.
const Large = 1 << 20

// Hub is a hub of a few models.
type Hub struct {
	CDN   string // address of the second host, which has the large files; "": this one has them too
	Gated bool   // models want Token
	Token string // the one that is known; others are refused

	// Before may answer a request itself; it is asked first, on both hosts.
	Before func(w http.ResponseWriter, r *http.Request) (done bool)

	mu    sync.Mutex
	repos map[string]*repo
}

type repo struct {
	commit string
	files  []*file
}

type file struct {
	name, path  string
	size        int64
	sha256, git string
	large       bool
	changed     time.Time
}

// etag is what the hub calls a file's content.
func (f *file) etag() string {
	if f.large {
		return f.sha256
	}
	return f.git
}

// Serve offers the files below dir as the model OWNER/NAME; files whose name begins with a dot are left out.
func (h *Hub) Serve(name, dir string) error {
	r := &repo{}
	all := sha1.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || strings.HasPrefix(d.Name(), ".") && path != dir {
			if d != nil && d.IsDir() && err == nil {
				return fs.SkipDir
			}
			return err
		}
		st, err := os.Stat(path) // links, as in the hub's cache, are followed
		if err != nil || !st.Mode().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		f := &file{name: filepath.ToSlash(rel), path: path, size: st.Size(), changed: st.ModTime()}
		f.large = f.size >= Large || strings.HasSuffix(f.name, ".safetensors") || strings.HasSuffix(f.name, ".gguf") || strings.HasSuffix(f.name, ".bin")
		if err := f.sum(); err != nil {
			return err
		}
		fmt.Fprintln(all, f.name, f.sha256)
		r.files = append(r.files, f)
		return nil
	})
	if err != nil {
		return err
	}
	r.commit = hex.EncodeToString(all.Sum(nil))
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.repos == nil {
		h.repos = map[string]*repo{}
	}
	h.repos[name] = r
	return nil
}

// Commit is the commit of a model.
func (h *Hub) Commit(name string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.repos[name].commit
}

func (f *file) sum() error {
	in, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer in.Close()
	large, git := sha256.New(), sha1.New()
	fmt.Fprintf(git, "blob %d\x00", f.size)
	if _, err := io.Copy(io.MultiWriter(large, git), in); err != nil {
		return err
	}
	f.sha256, f.git = sum(large), sum(git)
	return nil
}

func sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// ServeHTTP answers as the hub.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.Before != nil && h.Before(w, r) {
		return
	}
	if token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "); token != "" && h.Token != "" && token != h.Token {
		refuse(w, http.StatusUnauthorized, "", "Invalid credentials in Authorization header")
		return
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, "/cdn/"); ok {
		h.cdn(w, r, rest)
		return
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case len(parts) == 2 && parts[0] == "api" && parts[1] == "models":
		h.search(w, r)
	case len(parts) >= 4 && parts[0] == "api" && parts[1] == "models":
		h.api(w, r, parts[2]+"/"+parts[3], parts[4:])
	case len(parts) >= 5 && parts[2] == "resolve":
		h.resolve(w, r, parts[0]+"/"+parts[1], parts[3], strings.Join(parts[4:], "/"))
	default:
		refuse(w, http.StatusNotFound, "", "Not Found")
	}
}

func refuse(w http.ResponseWriter, code int, kind, message string) {
	if kind != "" {
		w.Header().Set("X-Error-Code", kind)
	}
	w.Header().Set("X-Error-Message", message)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": message})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// find is the model at a revision, or an answer that says why not, as the hub words it.
func (h *Hub) find(w http.ResponseWriter, r *http.Request, name, rev string) *repo {
	h.mu.Lock()
	of := h.repos[name]
	h.mu.Unlock()
	known := r.Header.Get("Authorization") != ""
	switch {
	case of == nil && known:
		refuse(w, http.StatusNotFound, "RepoNotFound", "Repository not found")
	case of == nil:
		refuse(w, http.StatusUnauthorized, "RepoNotFound", "Invalid username or password.")
	case rev != "main" && rev != of.commit:
		refuse(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+rev)
	case h.Gated && !known:
		refuse(w, http.StatusUnauthorized, "GatedRepo", "Access to model "+name+" is restricted.")
	default:
		return of
	}
	return nil
}

// api answers /api/models/OWNER/NAME[/revision/REV | /refs | /tree/REV].
func (h *Hub) api(w http.ResponseWriter, r *http.Request, name string, rest []string) {
	rev, tree := "main", false
	switch {
	case len(rest) == 1 && rest[0] == "refs":
		if h.find(w, r, name, rev) != nil {
			answer(w, map[string]any{"branches": []map[string]string{{"name": "main", "ref": "refs/heads/main", "targetCommit": h.Commit(name)}}, "tags": []any{}, "converts": []any{}})
		}
		return
	case len(rest) >= 2 && rest[0] == "revision":
		rev = strings.Join(rest[1:], "/")
	case len(rest) >= 2 && rest[0] == "tree":
		rev, tree = rest[1], true
	case len(rest) > 0:
		refuse(w, http.StatusNotFound, "", "Not Found")
		return
	}
	of := h.find(w, r, name, rev)
	if of == nil {
		return
	}
	blobs, list := r.URL.Query().Get("blobs") == "true", []map[string]any{}
	for _, f := range of.files {
		e := map[string]any{"rfilename": f.name}
		if tree {
			e = map[string]any{"type": "file", "path": f.name, "size": f.size, "oid": f.git}
		}
		if blobs {
			e["size"], e["blobId"] = f.size, f.git
		}
		if f.large && (blobs || tree) {
			e["lfs"] = map[string]any{"oid": f.sha256, "sha256": f.sha256, "size": f.size, "pointerSize": 134}
		}
		list = append(list, e)
	}
	if tree {
		answer(w, list)
		return
	}
	answer(w, map[string]any{"_id": "0", "id": name, "modelId": name, "sha": of.commit, "private": false, "gated": h.Gated, "disabled": false, "tags": []string{}, "downloads": 0, "likes": 0, "siblings": list})
}

func (h *Hub) search(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := []map[string]string{}
	for name := range h.repos {
		if strings.Contains(strings.ToLower(name), strings.ToLower(r.URL.Query().Get("search"))) {
			found = append(found, map[string]string{"id": name, "modelId": name})
		}
	}
	answer(w, found)
}

// resolve answers for one file, and sends whoever wants a large one to the second host.
func (h *Hub) resolve(w http.ResponseWriter, r *http.Request, name, rev, path string) {
	of := h.find(w, r, name, rev)
	if of == nil {
		return
	}
	w.Header().Set("X-Repo-Commit", of.commit)
	i := slices.IndexFunc(of.files, func(f *file) bool { return f.name == path })
	if i < 0 {
		refuse(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
		return
	}
	f := of.files[i]
	if f.large {
		w.Header().Set("X-Linked-Etag", `"`+f.sha256+`"`)
		w.Header().Set("X-Linked-Size", strconv.FormatInt(f.size, 10))
		if h.CDN != "" {
			w.Header().Set("Location", h.CDN+"/cdn/"+f.sha256+"?Expires=1&Signature=x")
			w.WriteHeader(http.StatusFound)
			return
		}
	}
	h.send(w, r, f, `"`+f.etag()+`"`)
}

// cdn answers for the content of a checksum, under an ETag of its own.
func (h *Hub) cdn(w http.ResponseWriter, r *http.Request, sha string) {
	if f := h.content(sha); f != nil {
		h.send(w, r, f, `"cdn-`+f.git+`"`)
		return
	}
	refuse(w, http.StatusForbidden, "", "AccessDenied")
}

func (h *Hub) content(sha string) *file {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, of := range h.repos {
		for _, f := range of.files {
			if f.sha256 == sha {
				return f
			}
		}
	}
	return nil
}

func (h *Hub) send(w http.ResponseWriter, r *http.Request, f *file, etag string) {
	in, err := os.Open(f.path)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "", "gone")
		return
	}
	defer in.Close()
	w.Header().Set("ETag", etag)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", f.changed, in)
}
