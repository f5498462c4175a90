package onig

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// golden is testdata/tokenizer/patterns.json: what Oniguruma makes of patterns.
type golden struct {
	Texts    []string
	Patterns map[string]json.RawMessage // a reason to refuse it, or matches by text
	Sets     map[string][2]any          // how many characters a class has, and a hash of them
}

func load(t testing.TB) (g golden) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "tokenizer", "patterns.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// found writes matches as the golden file does.
func found(re *Regexp, s string) (string, error) {
	var out []string
	err := re.Find(s, &Budget{Steps: 1e7}, func(i, j int) {
		if i == j {
			out = append(out, fmt.Sprint(i))
		} else {
			out = append(out, fmt.Sprintf("%d-%d", i, j))
		}
	})
	return strings.Join(out, " "), err
}

func TestPatterns(t *testing.T) {
	g := load(t)
	refused, refusedBoth := []string{}, 0
	for pattern, raw := range g.Patterns {
		re, err := Compile(pattern)
		var reason string
		if json.Unmarshal(raw, &reason) == nil {
			if err == nil {
				t.Errorf("%q is accepted; Oniguruma: %s", pattern, reason)
			}
			refusedBoth++
			continue
		}
		if err != nil {
			refused = append(refused, fmt.Sprintf("%q: %v", pattern, err))
			continue
		}
		want := map[string]string{}
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		for n, s := range g.Texts {
			if got, err := found(re, s); err != nil || got != want[fmt.Sprint(n)] {
				t.Errorf("%q in %q:\n got %s (%v)\nwant %s", pattern, s, got, err, want[fmt.Sprint(n)])
				break
			}
		}
	}
	slices.Sort(refused)
	if len(refused) > 50 {
		t.Errorf("%d patterns are refused that Oniguruma takes", len(refused))
	}
	t.Logf("%d patterns, %d refused by both, %d only here:\n%s", len(g.Patterns), refusedBoth, len(refused), strings.Join(refused, "\n"))
}

// TestSets compares classes with Oniguruma's, each character of the first two planes and some of the others.
func TestSets(t *testing.T) {
	for pattern, want := range load(t).Sets {
		has, err := Class(pattern)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		var b strings.Builder
		count := 0
		for r := rune(0); r <= unicode.MaxRune; r++ {
			if r >= 0xD800 && r < 0xE000 || r >= 0x20000 && r%64 != 0 || !has(r) {
				continue
			}
			if count++; count > 1 {
				b.WriteByte(' ')
			}
			b.WriteString(strconv.Itoa(int(r)))
		}
		sum := sha256.Sum256([]byte(b.String()))
		if got := hex.EncodeToString(sum[:8]); count != int(want[0].(float64)) || got != want[1] {
			t.Errorf("%s has %d characters, want %v", pattern, count, want[0])
		}
	}
}

// TestRefusals: what is not supported is named, with its place.
func TestRefusals(t *testing.T) {
	for pattern, want := range map[string]string{
		`ab(?~c)`:       "an absent operator (?~…) at byte 2",
		`a(?{x})`:       "a callout (?{…}) at byte 1",
		`a|\X`:          `\X (text segments) at byte 2`,
		`[a&&\p{Foo}]`:  `the property \p{Foo} at byte 4`,
		`(a)\g<1>`:      `a call of a group, \g<…>, at byte 3`,
		`(?i)(a)\1`:     "a backreference that ignores case at byte 7",
		`x(?W)a`:        "the option 'W' of a group at byte 1",
		`(a`:            "a group without ) at byte 0",
		`a)`:            "unmatched ) at byte 1",
		`[b-a]`:         "an empty range in a class at byte 4",
		`(?:ab){60000}`: "repetitions that are too large at byte 0",
		`\xff`:          "the byte 0xff, which is only a part of a character, at byte 0",
	} {
		if _, err := Compile(pattern); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", pattern, err, want)
		}
	}
	if _, err := Compile(strings.Repeat("(", 10000)); err == nil {
		t.Error("ten thousand groups in each other are accepted")
	}
}

// TestInvalidText: bytes that are no UTF-8 are characters of their own, like U+FFFD.
func TestInvalidText(t *testing.T) {
	for _, c := range []struct{ pattern, text, want string }{
		{`.`, "\xffa\xe2\x82", "0-1 1-2 2-3 3-4"},
		{`[^a]+`, "\xe2\x82a\xff", "0-2 3-4"},
		{`(?<=.)a`, "\xffa", "1-2"},
		{`\x{FFFD}`, "\xff\ufffd", "1-4"},
		{`.*a`, "\xff\xfea\xfd", "0-3"},
	} {
		re, err := Compile(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := found(re, c.text); err != nil || got != c.want {
			t.Errorf("%s in %q: %s, %v, want %s", c.pattern, c.text, got, err, c.want)
		}
	}
}

// FuzzCompile: no pattern panics or runs on, and matches are in order and inside the text.
func FuzzCompile(f *testing.F) {
	g := load(f)
	for pattern := range g.Patterns {
		f.Add(pattern, "aB1 ß日\n\xff")
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 1000 {
			return
		}
		re, err := Compile(pattern)
		if err != nil {
			return
		}
		last := 0
		err = re.Find(s, &Budget{Steps: 200_000}, func(i, j int) {
			if i < last || j < i || j > len(s) {
				t.Fatalf("%q in %q: match %d-%d after %d", pattern, s, i, j, last)
			}
			last = j
		})
		_ = err // too many steps is an answer
	})
}
