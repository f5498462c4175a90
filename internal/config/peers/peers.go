// Package peers reads the configurations of other trainers (axolotl, LLaMA-Factory, torchtune, TRL and transformers) and writes
// them as lomo's. What was taken over, what was left out and why, and what somebody must look at stands in the text as comments.
package peers

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"lomo/internal/config"
	"lomo/internal/fault"
)

// Options are what is read.
type Options struct {
	File    string
	Devices int // the number of GPUs that the configuration was run on; 0 where nobody said it
}

// Imported is a configuration of lomo.
type Imported struct {
	Tool        string   // whose it was
	Text        string   // YAML with comments
	Taken, Left int      // settings
	Look        []string // what somebody must look at
}

// Error is a file that cannot be imported.
type Error struct{ msg, advice string }

func (e *Error) Error() string { return e.msg }

// Hint says what to do.
func (e *Error) Hint() string { return e.advice }

func refuse(advice, format string, args ...any) error {
	return &Error{fmt.Sprintf(format, args...), advice}
}

// maxFile bounds a configuration, in bytes.
const maxFile = 1 << 20

// Import reads a configuration of another trainer.
func Import(o Options) (*Imported, error) {
	root, err := read(o.File)
	if err != nil {
		return nil, err
	}
	tool := config.ToolOf(root)
	if tool == "" {
		if _, err := config.Load(config.Input{File: o.File}); err == nil {
			return nil, refuse(fmt.Sprintf("`lomo train %s` runs it", o.File), "%s is a configuration of lomo already", o.File)
		}
		return nil, refuse("it takes the YAML or JSON of axolotl, LLaMA-Factory, torchtune, TRL and transformers' TrainingArguments",
			"%s: no configuration of a trainer that is known", o.File)
	}
	im := &importer{file: o.File, tool: tool, devices: max(1, o.Devices), given: map[string]*yaml.Node{}, used: map[string]bool{}}
	im.collect("", root)
	if err := im.supervised(); err != nil {
		return nil, err
	}
	im.run()
	im.rest()
	text, err := im.text()
	if err != nil {
		return nil, err
	}
	return &Imported{Tool: tool, Text: text, Taken: len(im.out) - im.added, Left: len(im.left), Look: im.look}, nil
}

func read(path string) (*yaml.Node, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, refuse("give the YAML or JSON file of another trainer", "%s: %v", path, errors.Unwrap(err))
	}
	if !st.Mode().IsRegular() {
		return nil, refuse("give the YAML or JSON file of another trainer", "%s is no file", path)
	}
	f, _, err := fault.Open(path)
	if err != nil {
		return nil, refuse("", "%s: %v", path, fault.Bare(err, path))
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil || len(raw) > maxFile {
		return nil, refuse("a configuration is a short file", "%s: more than %d bytes, or not readable", path, maxFile)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, refuse("mend the file; its own trainer cannot read it either", "%s: neither YAML nor JSON: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) == 0 || resolve(doc.Content[0]).Kind != yaml.MappingNode {
		return nil, refuse("give the YAML or JSON file of another trainer", "%s: no settings", path)
	}
	return resolve(doc.Content[0]), nil
}

func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// entry is a setting of the new configuration.
type entry struct{ key, value, comment, look string }

// leftOut is a setting that has no place in it.
type leftOut struct{ key, value, why string }

type importer struct {
	file, tool string
	devices    int
	given      map[string]*yaml.Node // by name, of nested ones "optimizer.lr"
	order      []string
	used       map[string]bool
	out        []entry
	added      int // entries of out that the file does not say
	left       []leftOut
	look       []string
	adapter    string // the method of adapters that was meant, "" for none
	heldOut    bool
	packing    bool
}

// nested are blocks of torchtune, which it writes as components.
func (im *importer) collect(prefix string, n *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := prefix+n.Content[i].Value, resolve(n.Content[i+1])
		if im.tool == config.Torchtune && value.Kind == yaml.MappingNode && strings.Count(prefix, ".") < 2 {
			im.collect(name+".", value)
			continue
		}
		if _, twice := im.given[name]; !twice {
			im.order = append(im.order, name)
		}
		im.given[name] = value
	}
}

