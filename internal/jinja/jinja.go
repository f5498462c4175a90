// Package jinja renders chat templates as Jinja2 does in the environment that transformers gives them.
//
// It follows jinja2 3.1 with ImmutableSandboxedEnvironment, trim_blocks, lstrip_blocks, the loop controls, and transformers' own tag, filter and functions.
// What it does not support is an error that names it, never another text. A template is a program that comes with a model, so all it may do is limited,
// and each limit is checked before it is paid.
package jinja

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Template is a compiled template. It can be rendered by several goroutines at once.
type Template struct {
	source string
	body   []stmt
	fn     *funcScope
	scope  scope
}

// Options of a rendering.
type Options struct {
	Limits Limits
	Now    time.Time // what strftime_now tells; zero: 26 July 2024, so that a text does not depend on the day
}

// defaultNow is the date that Llama 3.1's and 3.2's templates fall back to.
var defaultNow = time.Date(2024, time.July, 26, 0, 0, 0, 0, time.UTC)

// Result is a rendered text.
type Result struct {
	Text string
	// Generation are the bytes of Text inside {% generation %} blocks, in the order in which they end.
	Generation [][2]int
	// Origins are the bytes of Text that come from marked strings, in order.
	Origins []Origin
}

// Error is an error of a template.
type Error struct {
	Line    int    // of the template; 0: of no line
	Text    string // of this line, shortened
	Message string
	Raised  bool // the template itself refused, by raise_exception
}

// Lengths to which an error shortens what is the template's.
const (
	maxLineText = 80
	maxMessage  = 200
)

func (e *Error) Error() string {
	switch {
	case e.Line == 0:
		return "chat template: " + e.Message
	case e.Raised || e.Text == "":
		return fmt.Sprintf("chat template, line %d: %s", e.Line, e.Message)
	}
	return fmt.Sprintf("chat template, line %d: %s, in `%s`", e.Line, e.Message, e.Text)
}

// failAt ends the compilation with an error of this line.
func failAt(line int32, format string, a ...any) {
	panic(&failure{message: fmt.Sprintf(format, a...), line: line})
}

// caught turns a panic into an error.
func caught(source string, r any) error {
	f, ok := r.(*failure)
	if !ok {
		return &Error{Message: "it cannot be rendered: " + clipText(fmt.Sprint(r), maxMessage)}
	}
	e := &Error{Line: int(f.line), Message: clipText(f.message, maxMessage), Raised: f.raised}
	if f.line > 0 {
		lines := strings.SplitN(source, "\n", int(f.line)+1)
		if int(f.line) <= len(lines) {
			e.Text = clipText(strings.TrimSpace(lines[f.line-1]), maxLineText)
		}
	}
	return e
}

// maxHeight is how deep expressions and blocks may be nested altogether.
const maxHeight = 1000

// Compile parses a template.
func Compile(source string) (t *Template, err error) {
	if len(source) > maxSource {
		return nil, &Error{Message: fmt.Sprintf("it has %d bytes; at most %d are read", len(source), maxSource)}
	}
	if !utf8.ValidString(source) {
		return nil, &Error{Message: "it is not UTF-8"}
	}
	source = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(source)
	defer func() {
		if r := recover(); r != nil {
			t, err = nil, caught(source, r)
		}
	}()
	t = &Template{source: source, body: parse(lex(strings.TrimSuffix(source, "\n"))), fn: &funcScope{slots: map[string]int{}}}
	for _, s := range t.body {
		checkHeight(s, 0)
	}
	r := &resolver{syms: newSymbols(nil), fn: t.fn}
	if uses(t.body, "self")["self"] {
		failAt(0, "the variable self is not supported")
	}
	visit(r.syms.read, t.body...)
	t.scope = r.declare()
	r.all(t.body)
	return t, nil
}

func checkHeight(n node, height int) {
	if height > maxHeight {
		failAt(0, "more than %d operators and blocks inside each other", maxHeight)
	}
	n.kids(func(k node) { checkHeight(k, height+1) })
}

// Render renders the template with these variables.
func (t *Template) Render(vars *Dict, o Options) (res Result, err error) {
	st := &state{limits: o.Limits, vars: vars, now: o.Now}
	if st.limits.Depth == 0 {
		st.limits.Depth = defaultDepth
	}
	if st.now.IsZero() {
		st.now = defaultNow
	}
	defer func() {
		if r := recover(); r != nil {
			res, err = Result{}, caught(t.source, r)
		}
	}()
	size := 0
	if vars != nil {
		size = inputSize(vars, 0)
	}
	st.bytes, st.steps = o.Limits.Bytes, o.Limits.Steps
	if st.bytes == 0 {
		st.bytes = defaultBytes + bytesPerInput*size
	}
	if st.steps == 0 {
		st.steps = defaultSteps + stepsPerInput*size
	}
	st.out = &builder{st: st, b: make([]byte, 0, min(size+size/4+512, 1<<20))}
	e := t.fn.newEnv(st, nil)
	t.scope.enter(st, e)
	st.run(t.body, e)
	return Result{Text: st.out.text().s, Generation: st.generation, Origins: st.out.at}, nil
}

// inputSize is the number of bytes of the strings in v.
func inputSize(v Value, depth int) int {
	if depth > 2*maxJSONDepth {
		panic(&failure{message: "the variables are nested too deep"})
	}
	switch v := v.(type) {
	case string:
		return len(v)
	case *str:
		return len(v.s)
	case *List:
		n := 0
		for _, item := range v.items {
			n += 8 + inputSize(item, depth+1)
		}
		return n
	case *Dict:
		n := 0
		for i := range v.entries {
			k, _ := Text(v.entries[i].key)
			n += 8 + len(k) + inputSize(v.entries[i].value, depth+1)
		}
		return n
	}
	return 0
}
