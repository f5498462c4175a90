package infer

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// pieces decodes tokens that are strings of bytes, as a byte-level tokenizer does.
func pieces(tokens []string) func([]int32) string {
	return func(ids []int32) string {
		var b strings.Builder
		for _, id := range ids {
			b.WriteString(tokens[id])
		}
		return strings.ToValidUTF8(b.String(), "\uFFFD")
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		name   string
		stops  []string
		tokens []string
		want   []string // shown after each token; the last one at the end
		ended  bool
	}{
		{"words", nil, []string{"Hel", "lo", " you"}, []string{"Hel", "lo", " you", ""}, false},
		{"two bytes", nil, []string{"gr\xc3", "\xbcn"}, []string{"gr", "ün", ""}, false},
		{"four bytes, one a token", nil, []string{"a", "\xf0", "\x9f", "\x99", "\x82", "b"}, []string{"a", "", "", "", "🙂", "b", ""}, false},
		{"a character that never comes", nil, []string{"a\xf0\x9f", "b"}, []string{"a", "\uFFFDb", ""}, false},
		{"cut within a character", nil, []string{"a", "\xe4\xbd"}, []string{"a", "", "\uFFFD"}, false},
		{"flag of two characters", nil, []string{"🇩", "🇪"}, []string{"🇩", "🇪", ""}, false},
		{"stop in a token", []string{"END"}, []string{"a", "bENDc"}, []string{"a", "b", ""}, true},
		{"stop across tokens", []string{"<|end|>"}, []string{"a<", "|e", "nd", "|>b"}, []string{"a", "", "", "", ""}, true},
		{"a part held back and released", []string{"<|end|>"}, []string{"a <", "| b", "|"}, []string{"a ", "<| b", "|", ""}, false},
		{"a part held back at the end", []string{"\nUser:"}, []string{"a", "\nUs"}, []string{"a", "", "\nUs"}, false},
		{"a part that begins again", []string{"aab"}, []string{"a", "a", "a", "b", "c"}, []string{"", "", "a", "", ""}, true},
		{"the first of two", []string{"yy", "x"}, []string{"axyy"}, []string{"a", ""}, true},
		{"the longer of two", []string{"\n", "\n\n"}, []string{"a", "\n\n"}, []string{"a", "", ""}, true},
		{"stop within a character of bytes", []string{"ü"}, []string{"a", "\xc3", "\xbcb"}, []string{"a", "", "", ""}, true},
		{"stop at once", []string{"a"}, []string{"a"}, []string{"", ""}, true},
		{"empty tokens", []string{"."}, []string{"", "a", "", "."}, []string{"", "a", "", "", ""}, true},
	} {
		x := NewText(pieces(c.tokens), c.stops)
		var got []string
		ended := false
		for i := range c.tokens {
			if ended {
				break
			}
			var piece string
			piece, ended = x.Add(int32(i))
			if !utf8.ValidString(piece) {
				t.Errorf("%s: %q is no text", c.name, piece)
			}
			got = append(got, piece)
		}
		got = append(got, x.End())
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", c.want) || ended != c.ended || (x.Hit() != "") != c.ended {
			t.Errorf("%s: %q, ended %v; want %q, %v", c.name, got, ended, c.want, c.ended)
		}
		if strings.Join(got, "") != x.String() {
			t.Errorf("%s: shown %q, the text is %q", c.name, strings.Join(got, ""), x.String())
		}
	}
}

// TestTextChanges: a byte may take back the characters before it, as byte_fallback does; nothing of what follows is lost.
func TestTextChanges(t *testing.T) {
	texts := []string{"", "a", "a你", "a\uFFFD\uFFFD\uFFFD\uFFFD", "a\uFFFD\uFFFD\uFFFD\uFFFD b"}
	x := NewText(func(ids []int32) string { return texts[len(ids)] }, nil)
	shown := ""
	for range len(texts) - 1 {
		piece, _ := x.Add(0)
		shown += piece
	}
	shown += x.End()
	if shown != "a你\uFFFD\uFFFD\uFFFD\uFFFD b" {
		t.Errorf("shown %q", shown)
	}
}