// get is the value of the first of some names that has one. All of them count as dealt with.
func (im *importer) get(names ...string) (value *yaml.Node, name string) {
	for _, n := range names {
		v := im.given[n]
		im.used[n] = true
		if v != nil && v.Tag != "!!null" && name == "" {
			value, name = v, n
		}
	}
	return value, name
}

// text is the value of a setting as a word, "" for none.
func (im *importer) word(names ...string) (text, name string) {
	v, name := im.get(names...)
	if v == nil || v.Kind != yaml.ScalarNode {
		return "", name
	}
	return im.filled(v.Value), name
}

var reference = regexp.MustCompile(`\$\{([a-z_.]+)\}`)

// filled replaces ${output_dir}, as torchtune does.
func (im *importer) filled(text string) string {
	if im.tool != config.Torchtune {
		return text
	}
	return reference.ReplaceAllStringFunc(text, func(ref string) string {
		if v := im.given[strings.Trim(ref, "${}")]; v != nil && v.Kind == yaml.ScalarNode && !strings.Contains(v.Value, "${") {
			return v.Value
		}
		return ref
	})
}

// number is the value of a setting as YAML writes numbers, "" for none.
func (im *importer) number(whole bool, names ...string) (text, name string) {
	text, name = im.word(names...)
	if name == "" {
		return "", ""
	}
	n := config.Number(text, whole)
	if n == "" {
		im.leave(name, "it is no number")
	} else if v := im.given[name]; !whole && v.Tag == "!!float" && !strings.Contains(text, "_") {
		n = text // as its author wrote it
	}
	return n, name
}

func (im *importer) truth(names ...string) (value, given bool, name string) {
	text, name := im.word(names...)
	value, is := config.Truth(text)
	return value, is, name
}

// set writes a setting that the file says under a name.
func (im *importer) set(key, value, from, note string) {
	comment := strings.Trim(from+": "+note, ": ")
	if from == key {
		comment = note
	}
	im.out = append(im.out, entry{key: key, value: value, comment: comment})
}

// assume writes a setting that the file does not say, because lomo's default is another.
func (im *importer) assume(key, value, why string) {
	im.out = append(im.out, entry{key: key, value: value, comment: why})
	im.added++
}

// note is something to look at, beside the setting written last.
func (im *importer) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	im.look = append(im.look, text)
	if n := len(im.out); n > 0 && im.out[n-1].look == "" {
		im.out[n-1].look = text
	}
}

// alone is something to look at that belongs to no setting.
func (im *importer) alone(format string, args ...any) {
	im.look = append(im.look, fmt.Sprintf(format, args...))
}

func (im *importer) leave(name, why string) {
	im.used[name] = true
	im.left = append(im.left, leftOut{name, shown(im.given[name]), why})
}

func shown(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	text := n.Value
	switch n.Kind {
	case yaml.SequenceNode:
		text = fmt.Sprintf("(%d items)", len(n.Content))
		if len(n.Content) == 1 {
			text = "(1 item)"
		}
	case yaml.MappingNode:
		text = "{…}"
	}
	return clean(text)
}

// clean keeps a text in the line of a comment or message.
func clean(text string) string {
	if q := strconv.Quote(text); q != `"`+text+`"` {
		text = q
	}
	if r := []rune(text); len(r) > 60 {
		text = string(r[:60]) + "…"
	}
	return text
}

