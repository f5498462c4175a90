package tokenizer

import (
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

// TestNormalForm: short segments have the form that x/text gives them, and long runs of marks have theirs without anything put in.
func TestNormalForm(t *testing.T) {
	marks := []rune("\u0301\u0308\u0323\u0327\u0338\u0345\u05b0\u064b\u0e38\u3099\u0f71\u0f72\u0344\u093c\u0f73")
	starts := []rune("aeoAE\u00e9\u1e69\uac00\u1100\u0915\u0627\u304b\u01d5ﬁ½\u212b\u0f40\u1f84")
	r := rand.New(rand.NewPCG(1, 2))
	for _, form := range []norm.Form{norm.NFC, norm.NFD, norm.NFKC, norm.NFKD} {
		for range 20000 {
			s := []rune{starts[r.IntN(len(starts))]}
			for range r.IntN(9) {
				s = append(s, marks[r.IntN(len(marks))])
			}
			s = append(s, 'x')
			want := form.String(string(s))
			// By the long way: the same, also where a character follows.
			var got strings.Builder
			for i := 0; i < len(string(s)); {
				j, _ := unicodeForm(form).segment(string(s), i)
				got.WriteString(unicodeForm(form).long(string(s)[i:j]))
				i = j
			}
			if got.String() != want {
				t.Fatalf("form %d of %+q is %+q, want %+q", form, string(s), got.String(), want)
			}
		}
		for _, n := range []int{29, 30, 31, 32, 100, 4000} {
			s := "a" + strings.Repeat("\u0301", n) + "b\u0301"
			p, err := unicodeForm(form).normalize(text{s: s}, true)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.s; strings.Contains(got, "\u034f") || form == norm.NFC && got != "\u00e1"+strings.Repeat("\u0301", n-1)+"b\u0301" || form == norm.NFD && got != s {
				t.Errorf("form %d of %d marks: %+q", form, n, got)
			}
		}
	}
}
