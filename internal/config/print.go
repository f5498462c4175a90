package config

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// WriteYAML writes the resolved settings, each with a comment that says where its value came from. The text is a
// configuration file again. Option blocks appear when they have an effect or were given.
func (l *Loaded) WriteYAML(w io.Writer) error {
	for _, k := range keys {
		if b := k.Block(); b != "" && !l.shows(b) || k.hidden {
			continue
		}
		v, _ := l.Get(k.Name)
		text, err := yamlText(v)
		if err != nil {
			return fmt.Errorf("write %s: %w", k.Name, err)
		}
		line := k.Name + ": " + text
		if block, option, dotted := strings.Cut(k.Name, "."); dotted {
			if first(k) {
				line = block + ":\n  " + option + ": " + text
			} else {
				line = "  " + option + ": " + text
			}
		}
		if _, err := fmt.Fprintf(w, "%s # %s\n", line, comment(l.Origin(k.Name))); err != nil {
			return err
		}
	}
	return nil
}

// comment keeps the rest of the line a comment, whatever a file is called.
func comment(where string) string {
	if quoted := strconv.Quote(where); quoted != `"`+where+`"` {
		return quoted
	}
	return where
}

// shows tells whether a block belongs into the printed settings.
func (l *Loaded) shows(block string) bool {
	return block == l.Method || block == l.Optimizer ||
		slices.ContainsFunc(keys, func(k Key) bool { return k.Block() == block && l.Given(k.Name) })
}

// first tells whether k is its block's first option.
func first(k Key) bool {
	i := slices.IndexFunc(keys, func(o Key) bool { return o.Block() == k.Block() })
	return keys[i].Name == k.Name
}

// yamlText is a value on one line.
func yamlText(v any) (string, error) {
	node, err := nodeOf(reflect.ValueOf(v))
	if err != nil {
		return "", err
	}
	var buf bytes.Buffer
	enc := yaml.NewEncoder(&buf)
	if err := enc.Encode(node); err != nil {
		return "", err
	}
	return strings.TrimSuffix(buf.String(), "\n"), enc.Close()
}

// nodeOf makes the node of a value. Encoding a text through the library's own nodes loses line ends at its beginning and end.
func nodeOf(v reflect.Value) (*yaml.Node, error) {
	switch v.Kind() {
	case reflect.String:
		return textNode(v.String()), nil
	case reflect.Slice:
		list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for i := range v.Len() {
			n, err := nodeOf(v.Index(i))
			if err != nil {
				return nil, err
			}
			list.Content = append(list.Content, n)
		}
		return list, nil
	case reflect.Struct:
		pairs := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		for i := range v.NumField() {
			n, err := nodeOf(v.Field(i))
			if err != nil {
				return nil, err
			}
			pairs.Content = append(pairs.Content, textNode(v.Type().Field(i).Tag.Get("yaml")), n)
		}
		return pairs, nil
	}
	n := &yaml.Node{}
	return n, n.Encode(v.Interface())
}

// oldYAML is what readers of YAML 1.1 take for true, false or a time.
var oldYAML = regexp.MustCompile(`^(?i:y|n|yes|no|on|off)$|^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$`)

func textNode(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	switch {
	case !utf8.ValidString(s):
		n.Tag, n.Value = "!!binary", base64.StdEncoding.EncodeToString([]byte(s))
	case strings.ContainsFunc(s, func(r rune) bool { return r == '\n' || !unicode.IsPrint(r) }), oldYAML.MatchString(s):
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// Diff lists the settings that differ between two configurations and may not when a run is resumed, as
// "learning_rate: 0.01, was 0.02". The length of the run, where and with how many threads it computes, and what is
// logged and saved may change.
func Diff(old, now Config) []string {
	var out []string
	for _, k := range keys {
		if k.Resume || k.Block() != "" && k.Block() != now.Method && k.Block() != now.Optimizer {
			continue
		}
		was, _ := old.Get(k.Name)
		is, _ := now.Get(k.Name)
		if !alike(was, is) {
			name := k.Name
			if sets, ok := is.([]Dataset); ok {
				name, was, is = firstDifference(name, was.([]Dataset), sets)
			}
			out = append(out, fmt.Sprintf("%s: %s, was %s", name, inLine(is), inLine(was)))
		}
	}
	return out
}

// alike compares two values; an empty list is like none.
func alike(a, b any) bool {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	if x.Kind() == reflect.Slice && x.Len() == 0 && y.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(a, b)
}

// firstDifference is the first entry in which two lists of data sets differ, as a user writes it.
func firstDifference(name string, was, is []Dataset) (entry string, old, now any) {
	i := 0
	for i < len(was) && i < len(is) && was[i] == is[i] {
		i++
	}
	show := func(list []Dataset) any {
		if i >= len(list) {
			return "none"
		}
		d := list[i]
		text := "path: " + d.Path + ", type: " + d.Type
		if d.Split != "" {
			text += ", split: " + d.Split
		}
		if d.Weight != 1 {
			text += fmt.Sprintf(", weight: %v", d.Weight)
		}
		return listed("{" + text + "}")
	}
	return fmt.Sprintf("%s[%d]", name, i), show(was), show(is)
}

// listed is a text that messages show whole.
type listed string

// inLine shows a value within a message. A template is long and has lines of its own.
func inLine(v any) string {
	text := shorten(fmt.Sprint(v))
	if whole, ok := v.(listed); ok {
		text = string(whole)
	}
	if quoted := strconv.Quote(text); text == "" || strings.ContainsRune(quoted, '\\') {
		return quoted
	}
	return text
}
