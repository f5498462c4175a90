package onig

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// golden is testdata/tokenizer/patterns.json: what Oniguruma makes of patterns.
type golden struct {
	Texts    []string
	Patterns map[string]json.RawMessage // a reason to refuse it, or matches by text
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
	t.Logf("%d patterns, %d refused by both, %d only here:\n%s", len(g.Patterns), refusedBoth, len(refused), strings.Join(refused, "\n"))
}
