package records

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree makes files in a folder of the test.
func tree(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		path := filepath.Join(dir, f)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFiles(t *testing.T) {
	flat := tree(t, "train-2.jsonl", "train-1.jsonl", "training.jsonl", "val.jsonl", "README.md", "x.arrow")
	mixed := tree(t, "a.jsonl", "b.ndjson", "c.json", "d.jsonl.gz", "e.json.zst", "f.csv", "g.TSV", "h.txt", "i.parquet", "j.csv.bz2", "sub/k.jsonl", "sub/deep/l.jsonl",
		"README.md", "LICENSE", "notes.md", "notes.doc", "raw.zip", ".hidden.jsonl", ".git/x.json", "dataset_infos.json", "sub/.DS_Store")
	split := tree(t, "train/0.jsonl", "train/1.jsonl", "test/0.jsonl", "validation/0.jsonl", "other/0.jsonl")
	hub := tree(t, "data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/validation-00000-of-00001.parquet", "data/test-00000-of-00001.parquet", "README.md", ".gitattributes")
	pairs := tree(t, "a.jsonl", "a.jsonl.gz", "b.csv")
	pairs2 := tree(t, "train.json", "train.parquet")
	saved := tree(t, "data-00000-of-00001.arrow", "dataset_info.json", "state.json")
	dict := tree(t, "dataset_dict.json", "train/data-00000-of-00001.arrow", "train/state.json", "train/dataset_info.json")
	below := tree(t, "a.jsonl", "saved/data-00000-of-00001.arrow", "saved/dataset_info.json", "saved/state.json")
	arrows := tree(t, "csv-train.arrow", "dataset_info.json")
	none := tree(t, "README.md", "notes.doc")
	linked := tree(t, "blobs/abc", "x/a.txt")
	for from, to := range map[string]string{"snapshots.jsonl": "blobs/abc", "folder": "x"} {
		if err := os.Symlink(filepath.Join(linked, to), filepath.Join(linked, from)); err != nil {
			t.Fatal(err)
		}
	}
	dangling := tree(t, "a.jsonl")
	loop := tree(t, "a.jsonl")
	for from, to := range map[string]string{filepath.Join(dangling, "b.jsonl"): "nowhere", filepath.Join(loop, "again"): loop} {
		if err := os.Symlink(to, from); err != nil {
			t.Fatal(err)
		}
	}
	defer func(n int) { maxLooked = n }(maxLooked)
	maxLooked = 3000
	doubled := tree(t, "f0/a.txt")
	for i := range 25 { // each folder is in the next one twice: 2^25 paths
		at := filepath.Join(doubled, fmt.Sprint("f", i+1))
		if err := errors.Join(os.Mkdir(at, 0o755), os.Symlink(fmt.Sprint("../f", i), filepath.Join(at, "a")), os.Symlink(fmt.Sprint("../f", i), filepath.Join(at, "b"))); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, dir, path, split string
		want                   string // files, or the error
		notes                  string
	}{
		{"file", flat, "val.jsonl", "", "val.jsonl", ""},
		{"file of the usual split", flat, "val.jsonl", "train", "val.jsonl", ""},
		{"file of its split", flat, "val.jsonl", "val", "val.jsonl", ""},
		{"file of no split", flat, "val.jsonl", "test", `! split "test" of a single file`, ""},
		{"split", flat, "", "train", "train-1.jsonl train-2.jsonl", "2 files left out that are not of split train; first: training.jsonl|1 files left out by their endings; first: x.arrow"},
		{"all", flat, "", "", "train-1.jsonl train-2.jsonl training.jsonl val.jsonl", "1 files left out by their endings; first: x.arrow|1 files taken of splits other than train; first: val.jsonl"},
		{"no such split", flat, "", "test", `! no data file of split "test"`, ""},
		{"other name of a split", flat, "", "validation", "val.jsonl", "3 files left out that are not of split validation; first: train-1.jsonl|1 files left out by their endings; first: x.arrow"},
		{"pattern", flat, "*-?.jsonl", "", "train-1.jsonl train-2.jsonl", ""},
		{"pattern and split", flat, "*.jsonl", "val", "val.jsonl", "3 files left out that are not of split val; first: train-1.jsonl"},
		{"pattern of nothing", flat, "*.gguf", "", "! no data file", ""},
		{"bad pattern", flat, "[", "", "! syntax error in pattern", ""},
		{"no file", flat, "none.jsonl", "", "! no such file", ""},
		{"arrow file", flat, "x.arrow", "", "! .arrow files are not read", ""},
		{"pattern of arrow files", flat, "*.arrow", "", "! .arrow files are not read", ""},
		{"every kind", mixed, "", "", "a.jsonl b.ndjson c.json d.jsonl.gz e.json.zst f.csv g.TSV h.txt i.parquet j.csv.bz2 sub/deep/l.jsonl sub/k.jsonl",
			"1 files left out that describe data; first: dataset_infos.json|3 files left out by their endings; first: notes.doc"},
		{"all below", mixed, "**/*.jsonl", "", "a.jsonl sub/deep/l.jsonl sub/k.jsonl", ""},
		{"all in one", mixed, "sub/**/*.jsonl", "", "sub/deep/l.jsonl sub/k.jsonl", ""},
		{"all files below", mixed, "sub/**", "", "sub/deep/l.jsonl sub/k.jsonl", "1 folders left out that a pattern matches; first: sub/deep"},
		{"folder by pattern", mixed, "s*/k.jsonl", "", "sub/k.jsonl", ""},
		{"a star takes no folder", mixed, "s*", "", "! no data file", ""},
		{"class", mixed, "[ab].*", "", "a.jsonl b.ndjson", ""},
		{"doubled stars", mixed, "**/**/l.jsonl", "", "sub/deep/l.jsonl", ""},
		{"hidden by name", mixed, ".hidden.jsonl", "", ".hidden.jsonl", ""},
		{"folders of splits", split, "", "train", "train/0.jsonl train/1.jsonl", "3 files left out that are not of split train; first: other/0.jsonl"},
		{"folders of splits, all", split, "", "", "other/0.jsonl test/0.jsonl train/0.jsonl train/1.jsonl validation/0.jsonl", "2 files taken of splits other than train; first: test/0.jsonl"},
		{"val is validation", split, "", "val", "validation/0.jsonl", "4 files left out that are not of split val; first: other/0.jsonl"},
		{"hub", hub, "", "train", "data/train-00000-of-00002.parquet data/train-00001-of-00002.parquet", "2 files left out that are not of split train; first: data/test-00000-of-00001.parquet"},
		{"same data twice", pairs, "", "", "! a.jsonl: a.jsonl.gz is there too", ""},
		{"same data in two forms", pairs2, "", "", "! train.json: train.parquet is there too", ""},
		{"save_to_disk", saved, "", "", "! a folder that datasets' save_to_disk wrote", ""},
		{"save_to_disk of splits", dict, "", "train", "! a folder that datasets' save_to_disk wrote", ""},
		{"save_to_disk below", below, "", "", "! saved: a folder that datasets' save_to_disk wrote", ""},
		{"arrow files", arrows, "", "", "! .arrow files are not read", ""},
		{"nothing", none, "", "", "! no data file (1 others, first notes.doc)", ""},
		{"links", linked, "", "", "folder/a.txt snapshots.jsonl x/a.txt", "1 files left out by their endings; first: blobs/abc"},
		{"link to nowhere", dangling, "", "", "! b.jsonl: no such file", ""},
		{"links that double", doubled, "", "", "! a link to a folder that another link leads to", ""},
		{"links that double, by pattern", doubled, "**/*.jsonl", "", "! more than 3000 names to look at", ""},
		{"links round", loop, "", "", "! again/again: a link to a folder that another link leads to", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			set, err := Files(filepath.Join(c.dir, c.path), c.split)
			short := func(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, c.dir+"/", ""), c.dir, "") }
			if want, ok := strings.CutPrefix(c.want, "! "); ok {
				if err == nil || !strings.Contains(short(err.Error()), want) {
					t.Fatalf("error %v, want %s", err, want)
				}
				if e := (*Error)(nil); !errors.As(err, &e) || c.name != "bad pattern" && e.Hint() == "" {
					t.Errorf("no hint in %v", err)
				}
				return
			}
			if got := short(strings.Join(set.Files, " ")); got != c.want || err != nil {
				t.Errorf("files %s, error %v\nwant  %s", got, err, c.want)
			}
			var notes []string
			for _, n := range set.Notes {
				notes = append(notes, short(fmt.Sprintf("%d %s; first: %s", n.Count, n.What, n.First)))
			}
			want := slices.DeleteFunc(strings.Split(c.notes, "|"), func(s string) bool { return s == "" })
			slices.Sort(notes)
			slices.Sort(want)
			if diff := cmp.Diff(want, notes); diff != "" && len(want)+len(notes) > 0 {
				t.Errorf("notes (-want +got):\n%s", diff)
			}
		})
	}
}
