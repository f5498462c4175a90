package jinja

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
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

// TestMarkedGolden renders the same with every string marked: the text must not depend on it.
func TestMarkedGolden(t *testing.T) {
	g, vars := readGolden(t)
	mark := 0
	marked := mark1(vars, &mark).(*Dict)
	for _, c := range g.Cases {
		if c.E || c.Address || refused[c.T] != "" {
			continue
		}
		got, err := render(c.T, marked)
		if err != nil || got.Text != c.W {
			t.Errorf("%s\nwant %q\n got %q %v", c.T, c.W, got.Text, err)
		}
		checkResult(t, got)
	}
}

// TestOrigins follows marked strings: a is 1, b is 2, é日 is 3. The wanted form is the text with each marked part in brackets behind its mark.
func TestOrigins(t *testing.T) {
	for _, c := range [][2]string{
		{"x{{ a }}y{{ b }}", "x1[alpha]y2[be  ta]"},
		{"{{ a + b }}", "1[alpha]2[be  ta]"},
		{"{{ a ~ '|' ~ b }}", "1[alpha]|2[be  ta]"},
		{"{{ a[1:3] }}{{ a[-1] }}{{ a[::-1] }}", "1[lpaahpla]"},
		{"{{ u[1] }}{{ u[:1] }}", "3[日é]"},
		{"{{ (' ' + a + ' ') | trim }}", "1[alpha]"},
		{"{{ b.split('  ')[1] }}{{ b.split() }}", "2[ta]['2[be]', '2[ta]']"},
		{"{{ a.replace('ph', b) }}", "1[al]2[be  ta]1[a]"},
		{"{{ 'x-y'.replace('-', a) }}", "x1[alpha]y"},
		{"{{ a|upper }}{{ a|title }}{{ a.capitalize() }}", "1[ALPHAAlphaAlpha]"},
		{"{{ a|tojson }}{{ q|tojson }}", `"1[alpha]""4[\"\n]"`},
		{"{{ {'k': a}|tojson(indent=1) }}", "{\n \"k\": \"1[alpha]\"\n}"},
		{"{{ [a, b]|join(', ') }}{{ ', '.join([a, b]) }}", "1[alpha], 2[be  ta]1[alpha], 2[be  ta]"},
		{"{{ '%s!' % a }}{{ '{}!'.format(a) }}{{ '{:>7}'.format(a) }}{{ '%.2s' % a }}", "1[alpha]!1[alpha]!  1[alphaal]"},
		{"{% set x %}<{{ a }}>{% endset %}{{ x }}{{ x|upper }}", "<1[alpha]><1[ALPHA]>"},
		{"{% macro f(x) %}({{ x }}{{ caller() }}){% endmacro %}{% call f(b) %}{{ a }}{% endcall %}", "(2[be  ta]1[alpha])"},
		{"{% filter indent(2) %}{{ a }}\n{{ b }}{% endfilter %}", "1[alpha]\n  2[be  ta]"},
		{"{{ a|replace('a', '') }}{{ a|length }}{{ a == 'alpha' }}", "1[lph]5True"},
		{"{% set ns = namespace(t='') %}{% for c in a %}{% set ns.t = ns.t ~ c ~ '.' %}{% endfor %}{{ ns.t }}", "1[a].1[l].1[p].1[h].1[a]."},
		{"{{ a.center(9) }}{{ a * 2 }}{{ a|default('x') }}{{ (a, b)|first }}{{ a|list|last }}", "  1[alpha]  1[alphaalphaalphaalphaa]"},
		{"{{ b|wordwrap(2) }}{{ a.partition('p')[2] }}{{ a.removeprefix('al') }}{{ a|e }}", "2[be]\n2[ta]1[haphaalpha]"},
		{"{{ b.splitlines()[0] }}{{ a if a else b }}{{ a or b }}{{ a and b }}", "2[be  ta]1[alphaalpha]2[be  ta]"},
	} {
		vars := NewDict()
		for i, s := range []string{"alpha", "be  ta", "é日", "\"\n"} {
			vars.Set([]string{"a", "b", "u", "q"}[i], Marked(s, i+1))
		}
		r, err := render(c[0], vars)
		if err != nil {
			t.Errorf("%s: %v", c[0], err)
			continue
		}
		shown, at := "", 0
		for _, o := range r.Origins {
			shown += r.Text[at:o.Start] + string(rune('0'+o.Mark)) + "[" + r.Text[o.Start:o.End] + "]"
			at = o.End
		}
		if shown += r.Text[at:]; shown != c[1] {
			t.Errorf("%s\nwant %s\n got %s", c[0], c[1], shown)
		}
	}
}

