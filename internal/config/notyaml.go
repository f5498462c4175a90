package config

import (
	"fmt"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

var (
	lineOf     = regexp.MustCompile(`^yaml: line (\d+): `)
	noSpace    = regexp.MustCompile(`^\s*(?:- )?([A-Za-z_][A-Za-z0-9_.]*):([^\s:/\\].*)$`)
	equalsSign = regexp.MustCompile(`^\s*([A-Za-z_][A-Za-z0-9_.]*)\s*=\s*(.+)$`)
)

// notYAML says which line of a file keeps it from being YAML, and what to write instead. The library names the line at which it
// gave up, which often is not that of the mistake.
func notYAML(path, text string, err error) *Error {
	for i, line := range strings.Split(text, "\n") {
		wrong := func(advice, format string, args ...any) *Error {
			return &Error{Where: fmt.Sprintf("%s:%d", path, i+1), Msg: fmt.Sprintf(format, args...), Advice: advice}
		}
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		m, eq := noSpace.FindStringSubmatch(line), equalsSign.FindStringSubmatch(line)
		switch {
		case strings.Contains(indent, "\t") && strings.TrimSpace(line) != "":
			return wrong("indent with spaces", "a tab at the beginning of the line, which YAML does not take")
		case m != nil && isKey(m[1]):
			return wrong(fmt.Sprintf("write %s: %s", m[1], shorten(strings.TrimSpace(m[2]))), "%s: no space behind the colon", m[1])
		case eq != nil && isKey(eq[1]):
			return wrong(fmt.Sprintf("write %s: %s", eq[1], shorten(strings.TrimSpace(eq[2]))), "%s = is not YAML", eq[1])
		}
	}
	where, said := path, strings.TrimPrefix(err.Error(), "yaml: ")
	if m := lineOf.FindStringSubmatch(err.Error()); m != nil {
		where, said = path+":"+m[1], strings.TrimPrefix(err.Error(), m[0])
	}
	if strings.HasPrefix(said, "control characters") || strings.Contains(said, "invalid") && strings.Contains(said, "UTF-8") {
		return &Error{Where: where, Msg: "the file is not text: " + said, Advice: "a configuration is a YAML file of `key: value` lines"}
	}
	return &Error{Where: where, Msg: "the file is not YAML: " + said, Advice: "about that line a bracket or quote is open, or a line is indented otherwise than its neighbours"}
}

// spaceless finds a file that is one text to YAML, because no colon has a space behind it.
func spaceless(path string, root *yaml.Node) *Error {
	if root.Kind != yaml.ScalarNode {
		return nil
	}
	first, _, _ := strings.Cut(strings.TrimSpace(root.Value), " ")
	for _, m := range [][]string{noSpace.FindStringSubmatch(first), equalsSign.FindStringSubmatch(strings.TrimSpace(root.Value))} {
		if m != nil && isKey(m[1]) {
			return &Error{Where: at(path, root), Msg: m[1] + ": no colon with a space behind it", Advice: fmt.Sprintf("write %s: %s", m[1], shorten(firstWord(m[2])))}
		}
	}
	return nil
}

func isKey(name string) bool {
	_, known := find(keys, name)
	_, foreign := Elsewhere(name)
	return known || foreign
}

func blockAdvice(block string) string {
	for _, k := range keys {
		if k.Block() == block && !k.hidden {
			return example(k)
		}
	}
	return ""
}

func firstWord(text string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	return word
}
