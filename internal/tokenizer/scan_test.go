package tokenizer

import (
	"slices"
	"testing"
)

// pieces are the pieces that a scanner cuts s into.
func pieces(scan func(string, int) int, s string) (out []string) {
	for i := 0; i < len(s); {
		j := scan(s, i)
		out = append(out, s[i:j])
		i = j
	}
	return out
}

func TestScanners(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          []string
	}{
		{gpt2Pattern, "Hello  world's 123abc\n\n x", []string{"Hello", " ", " world", "'s", " 123", "abc", "\n\n", " x"}},
		{gpt2Pattern, "IT'S we'll", []string{"IT", "'", "S", " we", "'ll"}},
		{gpt2Pattern, "  ", []string{"  "}},
		{gpt2Pattern, "a \u00a0b", []string{"a", " ", "\u00a0", "b"}},
		{llama3Pattern, "IT'S 12345, ok?!\n\nnext", []string{"IT", "'S", " ", "123", "45", ",", " ok", "?!\n\n", "next"}},
		{llama3Pattern, "  \n  \n x\t\ty", []string{"  \n  \n", " x", "\t", "\ty"}},
		{llama3Pattern, "$abc 'ſx", []string{"$abc", " '", "ſx"}},
		{llama3Pattern, "'ſx", []string{"'ſ", "x"}},
		{qwen2Pattern, "x123 4", []string{"x", "1", "2", "3", " ", "4"}},
		{gpt2Pattern, "\xff\xfe a\x80b", []string{"\xff\xfe", " a", "\x80", "b"}},
	} {
		if got := pieces(scanners[c.pattern], c.text); !slices.Equal(got, c.want) {
			t.Errorf("%q with %.12s…:\n got %q\nwant %q", c.text, c.pattern, got, c.want)
		}
	}
}

// TestScannersEqualRegexp compares the scanners with the patterns as package onig reads them.
func TestScannersEqualRegexp(t *testing.T) {
	for source, scan := range scanners {
		re := mustPattern(t, source)
		for _, s := range loadGolden().Texts {
			var want []string
			if err := re.find(s, allow(len(s)), func(i, j int) { want = append(want, s[i:j]) }); err != nil {
				t.Fatal(err)
			}
			if got := pieces(scan, s); !slices.Equal(got, want) {
				t.Errorf("%q with %.12s…:\n got %q\nwant %q", s, source, got, want)
			}
		}
	}
}
