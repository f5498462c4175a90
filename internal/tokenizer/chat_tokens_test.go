package tokenizer

import (
	"strings"
	"testing"
	"time"
)

// learned is the conversation with learned parts in brackets.
func learned(tok *Tokenizer, ids []int32, train []bool) string {
	var b strings.Builder
	for i := 0; i < len(ids); {
		j := i
		for j < len(ids) && train[j] == train[i] {
			j++
		}
		s := tok.Decode(ids[i:j], false)
		if train[i] {
			s = "[" + s + "]"
		}
		b.WriteString(s)
		i = j
	}
	return b.String()
}

func TestChatTokens(t *testing.T) {
	var g chatGolden
	golden(t, "chat.json", &g)
	tok := chatTokenizer(t, g.Special)
	tok.chat = chatTemplates{"default": knownTemplate("chatml")}
	yes, no := true, false
	talk := []Message{{Role: "system", Content: "S"}, {Role: "user", Content: "U"}, {Role: "assistant", Content: "A"},
		{Role: "user", Content: "V"}, {Role: "assistant", Content: "B b"}}
	with := func(k int, train *bool) []Message {
		m := append([]Message(nil), talk...)
		m[k].Train = train
		return m
	}
	const (
		head = "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n"
		mid  = "<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n"
	)
	for _, c := range []struct {
		name string
		msgs []Message
		o    ChatOptions
		want string
	}{
		{"turn", talk, ChatOptions{}, head + "[A<|im_end|>]\n" + mid + "[B b<|im_end|>]\n"},
		{"none", talk, ChatOptions{TrainOnEOS: "none"}, head + "[A]<|im_end|>\n" + mid + "[B b]<|im_end|>\n"},
		{"last", talk, ChatOptions{TrainOnEOS: "last"}, head + "[A]<|im_end|>\n" + mid + "[B b<|im_end|>]\n"},
		{"all", talk, ChatOptions{TrainOnEOS: "all"}, strings.ReplaceAll(head, "<|im_end|>", "[<|im_end|>]") + "[A<|im_end|>]\n" +
			strings.ReplaceAll(mid, "<|im_end|>", "[<|im_end|>]") + "[B b<|im_end|>]\n"},
		{"one turn not", with(2, &no), ChatOptions{}, head + "A<|im_end|>\n" + mid + "[B b<|im_end|>]\n"},
		{"a user's turn", with(1, &yes), ChatOptions{Roles: []string{}}, strings.Replace(head, "U<|im_end|>", "[U<|im_end|>]", 1) + "A<|im_end|>\n" + mid + "B b<|im_end|>\n"},
		{"roles", talk, ChatOptions{Roles: []string{"user", "system"}}, "<|im_start|>system\n[S<|im_end|>]\n<|im_start|>user\n[U<|im_end|>]\n<|im_start|>assistant\nA<|im_end|>\n" +
			"<|im_start|>user\n[V<|im_end|>]\n<|im_start|>assistant\nB b<|im_end|>\n"},
		{"marks", talk[1:], ChatOptions{Template: g.Templates["generation"]}, "<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n[A<|im_end|>\n]" + mid + "[B b<|im_end|>\n]"},
		{"marks, none", talk[1:], ChatOptions{Template: g.Templates["generation"], TrainOnEOS: "none"}, "<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n[A]<|im_end|>\n" + mid + "[B b]<|im_end|>\n"},
		{"Llama 2", talk, ChatOptions{Template: g.Templates["llama-2"]}, "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nU [/INST][ A </s>]<s>[INST] V [/INST][ B b </s>]"},
		{"Zephyr", talk[1:3], ChatOptions{Template: g.Templates["zephyr"]}, "<|user|>\nU</s>\n<|assistant|>\n[A</s>]\n"},
		{"no messages", nil, ChatOptions{}, ""},
	} {
		got, err := tok.ChatTokens(c.msgs, c.o)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := learned(tok, got.IDs, got.Train); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

func TestChatTokensRefuses(t *testing.T) {
	tok := NewByteLevel()
	talk := []Message{{Role: "user", Content: "U"}, {Role: "assistant", Content: "A"}, {Role: "user", Content: "V"}, {Role: "assistant", Content: "B"}}
	for _, c := range []struct {
		name string
		o    ChatOptions
		want string
	}{
		{"nothing of an answer", ChatOptions{Template: "{{ messages|length }}"}, "leaves out the content of message 1 (user)"},
		{"only how long an answer is", ChatOptions{Template: "{% for m in messages %}{{ m.content if m.role == 'user' else m.content|length }}{% endfor %}"}, "message 4 (assistant) says cannot be told apart"},
		{"eos", ChatOptions{TrainOnEOS: "some"}, `train_on_eos "some"`},
		{"name", ChatOptions{Template: "vicuna"}, `"vicuna"`},
		{"raised", ChatOptions{Template: "{{ raise_exception('no system') }}"}, "line 1: no system"},
	} {
		_, err := tok.ChatTokens(talk, c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	tok.chat = nil
	if _, err := tok.RenderChat(talk, "", false); err == nil || !strings.Contains(err.Error(), "the tokenizer has none") {
		t.Errorf("without a template: %v", err)
	}
}

// hostileTemplates must end in an error, soon.
var hostileTemplates = []struct{ name, template, want string }{
	{"endless output", "{% for i in range(9999) %}{% for j in range(9999) %}{{ 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' }}{% endfor %}{% endfor %}", "too many bytes"},
	{"endless loop", "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}", "too many steps"},
	{"endless recursion", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "levels inside each other"},
	{"doubling", "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", "too many bytes"},
	{"doubling a variable", "{% set s = 'xxxxxxxxxxxxxxxx' %}" + strings.Repeat("{% set s = s + s %}", 40), "too many bytes"},
	{"replacing", "{% set s = 'x'|replace('', 'xxxxxxxxxxxxxxxx') %}" + strings.Repeat("{% set s = s|replace('x', s) %}", 40), "too many bytes"},
	{"joining", "{% set s = 'x' * 4096 %}{{ range(16000)|join(s) ~ range(16000)|join(s) }}", "too many bytes"},
	{"repeating", "{{ 'x' * 1000000000 }}", "too many bytes"},
	{"long range", "{% for i in range(1000000000000) %}{% endfor %}", "more than"},
	{"include", "{% include '/etc/passwd' %}", "include"},
	{"import", "{% import '/etc/passwd' as x %}", "import"},
	{"extends", "{% extends '/etc/passwd' %}", "extends"},
	{"brackets", "{{ " + strings.Repeat("(", 100000) + " }}", "brackets inside each other"},
	{"long chain", "{{ x" + strings.Repeat(".a", 500) + " }}", "…"},
	{"longer chain", "{{ x" + strings.Repeat(".a", 45000) + " }}", "inside each other"},
	{"negations", "{{ x.a" + strings.Repeat(" or not", 100) + " x.a }}", "x.a"},
	{"blocks", strings.Repeat("{% if true %}", 1000) + strings.Repeat("{% endif %}", 1000), "blocks inside each other"},
	{"too long", strings.Repeat("x", 1<<20+1), "bytes"},
	{"open tag", "{{ 'a'", "without end"},
	{"open string", "{{ 'a }}", "without end"},
	{"open comment", "{# a", "without end"},
	{"open block", "{% if true %}a", "endif %} is wanted"},
	{"unknown tag", "{% no %}", "unknown tag no"},
	{"unknown method", "{{ 'a'.encode() }}", "encode"},
	{"unknown test", "{{ 1 is prime }}", "prime"},
	{"division", "{{ 1 % 0 }}", "division by zero"},
}

func TestHostileTemplates(t *testing.T) {
	tok := NewByteLevel()
	for _, c := range hostileTemplates {
		start := time.Now()
		_, err := tok.ChatTokens([]Message{{Role: "user", Content: "U"}}, ChatOptions{Template: c.template + "{{ '' }}"})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		t.Logf("%s: %v", c.name, time.Since(start))
	}
}
