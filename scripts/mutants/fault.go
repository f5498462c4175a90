package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Fault is one change that makes the program wrong, and the tests that should fail of it.
type Fault struct {
	Name     string
	Tests    []string // arguments of go test
	Survives string   // why no test can notice it; "": one should
	Changes  []Change
}

// Change puts New in the place of Old, which the file holds exactly once.
type Change struct {
	File, Old, New string
}

// Parse reads faults, which empty lines part:
//
//	# name: what goes wrong
//	# tests: arguments of go test
//	# survives: why no test notices (where that is so)
//	--- path of a file, from the root of the module
//	-text of the file, up to the end of its line; further lines with - follow it in the file
//	+text that takes its place; none removes it
//
// Several pairs of - and + may follow a path, and several paths a name. Blocks of comments alone are passed over.
func Parse(text string) ([]Fault, error) {
	var out []Fault
	names := map[string]bool{}
	var f Fault
	file, last := "", byte(0)
	flush := func(line int) error {
		was := f
		f, file, last = Fault{}, "", 0
		switch {
		case was.Name == "" && len(was.Tests) == 0 && len(was.Changes) == 0:
			return nil
		case was.Name == "" || len(was.Tests) == 0 || len(was.Changes) == 0:
			return fmt.Errorf("line %d: the fault above, %q, needs a name, tests and a change", line, was.Name)
		case names[was.Name]:
			return fmt.Errorf("line %d: a second fault %q", line, was.Name)
		}
		names[was.Name] = true
		out = append(out, was)
		return nil
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		at := len(f.Changes) - 1
		value := func(key string) (string, bool) {
			v, ok := strings.CutPrefix(line, "# "+key+":")
			return strings.TrimSpace(v), ok
		}
		switch {
		case strings.TrimSpace(line) == "":
			if err := flush(i + 1); err != nil {
				return nil, err
			}
		case strings.HasPrefix(line, "--- "):
			file, last = strings.TrimSpace(line[4:]), 0
		case strings.HasPrefix(line, "#"):
			if v, ok := value("name"); ok {
				f.Name = v
			} else if v, ok := value("tests"); ok {
				f.Tests = strings.Fields(v)
			} else if v, ok := value("survives"); ok {
				f.Survives = v
			}
		case file == "":
			return nil, fmt.Errorf("line %d: no `--- path` is above it", i+1)
		case line[0] == '-' && last == '-':
			f.Changes[at].Old += "\n" + line[1:]
		case line[0] == '-':
			f.Changes = append(f.Changes, Change{File: file, Old: line[1:]})
			last = '-'
		case line[0] == '+' && last == '+':
			f.Changes[at].New += "\n" + line[1:]
		case line[0] == '+' && last == '-':
			f.Changes[at].New = line[1:]
			last = '+'
		default:
			return nil, fmt.Errorf("line %d: want -text and then +text, have %q", i+1, line)
		}
	}
	return out, flush(len(lines))
}

// Apply is the changed files by their path below root. Texts are compared without the blanks around them.
func (f Fault) Apply(root string) (map[string]string, error) {
	files := map[string]string{}
	for _, c := range f.Changes {
		text, ok := files[c.File]
		if !ok {
			raw, err := os.ReadFile(filepath.Join(root, c.File))
			if err != nil {
				return nil, err
			}
			text = string(raw)
		}
		old := strings.TrimSpace(c.Old)
		if n := strings.Count(text, old); n != 1 || old == "" {
			return nil, fmt.Errorf("%s holds %q %d times", c.File, old, n)
		}
		if changed := strings.TrimSpace(c.New); changed == old {
			return nil, fmt.Errorf("%s: %q is put in its own place", c.File, old)
		} else {
			files[c.File] = strings.Replace(text, old, changed, 1)
		}
	}
	return files, nil
}
