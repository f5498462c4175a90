package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"lomo/internal/fault"
	"lomo/internal/suggest"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

// setting is one value somebody gave a key.
type setting struct {
	key   Key
	node  *yaml.Node
	where string // "run.yaml:12", "LOMO_SEED", "--set"
	place place  // where a node within the value stands
}

// place says where a node stands: in a file its line, else the variable or flag.
type place func(*yaml.Node) string

// source reads the settings of one place and collects what is wrong with them.
type source struct {
	settings  []setting
	problems  problems
	strangers int      // unknown keys
	last      problems // told behind all others
}

// give records a value for the key called name. One without a value is refused: whether its author meant the default, or forgot
// to write the value, is not known.
func (s *source) give(name string, node *yaml.Node, where string, at place) {
	key, known := find(keys, name)
	switch {
	case !known:
		s.unknown(name, where)
	case s.given(key) != nil:
		s.problems.add(where, "keep one of them", "%s is given twice, first %s", name, beside(where, s.given(key).where))
	case node.Tag == "!!null":
		s.problems.add(where, "give one, or leave the key out for its default, "+shownDefault(key), "%s has no value", name)
	default:
		s.settings = append(s.settings, setting{key, node, where, at})
	}
}

func (s *source) given(key Key) *setting {
	for i := range s.settings {
		if s.settings[i].key.Name == key.Name {
			return &s.settings[i]
		}
	}
	return nil
}

// unknown reports a key that is not one, with the one that was probably meant.
func (s *source) unknown(name, where string) {
	s.strangers++
	if s.strangers > mostUnknown {
		return
	}
	prefix, last := "", name
	if block, rest, dotted := strings.Cut(name, "."); dotted {
		if !slices.Contains(blocks, block) {
			last = block
		} else {
			prefix, last = block+".", rest
		}
	}
	for _, key := range []string{"method", "optimizer"} {
		if k, _ := find(keys, key); prefix == "" && slices.Contains(k.Planned, last) {
			s.problems.add(where, key+" has "+strings.Join(k.OneOf, ", "), "%s is not in this version", shorten(last))
			return
		}
	}
	advice := "`lomo help config` lists all keys"
	if prefix != "" {
		var options []string
		for _, n := range names(keys, prefix) {
			options = append(options, strings.TrimPrefix(n, prefix))
		}
		advice = fmt.Sprintf("%s has %s", strings.TrimSuffix(prefix, "."), strings.Join(options, ", "))
	}
	if a, foreign := Elsewhere(last); foreign && (prefix == "" || strings.HasPrefix(a.To, prefix)) {
		advice = a.Hint()
	} else if n := suggest.Nearest(strings.ReplaceAll(strings.ToLower(last), "-", "_"), names(keys, prefix)); n != "" {
		advice = fmt.Sprintf("did you mean %q?", prefix+n)
	} else if n := inBlock(last); n != "" {
		advice = fmt.Sprintf("did you mean %q?", n)
	} else if a, foreign := Elsewhere(strings.ReplaceAll(strings.ToLower(last), "-", "_")); foreign && prefix == "" {
		advice = a.Hint()
	}
	s.problems.add(where, advice, "unknown key %q", shorten(name))
}

// mostUnknown is how many unknown keys of a source are told one by one.
const mostUnknown = 20

// inBlock finds the dotted name of an option written outside its block.
func inBlock(option string) string {
	for _, k := range keys {
		if _, rest, dotted := strings.Cut(k.Name, "."); dotted && rest == option {
			return k.Name
		}
	}
	return ""
}

// readFile takes the settings of a YAML file: a mapping of keys, and option blocks that are mappings themselves.
func (s *source) readFile(path string) error {
	text, err := readBounded(path)
	if err != nil {
		return err
	}
	return s.readYAML(path, text)
}

func (s *source) readYAML(path string, text []byte) error {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		return notYAML(path, string(text), err)
	}
	if dec.Decode(&second) == nil {
		return &Error{Where: at(path, &second), Msg: "a second document", Advice: "a run is one YAML document"}
	}
	root := resolve(doc.Content[0])
	if wrong := spaceless(path, root); wrong != nil {
		return wrong
	}
	if tool := ToolOf(root); tool != "" {
		s.last.add(path, fmt.Sprintf("`lomo config import %s --out run.yaml` writes it as lomo's", path), "this is a configuration of %s", tool)
	}
	s.mapping(func(n *yaml.Node) string { return at(path, n) }, "", root)
	if more := s.strangers - mostUnknown; more == 1 {
		s.problems.add(path, "", "1 more unknown key")
	} else if more > 1 {
		s.problems.add(path, "", "%d more unknown keys", more)
	}
	return nil
}

