package main

import (
	"fmt"
	"path"
	"strings"
)

// known is one line of the list: a test that may be skipped at a level.
type known struct {
	level string // a CPU level, or "any"
	test  string // package from the module's root, a dot, the test's name; * matches within a name
	why   string
}

// parseList reads lines of `LEVEL PACKAGE.TEST reason`; # starts a comment. A line without a reason is an error.
func parseList(text string) ([]known, error) {
	var list []known
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) < 3 {
			return nil, fmt.Errorf("line %d: want LEVEL PACKAGE.TEST REASON, have %q", i+1, line)
		}
		if _, err := path.Match(f[1], ""); err != nil {
			return nil, fmt.Errorf("line %d: %q: %w", i+1, f[1], err)
		}
		list = append(list, known{f[0], f[1], strings.Join(f[2:], " ")})
	}
	return list, nil
}

// allowed reports whether a test may be skipped. A subtest may be when its parent is listed.
func allowed(list []known, level, test string) bool {
	for _, k := range list {
		if k.level != "any" && k.level != level {
			continue
		}
		if ok, _ := path.Match(k.test, test); ok || strings.HasPrefix(test, k.test+"/") {
			return true
		}
	}
	return false
}
