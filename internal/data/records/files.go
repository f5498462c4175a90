package records

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// extensions of data files; all but the last may be compressed.
var extensions = []string{".jsonl", ".ndjson", ".json", ".txt", ".csv", ".tsv", ".parquet"}

// about are files of JSON that describe a data set, by name.
var about = []string{"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}

// arrowAdvice is the way out of arrow files, which datasets keeps for itself.
const arrowAdvice = `write it as parquet: python -c "from datasets import load_from_disk; load_from_disk('DIR').to_parquet('train.parquet')"`

// Set is the files that a path of a data set names.
type Set struct {
	Files []string
	Notes Notes // of files that were left out
}

// Files lists the files that a path names, sorted: the file itself, those that match a pattern with * ? [ or **, or the data
// files in a folder and the folders in it. split picks files of a folder or pattern by the beginning of their names or of a folder
// they are in: "train" takes train.jsonl, train-00000.parquet and train/part.jsonl. A single file has the split train only.
func Files(path, split string) (Set, error) {
	var s Set
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.IsDir():
		if split != "" && split != "train" && !ofSplit(filepath.Base(path), split) {
			return s, &Error{Path: path, Msg: fmt.Sprintf("split %q of a single file", split), Advice: "split picks files of a folder; give the file of that split as path"}
		}
		if !info.Mode().IsRegular() && info.Mode()&fs.ModeNamedPipe == 0 && info.Mode()&fs.ModeCharDevice == 0 {
			return s, &Error{Path: path, Msg: "is no file", Advice: "path is a file, a folder of them or a pattern"}
		}
		s.Files = []string{path}
		return s, readable(path)
	case err == nil:
		err = s.folder(path)
	case strings.ContainsAny(path, "*?["):
		err = s.pattern(path)
	default:
		return s, &Error{Path: path, Err: errors.Unwrap(err), Advice: wayTo(path, err)}
	}
	if err != nil {
		if bad := (*Error)(nil); errors.As(err, &bad) {
			return s, err
		}
		bad := &Error{Path: path, Err: err, Advice: "give the folder with the files, or a pattern that names more of the path"}
		if errors.Is(err, fs.ErrPermission) {
			bad.Err, bad.Advice = fs.ErrPermission, denied
		}
		return s, bad
	}
	slices.Sort(s.Files)
	s.pick(path, split)
	if len(s.Files) == 0 {
		msg := "no data file"
		if info == nil && len(s.Notes) == 0 {
			return s, &Error{Path: path, Msg: "no data file", Advice: "no file has a name like this, from where the command is run; ** stands for any folders"}
		}
		if split != "" {
			msg = fmt.Sprintf("no data file of split %q", split)
		}
		if len(s.Notes) > 0 {
			if err := readable(s.Notes[0].First); err != nil && split == "" {
				return s, err
			}
			msg += fmt.Sprintf(" (%d others, first %s)", s.Notes[0].Count, s.Notes[0].First)
		}
		return s, &Error{Path: path, Msg: msg, Advice: "data files end in " + strings.Join(extensions, ", ") + "; text may be compressed: .gz, .zst, .bz2"}
	}
	if err := twice(s.Files); err != nil {
		return s, err
	}
	for _, f := range s.Files {
		if err := readable(f); err != nil {
			return s, err
		}
	}
	return s, nil
}

// wayTo is the way out of a path that cannot be found.
func wayTo(path string, err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return denied
	}
	owner, name, found := strings.Cut(path, "/")
	if found && owner != "" && name != "" && !strings.Contains(name, "/") && Ext(name) == "" {
		if _, err := os.Stat(owner); err != nil {
			return fmt.Sprintf("data of the hub is fetched first: `hf download --repo-type dataset %s --local-dir data/%s`, then path: data/%s", path, name, name)
		}
	}
	return "path is a file, a folder of them or a pattern, from where the command is run"
}

const denied = "this user may not read it: allow it with chmod, or copy it"

// maxFolders bounds how deep folders stand within each other: links may go round. maxLooked bounds the names that a pattern is compared with.
const maxFolders = 32

var maxLooked = 2000000

// folder takes the data files in a folder and those in it. Hidden ones are nobody's data.
func (s *Set) folder(path string) error {
	if err := savedToDisk(path); err != nil {
		return err
	}
	return s.walk(path, 0, map[string]bool{})
}

