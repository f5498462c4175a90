// Package hub knows how the cache of huggingface_hub lies on a disk: models--OWNER--NAME holds snapshots/COMMIT, whose files
// are links into blobs/, and refs/NAME, which say which commit a name stands for.
package hub

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"lomo/internal/fault"
)

const maxRef = 256 // bytes; a commit has 40

var commit = regexp.MustCompile(`^[0-9a-f]{7,64}$`)

// Resolve is the folder of a model's files that path leads to: path itself, or in a cache the snapshot that refs/main names,
// or the only one there is.
func Resolve(path string) (string, error) {
	if isFile(filepath.Join(path, "config.json")) {
		return path, nil
	}
	if filepath.Base(path) == "snapshots" && isDir(filepath.Join(path, "..", "refs")) {
		return Resolve(filepath.Dir(path))
	}
	if models := Glob(path, "models--*"); len(models) > 0 {
		return "", fault.Refuse("give the folder of one of them", "%s: a cache of %s %s, not a model", path, fault.Count(len(models), "model"), filepath.Base(models[0]))
	}
	if !isDir(filepath.Join(path, "snapshots")) {
		return path, nil
	}
	all := snapshots(path)
	if main := ref(path, "main"); main != "" {
		if at := filepath.Join(path, "snapshots", main); isDir(at) {
			return at, nil
		}
		return "", fault.Refuse("download it again, or give the snapshot's folder", "%s: refs/main names the snapshot %s, which is not in the cache%s", path, main, beside(all))
	}
	switch len(all) {
	case 0:
		return "", fault.Refuse("download the model again", "%s: a cached model without a snapshot", path)
	case 1:
		return filepath.Join(path, "snapshots", all[0]), nil
	}
	return "", fault.Refuse("give one of the folders in snapshots/", "%s: %s %s, and no refs/main that chooses", path, fault.Count(len(all), "snapshot"), all[0])
}

func beside(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return "; there is " + all[0]
}

func snapshots(path string) (names []string) {
	entries, _ := os.ReadDir(filepath.Join(path, "snapshots"))
	for _, e := range entries {
		if isDir(filepath.Join(path, "snapshots", e.Name())) {
			names = append(names, e.Name())
		}
	}
	return names
}

// Ref is the commit that a name stands for in a model's folder of the cache, "" when there is none.
func Ref(path, name string) string {
	if !filepath.IsLocal(name) {
		return ""
	}
	return ref(path, filepath.FromSlash(name))
}

// ref is the commit of a name, "" when there is none.
func ref(path, name string) string {
	at := filepath.Join(path, "refs", name)
	raw, err := fault.Read(at, maxRef)
	if id := strings.TrimSpace(string(raw)); err == nil && commit.MatchString(id) {
		return id
	}
	return ""
}

// Glob finds the files of a folder that match a pattern, which is none of the folder's own path: it may have brackets in it.
func Glob(dir, pattern string) []string {
	names, _ := fs.Glob(os.DirFS(dir), pattern) // the one error is a malformed pattern
	for i, name := range names {
		names[i] = filepath.Join(dir, filepath.FromSlash(name))
	}
	return names
}

// Inside tells whether the file at path, links followed, lies in the folder dir or, when dir is a snapshot, in its cache.
func Inside(dir, path string) bool {
	file, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	if parent := filepath.Dir(root); filepath.Base(parent) == "snapshots" && strings.HasPrefix(filepath.Base(filepath.Dir(parent)), "models--") {
		root = filepath.Dir(parent)
	}
	rel, err := filepath.Rel(root, file)
	return err == nil && filepath.IsLocal(rel)
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}
