package tokenizer

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/loaders"
)

// A chat template is a program that comes with a model. It gets a language without access to files
// (no include, import or extends), and a budget: steps of loops and macros, bytes of output, and
// bytes of each variable.
const (
	maxSteps      = 1 << 17
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
