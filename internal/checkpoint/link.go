package checkpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// LinkModel gives the weight files of the model in from, which a Writer has written, names in to as well: hard links, which take no space. What was in to is
// replaced as by a Writer, and like it LinkModel leaves config.json to its caller. It is false where the file system has no such links: then nothing has changed.
func LinkModel(from, to string) (bool, error) {
	entries, err := os.ReadDir(from)
	if err != nil {
		return false, err
	}
	w := &Writer{dir: to, clean: true}
	for _, e := range entries {
		if modelFile.MatchString(e.Name()) && !strings.HasSuffix(e.Name(), tempSuffix) {
			w.shards = append(w.shards, &shard{name: e.Name()})
		}
	}
	if len(w.shards) == 0 {
		return false, fmt.Errorf("%s: no weights to link", from)
	}
	if len(w.shards) > 1 {
		if w.index, err = readSmall(filepath.Join(from, indexName), maxManifest); err != nil {
			return false, err
		}
	}
	for _, sh := range w.shards {
		if err := os.Remove(w.temp(sh.name)); err != nil && !os.IsNotExist(err) {
			return false, err
		}
	}
	if slices.ContainsFunc(w.shards, func(sh *shard) bool { return link(filepath.Join(from, sh.name), w.temp(sh.name)) != nil }) {
		w.Abort()
		return false, nil
	}
	if err := w.install(); err != nil {
		w.Abort()
		return false, err
	}
	w.done = true
	return true, w.removeStale() // a rename between two names of one file does nothing: the temporary name is stale then
}

// link is os.Link; tests replace it to take the way of file systems that have none.
var link = os.Link
