package config

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// WriteYAML writes the resolved settings, each with a comment that says where its value came from. The text is a
// configuration file again. Option blocks appear when they have an effect or were given.
func (l *Loaded) WriteYAML(w io.Writer) error {
	for _, k := range keys {
		if b := k.Block(); b != "" && !l.shows(b) {
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
		if _, err := fmt.Fprintf(w, "%s # %s\n", line, l.Origin(k.Name)); err != nil {
			return err
		}
	}
	return nil
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
	var node yaml.Node
	if err := node.Encode(v); err != nil {
		return "", err
	}
	oneLine(&node)
	var buf bytes.Buffer
	enc := yaml.NewEncoder(&buf)
	if err := enc.Encode(&node); err != nil {
		return "", err
	}
	return strings.TrimSpace(buf.String()), enc.Close()
}

func oneLine(n *yaml.Node) {
	switch {
	case n.Kind == yaml.SequenceNode || n.Kind == yaml.MappingNode:
		n.Style = yaml.FlowStyle
	case strings.ContainsAny(n.Value, "\n"):
		n.Style = yaml.DoubleQuotedStyle
	}
	for _, c := range n.Content {
		oneLine(c)
	}
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
		a, b := fmt.Sprintf("%v", was), fmt.Sprintf("%v", is)
		if a != b {
			out = append(out, fmt.Sprintf("%s: %s, was %s", k.Name, b, a))
		}
	}
	return out
}
