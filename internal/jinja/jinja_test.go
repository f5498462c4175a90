package jinja

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
)

type golden struct {
	Vars  json.RawMessage
	Cases []struct {
		T       string // template
		W       string // text
		E       bool   // jinja2 refuses it
		G       [][2]int
		Address bool // the text holds an address
	}
}

func readGolden(t testing.TB) (golden, *Dict) {
	t.Helper()
	b, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	v, err := ParseJSON(g.Vars)
	if err != nil {
		t.Fatal(err)
	}
	return g, v.(*Dict)
}

func render(source string, vars *Dict) (Result, error) {
	tmpl, err := Compile(source)
	if err != nil {
		return Result{}, err
	}
	return tmpl.Render(vars, Options{})
}

// refused are templates that jinja2 renders and this package refuses by name.
var refused = map[string]string{
	`{{ '{0.upper}'.format('a') is defined }}`:          "the text that the test does not look at holds an address",
	`{{ '{:1000000000d}'.format(1) is defined }}`:       "a gigabyte",
	`{{ '\N{BULLET}' }}`:                                "characters by name need a table of all names",
	`{{ s|random }}`:                                    "another text each time",
	`{{ s|urlize }}`:                                    "makes HTML",
	`{{ d|xmlattr }}`:                                   "makes HTML",
	`{{ s|striptags }}`:                                 "reads HTML",
	`{{ s|pprint }}`:                                    "Python's pretty printer",
	`{% autoescape true %}{{ '<' }}{% endautoescape %}`: "makes HTML",
}

// TestGolden compares with jinja2: its text, or an error where it has one. What would print an address must be an error.
func TestGolden(t *testing.T) {
	g, vars := readGolden(t)
	if len(g.Cases) < 600 {
		t.Fatalf("only %d cases", len(g.Cases))
	}
	for _, c := range g.Cases {
		got, err := render(c.T, vars)
		_, named := refused[c.T]
		switch {
		case c.E || c.Address || named:
			if err == nil {
				t.Errorf("%s\n got %q, want an error", c.T, got.Text)
			}
		case err != nil:
			t.Errorf("%s\nwant %q\n got %v", c.T, c.W, err)
		case got.Text != c.W:
			t.Errorf("%s\nwant %q\n got %q", c.T, c.W, got.Text)
		case !slices.Equal(got.Generation, c.G):
			t.Errorf("%s\nwant the marks %v, got %v", c.T, c.G, got.Generation)
		}
	}
}