// walk goes through a folder. linked are those that links have led to: two links to each of a few folders within each other would make millions of paths.
func (s *Set) walk(path string, depth int, linked map[string]bool) error {
	if depth > maxFolders {
		return &Error{Path: path, Msg: fmt.Sprintf("more than %d folders within each other", maxFolders), Advice: "does a link lead back? give a pattern instead"}
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		info, err := os.Stat(name) // the file behind a link
		switch {
		case err != nil:
			return &Error{Path: name, Err: errors.Unwrap(err), Advice: "does the link lead nowhere? fetch the file, or remove the link"}
		case info.IsDir():
			if e.Type()&fs.ModeSymlink != 0 {
				to, err := filepath.EvalSymlinks(name)
				if err != nil || linked[to] {
					return &Error{Path: name, Err: err, Msg: "a link to a folder that another link leads to", Advice: "its files would be taken twice: remove one of the links"}
				}
				linked[to] = true
			}
			if err := savedToDisk(name); err != nil {
				return err
			}
			if err := s.walk(name, depth+1, linked); err != nil {
				return err
			}
		default:
			s.take(name, info)
		}
	}
	return nil
}

// take adds a file that is data, and says so where it is none.
func (s *Set) take(file string, info fs.FileInfo) {
	switch name := filepath.Base(file); {
	case !info.Mode().IsRegular():
		s.Notes.Add("left out: no file", file, "")
	case slices.Contains(about, name):
		s.Notes.Add("files left out that describe data", file, "")
	case slices.Contains(extensions, Ext(file)) && readable(file) == nil:
		s.Files = append(s.Files, file)
	case strings.HasPrefix(strings.ToLower(name), "readme"), strings.HasPrefix(strings.ToLower(name), "license"):
		// nobody takes them for data
	default:
		s.Notes.Add("files left out by their endings", file, "data files end in "+strings.Join(extensions, ", "))
	}
}

// savedToDisk refuses a folder of datasets' save_to_disk, which is known but not read.
func savedToDisk(dir string) error {
	has := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	var load string
	switch {
	case has("dataset_dict.json"):
		load = "['train']"
	case has("state.json") && has("dataset_info.json"):
	default:
		return nil
	}
	return &Error{Path: dir, Msg: "a folder that datasets' save_to_disk wrote; its arrow files are not read",
		Advice: fmt.Sprintf(`write it as parquet: python -c "from datasets import load_from_disk; load_from_disk('%s')%s.to_parquet('train.parquet')"`, dir, load)}
}

// pattern takes the files that match; ** stands for any folders.
func (s *Set) pattern(pattern string) error {
	parts := slices.CompactFunc(strings.Split(filepath.ToSlash(pattern), "/"), func(a, b string) bool { return a == b && a == "**" })
	for _, p := range parts {
		if _, err := filepath.Match(p, ""); err != nil {
			return errors.New("syntax error in pattern")
		}
	}
	start := "."
	if parts[0] == "" {
		start, parts = "/", parts[1:]
	}
	found, looked := map[string]bool{}, 0
	if err := match(start, parts, 0, found, &looked); err != nil {
		return err
	}
	for _, file := range slices.Sorted(maps.Keys(found)) {
		info, err := os.Stat(file)
		if err != nil {
			return &Error{Path: file, Err: errors.Unwrap(err)}
		}
		if info.IsDir() {
			s.Notes.Add("folders left out that a pattern matches", file, "end the pattern in **/* to go into folders")
			continue
		}
		if readable(file) != nil && strings.HasSuffix(pattern, filepath.Ext(file)) { // it was asked for
			s.Files = append(s.Files, file)
			continue
		}
		s.take(file, info)
	}
	return nil
}

