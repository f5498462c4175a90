package pull

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"

	"lomo/internal/fault"
	"lomo/internal/hub"
)

// Bounds of what a hub may say.
const (
	maxAnswer = 64 << 20 // bytes of a list of files
	maxFiles  = 100_000
	maxSize   = 16 << 40 // bytes of a file
	maxName   = 1024     // bytes of a file's name
)

var (
	isCommit = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)
	isSHA256 = regexp.MustCompile(`^[0-9a-f]{64}$`)
	isSHA1   = regexp.MustCompile(`^[0-9a-f]{40}$`)
	isTag    = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,127}$`)
)

// File is a file of a repository.
type File struct {
	Name   string // with slashes
	Size   int64  // -1: not known yet
	SHA256 string // of a large file, "" for others
	Git    string // of a small one: the SHA-1 of git's blob
	etag   string // when neither is known: what the server calls this content
}

// tag is the name of the file's content in the cache, "" when it is not known yet.
func (f *File) tag() string {
	for _, t := range []string{f.SHA256, f.Git, f.etag} {
		if t != "" {
			return t
		}
	}
	return ""
}

// repository is a model as the hub describes it.
type repository struct {
	id     string // its present name
	name   hub.ID // as it was asked for
	commit string
	files  []*File
}

// list asks for the files of a model at a revision.
func (c *Client) list(ctx context.Context, id hub.ID) (*repository, error) {
	rev := id.Revision
	if rev == "" {
		rev = "main"
	}
	at := fmt.Sprintf("/api/models/%s/revision/%s?blobs=true", id, url.PathEscape(rev))
	raw, err := c.read(ctx, at, maxAnswer)
	if err != nil {
		return nil, c.explain(ctx, err, id)
	}
	var answer struct {
		ID       string `json:"id"`
		SHA      string `json:"sha"`
		Siblings []struct {
			Name   string `json:"rfilename"`
			Size   *int64 `json:"size"`
			BlobID string `json:"blobId"`
			LFS    *struct {
				SHA256 string `json:"sha256"`
				Size   int64  `json:"size"`
			} `json:"lfs"`
		} `json:"siblings"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil || answer.SHA == "" {
		return nil, fault.Refuse("is HF_ENDPOINT the address of a hub?", "%s: its answer about %s is no list of files: %s", c.Endpoint, id, fault.Line(string(raw)))
	}
	if !isCommit.MatchString(answer.SHA) {
		return nil, fault.Refuse(strange, "%s: the commit of %s is no hash: %q", c.Endpoint, id, fault.Line(answer.SHA))
	}
	if len(answer.Siblings) > maxFiles {
		return nil, fault.Refuse(strange, "%s: %d files, at most %d are taken", id, len(answer.Siblings), maxFiles)
	}
	repo := &repository{id: answer.ID, name: id, commit: answer.SHA}
	if repo.id == "" {
		repo.id = id.String()
	}
	seen := map[string]bool{}
	for _, s := range answer.Siblings {
		f := &File{Name: s.Name, Size: -1}
		if err := safeName(s.Name); err != nil {
			return nil, fault.Refuse(strange, "%s: a file called %q: %w", id, fault.Line(s.Name), err)
		}
		if seen[s.Name] {
			return nil, fault.Refuse(strange, "%s: two files called %q", id, s.Name)
		}
		seen[s.Name] = true
		if s.Size != nil {
			f.Size = *s.Size
		}
		switch {
		case s.LFS != nil && isSHA256.MatchString(s.LFS.SHA256):
			f.SHA256, f.Size = s.LFS.SHA256, s.LFS.Size
		case isSHA1.MatchString(s.BlobID):
			f.Git = s.BlobID
		}
		if f.Size < -1 || f.Size > maxSize {
			return nil, fault.Refuse(strange, "%s: %s has a size of %d bytes", id, s.Name, f.Size)
		}
		repo.files = append(repo.files, f)
	}
	return repo, nil
}

const strange = "this is no answer of a sound hub: check HF_ENDPOINT, and report the model"

// safeName refuses a name that leads out of the folder or that a terminal or another system reads differently.
func safeName(name string) error {
	switch {
	case name == "" || len(name) > maxName:
		return fmt.Errorf("its length is %d", len(name))
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == '\\' || r == unicode.ReplacementChar }):
		return fmt.Errorf("it has characters that no name should have")
	case path.Clean(name) != name || !filepath.IsLocal(filepath.FromSlash(name)) || name == ".":
		return fmt.Errorf("it leads out of the folder")
	}
	for _, p := range strings.Split(name, "/") {
		if p == ".git" || p == partsFolder {
			return fmt.Errorf("it lies in a folder that is not a model's")
		}
	}
	return nil
}
