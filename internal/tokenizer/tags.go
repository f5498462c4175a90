package tokenizer

import (
	"errors"
	"fmt"

	"github.com/nikolalohinski/gonja/v2/builtins"
	structures "github.com/nikolalohinski/gonja/v2/builtins/control_structures"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// tagSet is the tags that templates may use: gonja's own, some of them with a price.
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