// TestErrors: an error tells the line and shows it, shortened and without control characters.
// TestDepthIsGivenBack: what goes one level deeper may be done again and again beside each other.
func TestDepthIsGivenBack(t *testing.T) {
	for source, want := range map[string]string{
		"{% macro f(x) %}{{ x }}{% endmacro %}{% for i in range(1000) %}{{ f('a') }}{% endfor %}":                                     strings.Repeat("a", 1000),
		"{% macro f() %}{{ caller() }}{% endmacro %}{% for i in range(500) %}{% call f() %}b{% endcall %}{% endfor %}":                strings.Repeat("b", 500),
		"{% for i in range(400) %}{% for k in [1] recursive %}c{% endfor %}{% endfor %}":                                              strings.Repeat("c", 400),
		"{% for i in range(400) %}{{ [1]|tojson }}{% endfor %}":                                                                       strings.Repeat("[1]", 400),
		"{% for i in range(400) %}{{ {'k': 1}|tojson }}{% endfor %}":                                                                  strings.Repeat(`{"k": 1}`, 400),
		"{% for i in range(400) %}{{ [1] }}{% endfor %}":                                                                              strings.Repeat("[1]", 400),
		"{% for i in range(400) %}{{ 'd' if [i] == [i] and {'k': i} == {'k': i} and [i] < [i + 1] }}{% endfor %}":                     strings.Repeat("d", 400),
		"{% macro f(n) %}{% if n %}{{ f(n - 1) }}{% else %}e{% endif %}{% endmacro %}{% for i in range(20) %}{{ f(60) }}{% endfor %}": strings.Repeat("e", 20),
	} {
		if r, err := render(source, nil); err != nil || r.Text != want {
			t.Errorf("%s: %v; %.80q", source, err, r.Text)
		}
	}
}

func TestErrors(t *testing.T) {
	long := "{{ x.y }}" + string(make([]byte, 300))
	for _, c := range [][2]string{
		{"a\n\n{{ nope.x }} b", "chat template, line 3: 'nope' is undefined, in `{{ nope.x }} b`"},
		{"{% if 1 %}\n{% nope %}", "chat template, line 2: unknown tag nope, in `{% nope %}`"},
		{"{{ 1\n+\n'a' }}", "chat template, line 2: + does not take values of the types int and str, in `+`"},
		{"\r\n{{ raise_exception('Roles must alternate') }}", "chat template, line 2: Roles must alternate"},
		{"{% include 'x' %}", "chat template, line 1: the tag include is not supported, in `{% include 'x' %}`"},
		{"{{ [1].append(2) }}", "chat template, line 1: the attribute append of a list is not for templates, in `{{ [1].append(2) }}`"},
		{"\n{{ 'a'|urlize }}", "chat template, line 2: the filter urlize is not supported, in `{{ 'a'|urlize }}`"},
		{"{% macro f() %}\n{{ none.x.y }}{% endmacro %}\n\n{{ f() }}", "chat template, line 2: 'NoneType' has no attribute or key 'x', in `{{ none.x.y }}{% endmacro %}`"},
		{"{% for x in [1] %}\n{{ x }}", "chat template, line 2: the template ends where {% endfor or else %} is wanted, in `{{ x }}`"},
		{"\n{{ 'a", "chat template, line 2: a string without end, in `{{ 'a`"},
		{"x\x00\x1b[2J{{ y.z }}", "chat template, line 1: 'y' is undefined, in `x\\x00\\x1b[2J{{ y.z }}`"},
		{long, "chat template, line 1: 'x' is undefined, in `{{ x.y }}" + strings.Repeat("\\x00", 71) + "…`"},
		{"{{ raise_exception('x' * 1000) }}", "chat template, line 1: " + strings.Repeat("x", 200) + "…"},
	} {
		_, err := render(c[0], NewDict())
		if err == nil || err.Error() != c[1] {
			t.Errorf("%q\nwant %s\n got %v", c[0], c[1], err)
		}
	}
}

// TestParseJSON: what JSON readers differ in is an error.
func TestParseJSON(t *testing.T) {
	for _, bad := range []string{"", "{", "[1,]", `{"a":1,"a":2}`, `"\ud800"`, `"\ud800\u0041"`, `"\udc00"`, "\"\xff\"", "\"\n\"", "NaN", "-", "01", "1.", "1e", "1e999", "'a'", "nul", "1 2", `{"a" 1}`,
		`"\q"`, `{a:1}`, strings.Repeat("[", 200) + strings.Repeat("]", 200), strings.Repeat("9", 5000)} {
		if v, err := ParseJSON([]byte(bad)); err == nil {
			t.Errorf("%q is read as %v", bad, v)
		}
	}
	const text = `{"z": [1, -0, 12345678901234567890, 1.5, 1e2, true, false, null], "A": {}, "a": "\u00e9\ud83d\ude00\n"}`
	v, err := ParseJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	vars := NewDict()
	vars.Set("v", v)
	r, err := render("{{ v }}", vars)
	const want = `{'z': [1, 0, 12345678901234567890, 1.5, 100.0, True, False, None], 'A': {}, 'a': 'é😀\n'}`
	if err != nil || r.Text != want {
		t.Errorf("got %s %v\nwant %s", r.Text, err, want)
	}
}

// BenchmarkRender is a conversation of 20 turns with ChatML, plain and with every string marked.
func BenchmarkRender(b *testing.B) {
	tmpl, err := Compile("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}" +
		"{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
	if err != nil {
		b.Fatal(err)
	}
	list := NewList()
	for i := range 20 {
		m := NewDict()
		m.Set("role", []string{"user", "assistant"}[i%2])
		m.Set("content", strings.Repeat("some words of a turn ", 20))
		list.Append(m)
	}
	vars := NewDict()
	vars.Set("messages", list)
	mark := 0
	for name, v := range map[string]*Dict{"plain": vars, "marked": mark1(vars, &mark).(*Dict)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tmpl.Render(v, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