// match collects what parts of a pattern find under a folder. As in a shell, * and ** take no hidden names.
func match(dir string, parts []string, depth int, found map[string]bool, looked *int) error {
	if depth > maxFolders {
		return fmt.Errorf("more than %d folders within each other", maxFolders)
	}
	part, rest := parts[0], parts[1:]
	join := func(name string) string {
		if dir == "." && part != "." {
			return name
		}
		return filepath.Join(dir, name)
	}
	if !strings.ContainsAny(part, "*?[") {
		if len(rest) == 0 {
			if _, err := os.Stat(join(part)); err == nil {
				found[join(part)] = true
			}
			return nil
		}
		return match(join(part), rest, depth, found, looked)
	}
	if part == "**" && len(rest) == 0 {
		rest = []string{"*"}
		parts = []string{part, "*"}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		if info, bad := os.Stat(dir); bad != nil || !info.IsDir() {
			return nil
		}
		return err
	}
	if *looked += 1 + len(entries); *looked > maxLooked {
		return fmt.Errorf("more than %d names to look at: does a link lead back?", maxLooked)
	}
	if part == "**" {
		if err := match(dir, rest, depth, found, looked); err != nil { // no folder
			return err
		}
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(part, ".") {
			continue
		}
		name := join(e.Name())
		folder := e.IsDir()
		if e.Type()&fs.ModeSymlink != 0 {
			info, err := os.Stat(name)
			folder = err == nil && info.IsDir()
		}
		ok := part == "**"
		if !ok {
			ok, _ = filepath.Match(part, e.Name()) // its syntax was looked at
		}
		switch {
		case !ok:
		case part == "**" && folder:
			err = match(name, parts, depth+1, found, looked)
		case part == "**":
		case len(rest) == 0:
			found[name] = true
		case folder:
			err = match(name, rest, depth+1, found, looked)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// splits are the names of the usual splits: each has others.
var splits = [][]string{{"train", "training"}, {"validation", "valid", "val", "dev", "eval"}, {"test", "testing"}}

// pick keeps the files of a split, and says what it leaves out. Without a split it says that there are several.
func (s *Set) pick(root, split string) {
	base := fixed(root)
	if split == "" {
		s.sayMixed(base)
		return
	}
	names := []string{split}
	if !slices.ContainsFunc(s.Files, func(f string) bool { return inSplit(base, f, split) }) {
		for _, group := range splits {
			if slices.Contains(group, split) {
				names = group
			}
		}
	}
	kept := s.Files[:0:0]
	for _, f := range s.Files {
		if slices.ContainsFunc(names, func(n string) bool { return inSplit(base, f, n) }) {
			kept = append(kept, f)
		} else {
			s.Notes.Add(fmt.Sprintf("files left out that are not of split %s", split), f, "")
		}
	}
	s.Files = kept
}

// sayMixed says that a folder's files are of several splits, all of which are taken.
func (s *Set) sayMixed(base string) {
	seen := map[string]int{}
	first := ""
	for _, f := range s.Files {
		for _, group := range splits {
			if slices.ContainsFunc(group, func(n string) bool { return inSplit(base, f, n) }) {
				if seen[group[0]]++; group[0] != "train" && first == "" {
					first = f
				}
			}
		}
	}
	if seen["train"] > 0 && len(seen) > 1 {
		s.Notes.AddAll(Note{What: "files taken of splits other than train", Count: seen["validation"] + seen["test"], First: first, Advice: "split: train leaves them out"})
	}
}

// fixed is the part of a path before the first part with a pattern.
func fixed(path string) string {
	dir, parts := "", strings.Split(filepath.ToSlash(path), "/")
	for i, p := range parts {
		if strings.ContainsAny(p, "*?[") {
			break
		}
		dir = strings.Join(parts[:i+1], "/")
	}
	return filepath.FromSlash(dir)
}

// inSplit reports whether a file is of a split, by its name or that of a folder it is in below base.
func inSplit(base, file, split string) bool {
	rel, err := filepath.Rel(base, file)
	if err != nil {
		rel = filepath.Base(file)
	}
	return slices.ContainsFunc(strings.Split(filepath.ToSlash(rel), "/"), func(part string) bool { return ofSplit(part, split) })
}

// ofSplit reports whether a name is the split's, or goes on with something else than a letter.
func ofSplit(name, split string) bool {
	rest, ok := strings.CutPrefix(name, split)
	return ok && (rest == "" || strings.ContainsRune(".-_", rune(rest[0])))
}

// twice refuses the same name with two endings in a folder: one is the other, packed or written again.
func twice(files []string) error {
	stems := map[string]string{}
	for _, f := range files {
		stem := strings.TrimSuffix(f, filepath.Ext(f))
		if packers[strings.ToLower(filepath.Ext(f))] != nil {
			stem = strings.TrimSuffix(stem, filepath.Ext(stem))
		}
		if other, ok := stems[stem]; ok {
			return &Error{Path: other, Msg: fmt.Sprintf("%s is there too: is it the same data?", filepath.Base(f)),
				Advice: "remove one of them, or give a pattern that takes one: " + filepath.Join(filepath.Dir(f), "*"+strings.TrimPrefix(f, stem))}
		}
		stems[stem] = f
	}
	return nil
}

// readable refuses formats that are known but not read.
func readable(file string) error {
	ext := strings.ToLower(filepath.Ext(file))
	switch {
	case ext == ".arrow" || ext == ".feather":
		return &Error{Path: file, Msg: ext + " files are not read", Advice: `write it as parquet: pyarrow.parquet.write_table, or to_parquet of datasets and pandas`}
	case slices.Contains([]string{".zip", ".xz", ".7z", ".tar", ".tgz", ".rar", ".lz4"}, ext), ext == ".gz" && Ext(file) == ".tar":
		return &Error{Path: file, Msg: ext + " files are not read", Advice: "unpack it to .jsonl, .json, .csv or .txt"}
	case ext == ".xlsx", ext == ".xls", ext == ".pkl", ext == ".pt", ext == ".npy", ext == ".db", ext == ".sqlite", ext == ".avro", ext == ".orc", ext == ".tfrecord":
		return &Error{Path: file, Msg: ext + " files are not read", Advice: "write it as .jsonl, .csv or .parquet"}
	case packers[ext] != nil && Ext(file) == ".parquet":
		return &Error{Path: file, Msg: "a compressed parquet file", Advice: "unpack it: parquet is compressed within"}
	}
	return nil
}