// mapping takes the pairs of a mapping; prefix is "" or the block's name and a dot, place says where a node stands.
func (s *source) mapping(place place, prefix string, node *yaml.Node) {
	node = resolve(node)
	if node.Tag == "!!null" {
		return
	}
	if node.Kind != yaml.MappingNode {
		advice := "write `key: value` lines"
		if node.Kind == yaml.SequenceNode && len(node.Content) > 0 && resolve(node.Content[0]).Kind == yaml.MappingNode {
			advice = "remove the `- ` before the keys"
		}
		s.problems.add(place(node), advice, "%swant a mapping of keys, have %s", label(prefix), shown(node))
		return
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		if prefix == "" && slices.Contains(blocks, name.Value) {
			if b := resolve(value); b.Kind != yaml.MappingNode && b.Tag != "!!null" {
				s.problems.add(place(name), blockAdvice(name.Value), "%s: want a mapping of keys, have %s", name.Value, shown(b))
				continue
			}
			s.mapping(place, name.Value+".", value)
			continue
		}
		if _, known := find(keys, prefix+name.Value); !known && prefix == "" && holdsKeys(resolve(value)) {
			if _, foreign := Elsewhere(name.Value); !foreign {
				s.problems.add(place(name), "keys begin at the left edge: remove that line and the space before the others", "unknown key %q with keys of lomo under it", shorten(name.Value))
				continue
			}
		}
		s.give(prefix+name.Value, resolve(value), place(name), place)
	}
}

// holdsKeys tells whether a mapping holds a key of ours.
func holdsKeys(node *yaml.Node) bool {
	for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
		if _, known := find(keys, node.Content[i].Value); known {
			return true
		}
	}
	return false
}

// label is "adamw: " for the block prefix "adamw.".
func label(prefix string) string {
	if prefix == "" {
		return ""
	}
	return strings.TrimSuffix(prefix, ".") + ": "
}

func resolve(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

// beside says where something stands to a reader of a message that begins with another place: in the same file by its line alone.
func beside(place, other string) string {
	file, line, found := strings.Cut(other, ":")
	switch {
	case found && strings.HasPrefix(place, file+":"):
		return "in line " + line
	case found:
		return "in " + other
	}
	return "by " + other
}

func at(path string, node *yaml.Node) string { return fmt.Sprintf("%s:%d", path, node.Line) }

// notKeys are environment variables of the program that set no key.
var notKeys = []string{"LOMO_CPU", "LOMO_CUDA_DRIVER", "LOMO_CUBLAS", "LOMO_NCCL"}

// readEnv takes LOMO_* variables: LOMO_LEARNING_RATE, LOMO_ADAMW_EPS. Empty ones count as not set.
func (s *source) readEnv(environ []string) {
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, "LOMO_") || slices.Contains(notKeys, name) || value == "" {
			continue
		}
		s.text(envKey(name), value, name)
	}
}

// envKey is the key an environment variable sets.
func envKey(name string) string {
	word := strings.ToLower(strings.TrimPrefix(name, "LOMO_"))
	for _, b := range blocks {
		if option, ok := strings.CutPrefix(word, b+"_"); ok {
			return b + "." + option
		}
	}
	return word
}

// readSet takes key=value words.
func (s *source) readSet(words []string) {
	for _, w := range words {
		name, value, ok := strings.Cut(w, "=")
		if !ok {
			s.problems.add("--set", "write --set learning_rate=0.02", "%q is not key=value", w)
			continue
		}
		name = strings.TrimSpace(name)
		if key, known := find(keys, name); known {
			s.drop(key) // the last one counts, as with any flag
		}
		s.text(name, value, "--set")
	}
}

func (s *source) drop(key Key) {
	s.settings = slices.DeleteFunc(s.settings, func(x setting) bool { return x.key.Name == key.Name })
}

// text gives a key, or a block's options, a value from outside a file. A key that takes a text gets the words as they are: a
// template's line ends, a path with " #" or "[". A word out of a list may have space around it. All else is YAML on one line.
func (s *source) text(name, value, where string) {
	here := func(*yaml.Node) string { return where }
	key, known := find(keys, name)
	block := slices.Contains(blocks, name)
	switch {
	case !known && !block:
		s.unknown(name, where)
		return
	case key.isText():
		if len(key.OneOf) > 0 {
			value = strings.TrimSpace(value)
		}
		s.give(name, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}, where, here)
		return
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(value), &doc); err != nil {
		advice := "quote the value"
		if known {
			advice = example(key)
		}
		s.problems.add(where, advice, "%s: %q is not YAML", name, shorten(value))
		return
	}
	node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
	if len(doc.Content) > 0 {
		node = resolve(doc.Content[0])
	}
	if block {
		s.mapping(here, name+".", node)
		return
	}
	s.give(name, node, where, here)
}

// readBounded reads a whole file of at most maxFile bytes.
func readBounded(path string) ([]byte, error) {
	f, err := fault.OpenInput(path)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return nil, &Error{Where: path, Msg: "this user may not read it", Advice: "allow it with chmod, or copy the file"}
		}
		return nil, &Error{Where: path, Msg: fault.Bare(err, path).Error(), Advice: "--config names a YAML file; configs/ has examples"}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, &Error{Msg: err.Error()}
	}
	if len(text) > maxFile {
		return nil, &Error{Where: path, Msg: fmt.Sprintf("more than %d bytes", maxFile), Advice: "a configuration is a short YAML file"}
	}
	return text, nil
}
