package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// address matches s3://bucket/file, and s3:/bucket/file, which is left of it when a path is made clean; no drive, such as C:/.
var address = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+-]+:/`)

// paths refuses what looks like a path and is none: a shell, or a library of another language, would have made one of it. As an
// output_dir it would become a folder with an odd name.
func (l *Loaded) paths(p *problems) {
	l.path(p, "output_dir", "output_dir", l.OutputDir)
	if !strings.HasPrefix(l.Model, "https:/") && !strings.HasPrefix(l.Model, "http:/") { // of the hub's the run says how it is fetched
		l.path(p, "model", "model", l.Model)
	}
	for i, d := range l.Datasets {
		l.path(p, "datasets", fmt.Sprintf("datasets[%d].path", i), d.Path)
	}
	for i, d := range l.EvalDatasets {
		l.path(p, "eval_datasets", fmt.Sprintf("eval_datasets[%d].path", i), d.Path)
	}
}

func (l *Loaded) path(p *problems, key, name, path string) {
	if path == "" {
		return
	}
	if _, err := os.Stat(path); err == nil {
		return
	}
	switch {
	case address.MatchString(path):
		advice := "download it first, and give the path of the file"
		if key == "output_dir" {
			advice = "give a folder, and upload it when the run is done"
		} else if key == "model" {
			advice = "download it first, and give its folder"
		}
		p.add(l.where(key), advice, "%s: %q is an address, and lomo reads and writes files of this machine", name, path)
	case path == "~" || strings.HasPrefix(path, "~/"):
		advice := "write the whole path"
		if home, err := os.UserHomeDir(); err == nil {
			advice = "write " + filepath.Join(home, path[1:])
		}
		p.add(l.where(key), advice, "%s: %q begins with ~, which stands for a home folder in a shell only", name, path)
	case strings.HasPrefix(path, "$"):
		advice := "write the whole path"
		if full := os.Expand(path, func(v string) string {
			if s := os.Getenv(v); s != "" {
				return s
			}
			return "$" + v
		}); !strings.Contains(full, "$") {
			advice = "write " + full
		}
		p.add(l.where(key), advice, "%s: %q begins with a variable, which only a shell replaces", name, path)
	}
}