// rest leaves out what no part took, each with the reason.
func (im *importer) rest() {
	for _, name := range im.order {
		if im.used[name] {
			continue
		}
		v := im.given[name]
		if v.Tag == "!!null" || v.Kind == yaml.ScalarNode && v.Value == "" || v.Kind != yaml.ScalarNode && len(v.Content) == 0 {
			continue // not set
		}
		last := name[strings.LastIndex(name, ".")+1:]
		head, _, nested := strings.Cut(name, ".")
		a, known := config.Elsewhere(last)
		if b, is := config.Elsewhere(head); is && nested {
			a, known = b, true
		}
		switch {
		case !known:
			im.left = append(im.left, leftOut{clean(name), shown(v), "lomo does not know it"})
			im.alone("%s: %s is not known to lomo and was left out", clean(name), shown(v))
		case a.Kind == config.Renamed:
			im.left = append(im.left, leftOut{clean(name), shown(v), strings.Trim(a.To+": "+a.Note, ": ")})
		default:
			im.left = append(im.left, leftOut{clean(name), shown(v), a.Note})
		}
	}
}

// text is the configuration. What lomo refuses of it is moved to what was left out, with what it says.
func (im *importer) text() (string, error) {
	for range len(im.out) + 1 {
		text, lines := im.compose()
		_, err := config.Parse("imported", []byte(text), "model", "output_dir", "datasets")
		var all config.Errors
		switch {
		case err == nil:
			return text, nil
		case !errors.As(err, &all):
			return "", err
		}
		at := -1
		for _, e := range all {
			if n, bad := strconv.Atoi(strings.TrimPrefix(e.Where, "imported:")); bad == nil {
				at = slices.Index(lines, n)
			}
			if at >= 0 {
				break
			}
		}
		if at < 0 || slices.Contains([]string{"model", "output_dir", "datasets"}, im.out[at].key) {
			return "", refuse("write the configuration by hand; `lomo help config` lists the keys", "%s: what it says cannot be written as lomo's: %s", im.file, all[0].Msg)
		}
		e := im.out[at]
		im.out = slices.Delete(im.out, at, at+1)
		im.left = append(im.left, leftOut{e.key, clean(e.value), all[0].Msg})
		im.alone("%s: %s", e.key, all[0].Msg)
	}
	return "", refuse("", "%s: it cannot be written as lomo's", im.file)
}

// compose writes the text, and says in which line the value of each entry stands.
func (im *importer) compose() (string, []int) {
	var b strings.Builder
	line := 1
	put := func(format string, args ...any) {
		s := fmt.Sprintf(format, args...)
		b.WriteString(s + "\n")
		line += strings.Count(s, "\n") + 1
	}
	put("# From %s, a configuration of %s, by `lomo config import`.", clean(filepath.Base(im.file)), im.tool)
	if len(im.look) > 0 {
		put("# Lines that begin with LOOK want somebody to look at them.")
	}
	put("")
	var lines []int
	said := map[string]bool{}
	for _, e := range im.out {
		if e.look != "" {
			put("# LOOK %s", e.look)
			said[e.look] = true
		}
		lines = append(lines, line)
		if strings.HasPrefix(e.value, "\n") {
			put("%s:%s", e.key, e.value)
			continue
		}
		if e.comment == "" {
			put("%s: %s", e.key, e.value)
			continue
		}
		put("%-44s # %s", e.key+": "+e.value, e.comment)
	}
	first := true
	for _, l := range im.look {
		if said[l] {
			continue
		}
		if first {
			put("")
			first = false
		}
		put("# LOOK %s", l)
	}
	if len(im.left) > 0 {
		put("\n# Left out:")
	}
	for i, l := range im.left {
		if slices.ContainsFunc(im.left[:i], func(o leftOut) bool { return o.why == l.why }) {
			continue
		}
		var alike []string
		for _, o := range im.left[i:] {
			if o.why == l.why {
				alike = append(alike, o.key+": "+o.value)
			}
		}
		put("# %s -- %s", strings.Join(alike, ", "), l.why)
	}
	return b.String(), lines
}
