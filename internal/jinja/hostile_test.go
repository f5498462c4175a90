package jinja

import (
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
	"time"
)

// hostile are templates that would take memory, time or the stack of a program that believes them. Each must end soon: with an error unless ok.
var hostile = []struct {
	name, source string
	ok           bool
}{
	{"namespace in itself", "{% set ns=namespace(a=1) %}{% set ns.a=ns %}x", true},
	{"namespace in itself, printed", "{% set ns=namespace(a=1) %}{% set ns.a=[ns] %}{{ ns }}", true},
	{"namespace in itself, compared", "{% set ns=namespace(a=1) %}{% set ns.a=[ns] %}{% set m=namespace(a=1) %}{% set m.a=[m] %}{{ ns.a == m.a }}", true},
	{"two namespaces in each other", "{% set a=namespace() %}{% set b=namespace() %}{% set a.x={'b': b} %}{% set b.x={'a': a} %}{{ a }}{{ a.x == b.x }}", true},
	{"namespace as JSON", "{% set ns=namespace() %}{% set ns.a=[ns] %}{{ ns.a|tojson }}", false},
	{"lists in lists", "{% set ns=namespace(a=[]) %}{% for i in range(100000) %}{% set ns.a=[ns.a] %}{% endfor %}{{ ns.a }}", false},
	{"lists in lists, compared", "{% set ns=namespace(a=[],b=[]) %}{% for i in range(100000) %}{% set ns.a=[ns.a] %}{% set ns.b=[ns.b] %}{% endfor %}{{ ns.a == ns.b }}", false},
	{"lists in lists, ordered", "{% set ns=namespace(a=[],b=[]) %}{% for i in range(100000) %}{% set ns.a=[ns.a] %}{% set ns.b=[ns.b] %}{% endfor %}{{ ns.a < ns.b }}", false},
	{"tuples as keys", "{% set ns=namespace(a=()) %}{% for i in range(100000) %}{% set ns.a=(ns.a,) %}{% endfor %}{{ {ns.a: 1}|length }}", false},
	{"tuples that double as a key", "{% set ns=namespace(a=(1,)) %}{% for i in range(60) %}{% set ns.a=(ns.a,ns.a) %}{% endfor %}{{ {ns.a: 1}|length }}", false},
	{"lists that double", "{% set ns=namespace(a=[1]) %}{% for i in range(60) %}{% set ns.a=[ns.a,ns.a] %}{% endfor %}{{ ns.a|string|length }}", false},
	{"lists that double, as JSON", "{% set ns=namespace(a=[1]) %}{% for i in range(60) %}{% set ns.a=[ns.a,ns.a] %}{% endfor %}{{ ns.a|tojson|length }}", false},
	{"lists that double, compared", "{% set ns=namespace(a=[1],b=[1]) %}{% for i in range(60) %}{% set ns.a=[ns.a,ns.a] %}{% set ns.b=[ns.b,ns.b] %}{% endfor %}{{ ns.a == ns.b }}", false},
	{"dictionaries that double", "{% set ns=namespace(a={}) %}{% for i in range(60) %}{% set ns.a={'a': ns.a, 'b': ns.a} %}{% endfor %}{{ ns.a }}", false},
	{"strings that double by +", "{% set ns=namespace(s='x') %}{% for i in range(60) %}{% set ns.s=ns.s+ns.s %}{% endfor %}", false},
	{"strings that double by ~", "{% set ns=namespace(s='x') %}{% for i in range(60) %}{% set ns.s=ns.s~ns.s %}{% endfor %}", false},
	{"strings that double by join", "{% set ns=namespace(s='x') %}{% for i in range(60) %}{% set ns.s=[ns.s,ns.s]|join %}{% endfor %}", false},
	{"strings that double by format", "{% set ns=namespace(s='x') %}{% for i in range(60) %}{% set ns.s='{0}{0}'.format(ns.s) %}{% endfor %}", false},
	{"strings that double by %", "{% set ns=namespace(s='x') %}{% for i in range(60) %}{% set ns.s='%s%s' % (ns.s, ns.s) %}{% endfor %}", false},
	{"strings that double by replace", "{% set ns=namespace(s='xx') %}{% for i in range(60) %}{% set ns.s=ns.s|replace('x', 'xx') %}{% endfor %}", false},
	{"strings that double by set", "{% set ns=namespace(s='x') %}{% for i in range(60) %}{% set ns.s %}{{ ns.s }}{{ ns.s }}{% endset %}{% endfor %}", false},
	{"strings that double by repr", `{% set ns=namespace(s='\\') %}{% for i in range(60) %}{% set ns.s=[ns.s]|string %}{% endfor %}`, false},
	{"strings that double by JSON", `{% set ns=namespace(s='\\') %}{% for i in range(60) %}{% set ns.s=ns.s|tojson %}{% endfor %}`, false},
	{"strings that grow by escape", "{% set ns=namespace(s='&') %}{% for i in range(60) %}{% set ns.s=(ns.s~'&&&&&&&&&&&&&')|forceescape|string %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", false},
	{"strings that grow by indent", "{% set ns=namespace(s='a\nb') %}{% for i in range(60) %}{% set ns.s=(ns.s~'\n'~ns.s)|indent(100) %}{% endfor %}", false},
	{"repeat", "{{ 'x' * 10**9 }}", false},
	{"repeat, far", "{{ 'x' * 10**18 }}", false},
	{"repeat, beyond int64", "{{ 'x' * 10**30 }}", false},
	{"repeat of a list", "{{ ([1] * 10**9)|length }}", false},
	{"repeat of nothing", "{{ '' * 10**18 }}{{ [] * 10**18 }}", true},
	{"repeat of nothing in a loop", "{% for i in range(10000) %}{{ '' * 10**12 }}{% endfor %}", true},
	{"width of %", "{{ '%1000000000d' % 1 }}", false},
	{"precision of %", "{{ '%.1000000000f' % 1 }}", false},
	{"precision of %d", "{{ '%.1000000000d' % 1 }}", false},
	{"width of %*", "{{ '%*d' % (10**10, 1) }}", false},
	{"width of % beyond int", "{{ '%99999999999999999999d' % 1 }}", false},
	{"width of format", "{{ '{:1000000000}'.format(1) }}", false},
	{"precision of format", "{{ '{:.1000000000f}'.format(1.5) }}", false},
	{"groups of format", "{{ '{:01000000000,}'.format(1) }}", false},
	{"groups of format, many times", "{% for i in range(10000) %}{{ '{:030000,}'.format(1)|length }}{% endfor %}", false},
	{"nested fields", "{{ '{:{:{:{}}}}'.format(1, 2, 3, 4) }}", false},
	{"many fields", "{{ ('{0}' * 100000).format('x' * 1000) }}", false},
	{"center", "{{ 'x'.center(10**9) }}", false},
	{"ljust", "{{ 'x'.ljust(10**18) }}", false},
	{"zfill", "{{ 'x'.zfill(10**12) }}", false},
	{"expandtabs", "{{ '\t'.expandtabs(10**12) }}", false},
	{"filter center", "{{ 'x'|center(10**9) }}", false},
	{"filter indent", "{{ 'x\nx'|indent(10**9) }}", false},
	{"filter indent, many lines", "{{ ('x\n' * 100000)|indent('x' * 100000) }}", false},
	{"JSON's indent", "{{ [1]|tojson(indent=10**9) }}", false},
	{"JSON's separators", "{{ range(10000)|list|tojson(separators=('x' * 100000, '')) }}", false},
	{"batch", "{{ [1]|batch(10**9, 0)|list|length }}", false},
	{"slice", "{{ [1]|slice(10**9)|list|length }}", false},
	{"range", "{{ range(10**9)|list|length }}", false},
	{"range beyond int64", "{{ range(10**30)|list|length }}", false},
	{"range, far apart", "{{ range(-2**62, 2**62, 2**61)|list|length }}", false},
	{"power", "{{ 10 ** (10 ** 10) }}", false},
	{"power of a power", "{{ ((10 ** 1000) ** 1000) ** 1000 }}", false},
	{"power of a float", "{{ 10.0 ** 1000 }}", false},
	{"products", "{% set ns=namespace(n=10**4000) %}{% for i in range(100000) %}{% set ns.n=ns.n*ns.n %}{% endfor %}", false},
	{"quotients of long integers", "{% set n=2**60000 %}{% set m=3**20000 %}{% for i in range(100000) %}{% set x=n//m %}{% endfor %}", false},
	{"printing of long integers", "{% set n=2**14000 %}{% for i in range(100000) %}{{ (n ~ '')[0] }}{% endfor %}", false},
	{"macro that calls itself", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", false},
	{"macros that call each other", "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}", false},
	{"call blocks that call each other", "{% macro f() %}{% call f() %}{% endcall %}{% endmacro %}{{ f() }}", false},
	{"macro that calls itself twice", "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}", false},
	{"recursive loop", "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", false},
	{"loops in loops", strings.Repeat("{% for i in range(1000) %}", 5) + "x" + strings.Repeat("{% endfor %}", 5), false},
	{"loops in loops without text", strings.Repeat("{% for i in range(1000) %}", 5) + strings.Repeat("{% endfor %}", 5), false},
	{"endless cycle of a loop's items", "{% set ns=namespace(g=range(100000)) %}{% for i in range(100) %}{% set ns.g=ns.g|map('string')|select|reject('none') %}{% endfor %}{{ ns.g|list|length }}", false},
	{"generators in generators", "{% set ns=namespace(g=[1]) %}{% for i in range(100000) %}{% set ns.g=ns.g|select %}{% endfor %}{{ ns.g|list }}", false},
	{"generators in generators of batch", "{% set ns=namespace(g=[1]) %}{% for i in range(100000) %}{% set ns.g=ns.g|batch(2) %}{% endfor %}{{ ns.g|list|length }}", false},
	{"generators in generators of unique", "{% set ns=namespace(g=[1]) %}{% for i in range(100000) %}{% set ns.g=ns.g|unique %}{% endfor %}{{ ns.g|list|length }}", false},
	{"views of long searches", "{% set s='x' * 1000000 %}{% for i in range(100000) %}{% if 'y' in s %}{% endif %}{% endfor %}", false},
	{"long searches of find", "{% set s='x' * 1000000 %}{% for i in range(100000) %}{% set n=s.find('y') %}{% endfor %}", false},
	{"long counts", "{% set s='é' * 1000000 %}{% for i in range(100000) %}{% set n=s|length %}{% endfor %}", false},
	{"long comparisons", "{% set s='x' * 1000000 %}{% set r=s~'' %}{% for i in range(100000) %}{% if s == r %}{% endif %}{% endfor %}", false},
	{"long strips", "{% set s=' ' * 1000000 %}{% for i in range(100000) %}{% set n=s.strip() %}{% endfor %}", false},
	{"long strips of many characters", "{% set s='x' * 100000 %}{% set c='y' * 100000 ~ 'x' %}{% set n=s.strip(c) %}", false},
	{"long splits", "{% set s='x ' * 100000 %}{% for i in range(100000) %}{% set n=s.split() %}{% endfor %}", false},
	{"far items of long text", "{% set s='é' * 1000000 %}{% for i in range(100000) %}{% set n=s[-1] %}{% endfor %}", false},
	{"sigmas", "{% set s='Σ' * 100000 %}{{ s|lower|length }}", false},
	{"tests of long text", "{% set s='a' * 1000000 %}{% for i in range(100000) %}{% if s.isalpha() %}{% endif %}{% endfor %}", false},
	{"prefixes", "{% set s='a' * 1000000 %}{% for i in range(100000) %}{% if s.startswith(s) %}{% endif %}{% endfor %}", false},
	{"dictionaries that grow", "{% set ns=namespace(d={}) %}{% for i in range(100000) %}{% set ns.d=dict(ns.d, **{i|string: i}) %}{% endfor %}", false},
	{"lists that grow", "{% set ns=namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l=ns.l+[i] %}{% endfor %}", false},
	{"sorting that compares long lists", "{% set l=[1]*10000 %}{{ ([l+[2], l+[1]]*1000)|sort|length }}", false},
	{"sum of lists", "{{ ([[1]]*100000)|sum(start=[])|length }}", false},
	{"wordwrap", "{{ ('a' * 1000000)|wordwrap(1, wrapstring='x' * 10000)|length }}", false},
	{"dates", "{{ strftime_now('%c' * 1000000)|length }}", false},
	{"arguments", "{% macro f() %}{{ varargs|length }}{% endmacro %}{% for i in range(100000) %}{{ f(*range(100000)) }}{% endfor %}", false},
	{"brackets", "{{ " + strings.Repeat("(", 100000) + strings.Repeat(")", 100000) + " }}", false},
	{"square brackets", "{{ " + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + " }}", false},
	{"minus signs", "{{ " + strings.Repeat("-", 100000) + "1 }}", false},
	{"nots", "{{ " + strings.Repeat("not ", 100000) + "1 }}", false},
	{"inline ifs", "{{ " + strings.Repeat("1 if 0 else ", 100000) + "1 }}", false},
	{"sums", "{{ 1" + strings.Repeat("+1", 100000) + " }}", false},
	{"attributes", "{{ x" + strings.Repeat(".x", 100000) + " }}", false},
	{"filters", "{{ x" + strings.Repeat("|e", 100000) + " }}", false},
	{"calls", "{{ x" + strings.Repeat("()", 100000) + " }}", false},
	{"comparisons", "{{ 1" + strings.Repeat("<1", 40000) + " }}", true},
	{"concatenations", "{{ 1" + strings.Repeat("~1", 40000) + " }}", true},
	{"blocks", strings.Repeat("{% if 1 %}", 50000) + strings.Repeat("{% endif %}", 50000), false},
	{"elifs", "{% if 0 %}" + strings.Repeat("{% elif 0 %}", 24000) + "{% endif %}", true},
	{"a long template", strings.Repeat("x", maxSource+1), false},
	{"many lines before an error", strings.Repeat("\n", 500000) + "{{ x.y }}", false},
	{"words of a list", "{{ [" + strings.Repeat("1,", 100000) + "] }}", false},
	{"words of a dictionary", "{{ {" + strings.Repeat("1:1,", 100000) + "} }}", false},
	{"words of a call", "{{ dict(" + strings.Repeat("a=1,", 100000) + ") }}", false},
	{"words of parameters", "{% macro f(" + strings.Repeat("a,", 100000) + ") %}{% endmacro %}", false},
	{"names that begin with each turn", "{% for x in range(1000) %}" + numbered(30000, "{{ a# }}") + "{% endfor %}", false},
	{"names that begin with each call", "{% macro f() %}" + numbered(9000, "{% set a#=1 %}") + "{% endmacro %}{% for x in range(1000) %}{{ f() }}{% endfor %}", false},
	{"names beside branches", numbered(9000, "{% if a# %}{% set b#=1 %}{% endif %}"), false},
	{"names beside branches of branches", numbered(9000, "{% if 0 %}{{ a# }}{% else %}{% endif %}"), false},
	{"names beside elifs", "{% if 0 %}" + numbered(20000, "{% elif a# %}") + "{% endif %}", false},
	{"sorting by many attributes", "{{ ([{'a':1}]*50000)|sort(attribute='a'~',a'*1000)|length }}", false},
	{"a long path of attributes", "{{ [{}]|map(attribute='a.'*10000000)|list }}", false},
	{"a long path of attributes with a default", "{{ ([{}]*1000)|map(attribute='a'~'.a'*10000,default={})|list|length }}", false},
	{"a long path of attributes to sum by", "{{ ([{'a':1}]*100000)|sum(attribute='a'~'.real'*100000) }}", false},
	{"words counted", "{% set s='a '*500000 %}{% for i in range(10000) %}{% set x=s|wordcount %}{% endfor %}", false},
	{"views compared", "{% set a=dict(range(20000)|batch(2)) %}{% set b=dict(range(20000)|batch(2)) %}{% for i in range(10000) %}{% if a.keys() == b.keys() %}{% endif %}{% endfor %}", false},
	{"digits", "{{ " + strings.Repeat("9", 100000) + " }}", false},
	{"strings side by side", "{{ " + strings.Repeat("'a' ", 90000) + " }}", true},
}

// numbered is a piece n times, its signs # replaced by the number.
func numbered(n int, piece string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(piece, "#", strconv.Itoa(i)))
	}
	return b.String()
}

