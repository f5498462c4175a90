package tokenizer

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nikolalohinski/gonja/v2/builtins"
	structures "github.com/nikolalohinski/gonja/v2/builtins/control_structures"
	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/loaders"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// A chat template is a program that comes with a model. It gets a language without access to files
// (no include, import or extends), and a budget: steps of loops and macros, bytes of output, and
// bytes of each variable.
const (
	maxSteps      = 1 << 18
	maxMacroDepth = 32
	maxRange      = 1 << 14
)

// render is the state of one rendering.
type render struct {
	limit  int // bytes of output, and of any one string
	steps  int
	depth  int // macros inside each other
	raised string
	output output
}

// stateKey is the variable that holds the render. No template can name it.
const stateKey = "render state"

// stateOf is the render that the variables belong to.
func stateOf(c *exec.Context) *render {
	v, _ := c.Get(stateKey)
	s, _ := v.(*render)
	if s == nil {
		return new(render) // a budget of nothing
	}
	return s
}

// output collects text up to the limit, and the marks of {% generation %}.
type output struct {
	b     strings.Builder
	limit int
	spans [][2]int
}

var errTooLong = errors.New("the output is too long")

func (o *output) Write(p []byte) (int, error) {
	if o.b.Len()+len(p) > o.limit {
		return 0, errTooLong
	}
	return o.b.Write(p)
}

// Names of gonja's own definitions that templates may use. Others are left out because they print
// HTML, read files, are random, or make long strings of short ones.
var (
	allowedTags = []string{"break", "continue", "filter", "if"}

	allowedFilters = []string{"abs", "attr", "capitalize", "count", "d", "default", "dictsort", "first", "float", "groupby",
		"int", "items", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "round",
		"safe", "select", "selectattr", "sort", "string", "sum", "title", "trim", "unique", "upper"}

	allowedMethods = []string{"capitalize", "count", "endswith", "find", "isalnum", "isalpha", "isdigit", "islower",
		"isnumeric", "isspace", "isupper", "lower", "lstrip", "partition", "removeprefix", "removesuffix", "rfind",
		"rpartition", "rstrip", "splitlines", "startswith", "strip", "title", "upper"}
)

// compile parses a template for repeated use.
func compile(source string) (t *exec.Template, err error) {
	source, err = prepareJinja(source)
	if err != nil {
		return nil, err
	}
	// gonja reports most mistakes as errors, but not all.
	defer func() {
		if r := recover(); r != nil {
			t, err = nil, fmt.Errorf("cannot be parsed: %v", r)
		}
	}()
	loader, err := loaders.NewMemoryLoader(map[string]string{"/chat": source})
	if err != nil {
		return nil, err
	}
	c := config.New()
	c.KeepTrailingNewline = true // prepareJinja removed the one to remove
	return exec.NewTemplate("/chat", c, loader, &exec.Environment{
		Context: exec.NewContext(map[string]any{
			"raise_exception": raiseException,
			"strftime_now":    strftimeNow,
			"range":           boundedRange,
			"namespace":       global("namespace"),
			"dict":            global("dict"),
		}),
		Filters:           filterSet(),
		Tests:             builtins.Tests,
		ControlStructures: tagSet(),
		Methods:           methodSet(),
	})
}

func global(name string) any {
	v, _ := builtins.GlobalFunctions.Get(name)
	return v
}

func filterSet() *exec.FilterSet {
	set := map[string]exec.FilterFunction{"tojson": filterJSON, "join": filterJoin, "replace": filterReplace, "indent": filterIndent}
	for _, name := range allowedFilters {
		if f, ok := builtins.Filters.Get(name); ok {
			set[name] = f
		}
	}
	return exec.NewFilterSet(set)
}

func methodSet() exec.Methods {
	set := map[string]exec.Method[string]{"replace": methodReplace, "join": methodJoin, "split": methodSplit}
	for _, name := range allowedMethods {
		if m, ok := builtins.Methods.Str.Get(name); ok {
			set[name] = m
		}
	}
	all := builtins.Methods
	all.Str = exec.NewMethodSet(set)
	return all
}

func tagSet() *exec.ControlStructureSet {
	set := map[string]parser.ControlStructureParser{"for": parseFor, "macro": parseMacro, "set": parseSet, "generation": parseGeneration}
	for _, name := range allowedTags {
		if p, ok := builtins.ControlStructures.Get(name); ok {
			set[name] = p
		}
	}
	return exec.NewControlStructureSet(set)
}

// builtin parses a tag with gonja's own parser.
func builtin(name string, p, args *parser.Parser) (nodes.ControlStructure, error) {
	parse, ok := builtins.ControlStructures.Get(name)
	if !ok {
		return nil, fmt.Errorf("gonja has no %q", name)
	}
	return parse(p, args)
}

