package jinja

import "testing"

func render(t *testing.T, source, vars string) (string, error) {
	t.Helper()
	v, err := ParseJSON([]byte(vars))
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := Compile(source)
	if err != nil {
		return "", err
	}
	res, err := tmpl.Render(v.(*Dict), Options{})
	return res.Text, err
}

func TestSmoke(t *testing.T) {
	for _, c := range [][2]string{
		{"{% for m in messages %}{{ loop.index }}{{ m.role }}:{{ m['content']|trim }}\n{% endfor %}", "1user:hi\n2assistant:é\n"},
		{"{{ 'é日'[1] }}{{ [1,'a',none,1.5,{'a':(1,)}] }}", "日[1, 'a', None, 1.5, {'a': (1,)}]"},
		{"{% macro f(a,b=2) %}{{a}}{{b}}{{varargs}}{% endmacro %}{{ f(1) }}{{f(1,2,3)}}", "12()12(3,)"},
	} {
		got, err := render(t, c[0], `{"messages":[{"role":"user","content":" hi "},{"role":"assistant","content":"é"}]}`)
		if err != nil || got != c[1] {
			t.Errorf("%s: %q %v", c[0], got, err)
		}
	}
}