// TestHeld: with the usual limits a template holds at most 64 MiB, whichever way it makes them. What stands here came closest, or went beyond.
func TestHeld(t *testing.T) {
	const most = 64 << 20
	held := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	now := func() uint64 {
		metrics.Read(held)
		return held[0].Value.Uint64() + held[1].Value.Uint64()
	}
	for name, source := range map[string]string{
		"separators of join":   "{{ range(100000)|join('x'*10000)|length }}",
		"replace":              "{{ ('x'*100000)|replace('','y'*1000)|length }}",
		"attributes":           "{{ ([{'a':'x'*1000}]*100000)|map(attribute='a')|join|length }}",
		"fields":               "{{ ('{0}' * 100000).format('x' * 1000) }}",
		"percent":              "{{ ('%(a)s'*100000) % {'a':'x'*1000} }}",
		"chain":                "{% set s='x'*1000000 %}{{ s" + strings.Repeat("~s", 1000) + " }}",
		"letters":              "{{ ('a'*10000000)|list|length }}",
		"letters of a split":   "{{ ('a '*5000000).split(' ')|length }}",
		"lines":                "{{ ('\n'*10000000).splitlines()|length }}",
		"lines indented":       "{{ ('\n'*1000000)|indent(4, true, true)|length }}",
		"lists kept":           "{% set ns=namespace(l=[]) %}{% for i in range(100) %}{% set ns.l=[ns.l, range(100000)|list] %}{% endfor %}",
		"dictionaries kept":    "{% set ns=namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l=[ns.l, {'a':1,'b':2,'c':3,'d':4}] %}{% endfor %}",
		"generators kept":      "{% set ns=namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l=[ns.l,range(10)|map('string')] %}{% endfor %}",
		"separators of JSON":   "{{ range(10000)|list|tojson(separators=('x' * 100000, '')) }}",
		"sorted by attributes": "{{ ([{'a':1}]*50000)|sort(attribute='a'~',a'*1000)|length }}",
		"words":                "{{ [" + strings.Repeat("1,", 49000) + "]|length }}",
		"wrapped":              "{{ ('a' * 1000000)|wordwrap(1, wrapstring='x' * 10000)|length }}",
	} {
		runtime.GC()
		before, peak := now(), uint64(0)
		stop, done := make(chan bool), make(chan bool)
		go func() {
			defer close(done)
			for {
				peak = max(peak, now())
				select {
				case <-stop:
					return
				case <-time.After(200 * time.Microsecond):
				}
			}
		}()
		tmpl, err := Compile(source)
		if err == nil {
			_, err = tmpl.Render(NewDict(), Options{})
		}
		close(stop)
		<-done
		if peak > before+most {
			t.Errorf("%s: %d MiB held, %v", name, (peak-before)>>20, err)
		}
	}
}

func TestHostile(t *testing.T) {
	for _, c := range hostile {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			var r Result
			tmpl, err := Compile(c.source)
			if err == nil {
				// An eighth of the usual limits, to be quick.
				r, err = tmpl.Render(NewDict(), Options{Limits: Limits{Bytes: defaultBytes / 8, Steps: defaultSteps / 8}})
			}
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if (err == nil) != c.ok {
				t.Errorf("text of %d bytes, error %v", len(r.Text), err)
			}
			if err != nil && (len(err.Error()) > 500 || strings.Contains(err.Error(), "cannot be rendered")) {
				t.Errorf("the error is %q", err)
			}
			if made := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 20*time.Second || made > 256 {
				t.Errorf("took %v and made %d MiB", took, made)
			}
			t.Log(took, (after.TotalAlloc-before.TotalAlloc)>>20, "MiB", err)
		})
	}
}