// step is a tag that we put at the start and the end of bodies: it pays for one round.
type step struct {
	at    *tokens.Token
	depth int // +1 entering a macro, -1 leaving
}

func (s *step) Position() *tokens.Token { return s.at }
func (s *step) String() string          { return "step" }

func (s *step) Execute(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
	state := stateOf(r.Environment.Context)
	state.steps++
	state.depth += s.depth
	if state.steps > maxSteps {
		return fmt.Errorf("more than %d rounds of loops", maxSteps)
	}
	if state.depth > maxMacroDepth {
		return fmt.Errorf("more than %d macros inside each other", maxMacroDepth)
	}
	return nil
}

func stepNode(at *tokens.Token, depth int) nodes.Node {
	return &nodes.ControlStructureBlock{Location: at, Name: "step", ControlStructure: &step{at, depth}}
}

func parseFor(p, args *parser.Parser) (nodes.ControlStructure, error) {
	c, err := builtin("for", p, args)
	if err != nil {
		return nil, err
	}
	f, ok := c.(*structures.ForControlStructure)
	if !ok || f.Recursive {
		return nil, errors.New("recursive loops are not supported")
	}
	f.BodyWrapper.Nodes = append([]nodes.Node{stepNode(f.BodyWrapper.Location, 0)}, f.BodyWrapper.Nodes...)
	return f, nil
}

func parseMacro(p, args *parser.Parser) (nodes.ControlStructure, error) {
	c, err := builtin("macro", p, args)
	if err != nil {
		return nil, err
	}
	m, ok := c.(*structures.MacroControlStructure)
	if !ok {
		return nil, errors.New("macro: not what gonja's macros were")
	}
	w := m.Wrapper
	w.Nodes = append(append([]nodes.Node{stepNode(w.Location, 1)}, w.Nodes...), stepNode(w.Location, -1))
	return m, nil
}

// boundedSet is {% set %} that looks at what it has stored.
type boundedSet struct {
	exec.ControlStructure
	name string
}

func parseSet(p, args *parser.Parser) (nodes.ControlStructure, error) {
	name := args.Current()
	c, err := builtin("set", p, args)
	if err != nil {
		return nil, err
	}
	set, ok := c.(exec.ControlStructure)
	if !ok {
		return nil, errors.New("set: not what gonja's set was")
	}
	return &boundedSet{set, name.Val}, nil
}

func (s *boundedSet) Execute(r *exec.Renderer, block *nodes.ControlStructureBlock) error {
	if err := s.ControlStructure.Execute(r, block); err != nil {
		return err
	}
	v, _ := r.Environment.Context.Get(s.name)
	if limit := stateOf(r.Environment.Context).limit; size(v, limit) > limit {
		return fmt.Errorf("set %s: more than %d bytes", s.name, limit)
	}
	return nil
}

// size counts the bytes of the strings in v, roughly, and stops above limit.
func size(v any, limit int) int {
	n := 0
	switch v := v.(type) {
	case string:
		return len(v)
	case *exec.Value:
		if v.IsString() {
			return v.Len() // characters
		}
		return size(v.Interface(), limit)
	case map[string]any:
		for _, w := range v {
			if n += 8 + size(w, limit-n); n > limit {
				break
			}
		}
	case []any:
		for _, w := range v {
			if n += 8 + size(w, limit-n); n > limit {
				break
			}
		}
	case exec.ValuesList:
		for _, w := range v {
			if n += 8 + size(w, limit-n); n > limit {
				break
			}
		}
	}
	return n
}

// generation is {% generation %}…{% endgeneration %}: the text inside is what the model learns.
type generation struct {
	at   *tokens.Token
	body *nodes.Wrapper
}

func parseGeneration(p, args *parser.Parser) (nodes.ControlStructure, error) {
	at := p.Current()
	body, end, err := p.WrapUntil("endgeneration")
	if err != nil {
		return nil, err
	}
	if !args.End() || !end.End() {
		return nil, errors.New("generation takes no arguments")
	}
	return &generation{at, body}, nil
}

func (g *generation) Position() *tokens.Token { return g.at }
func (g *generation) String() string          { return "generation" }

func (g *generation) Execute(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
	o, ok := r.Output.(*output)
	if !ok {
		return errors.New("generation inside a macro or a set block has no place in the output")
	}
	start := o.b.Len()
	if err := r.ExecuteWrapper(g.body); err != nil {
		return err
	}
	o.spans = append(o.spans, [2]int{start, o.b.Len()})
	return nil
}
