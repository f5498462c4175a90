package records

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// extensions of the files that a folder is searched for.
var extensions = []string{".jsonl", ".json", ".txt", ".csv"}

// Files lists the files that a path names, sorted: the file itself, those that match a pattern with * ? or [, or the data
// files of a folder. split picks files of a folder or pattern by the beginning of their names ("train" takes
// train.jsonl and train-00000.jsonl); a single file has the split train only.
func Files(path, split string) ([]string, error) {
	info, err := os.Stat(path)
	var files []string
	switch {
	case err == nil && !info.IsDir():
		if split != "" && split != "train" && !ofSplit(path, split) {
			return nil, &Error{Path: path, Msg: fmt.Sprintf("split %q of a single file", split), Advice: "split picks files of a folder; give the file of that split as path"}
		}
		return []string{path}, readable(path)
	case err == nil:
		files, err = folder(path)
	case strings.ContainsAny(path, "*?["):
		files, err = filepath.Glob(path)
		slices.Sort(files)
	default:
		return nil, &Error{Path: path, Err: errors.Unwrap(err), Advice: "path is a file, a folder of them or a pattern, from where the command is run"}
	}
	if err != nil {
		return nil, &Error{Path: path, Err: err}
	}
	if split != "" {
		files = slices.DeleteFunc(files, func(f string) bool { return !ofSplit(f, split) })
	}
	if len(files) == 0 {
		msg := "no data file"
		if split != "" {
			msg = fmt.Sprintf("no data file of split %q", split)
		}
		return nil, &Error{Path: path, Msg: msg, Advice: "data files end in " + strings.Join(extensions, ", ")}
	}
	for _, f := range files {
		if err := readable(f); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// folder lists the data files right in a folder, by name.
func folder(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if !e.IsDir() && slices.Contains(extensions, strings.ToLower(filepath.Ext(e.Name()))) {
			out = append(out, filepath.Join(path, e.Name()))
		}
	}
	return out, nil
}

// ofSplit reports whether a file's name is the split's, or goes on with something else than a letter.
func ofSplit(file, split string) bool {
	rest, ok := strings.CutPrefix(filepath.Base(file), split)
	return ok && (rest == "" || strings.ContainsRune(".-_", rune(rest[0])))
}

// readable refuses formats that are known but not read.
func readable(file string) error {
	switch ext := strings.ToLower(filepath.Ext(file)); ext {
	case ".parquet", ".gz", ".zst", ".zip", ".arrow", ".bz2", ".xz":
		return &Error{Path: file, Msg: ext + " files are not read", Advice: "convert or unpack it to .jsonl, .json, .csv or .txt"}
	}
	return nil
}
