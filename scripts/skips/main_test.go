package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const list = `
# level  test
generic  internal/cpukern.TestAVX2   the machine has no AVX2
any      internal/data.TestBig*      reads 64 MiB   # with -short
`

func TestRun(t *testing.T) {
	pass := `{"Action":"pass","Package":"lomo/internal/data","Test":"TestA"}` + "\n"
	skip := func(pkg, test string) string {
		return `{"Action":"output","Package":"lomo/` + pkg + `","Test":"` + test + `","Output":"why\n"}` + "\n" +
			`{"Action":"skip","Package":"lomo/` + pkg + `","Test":"` + test + `"}` + "\n"
	}
	for _, c := range []struct {
		name, events, level string
		ok                  bool
		want                string // in the output
	}{
		{"all pass", pass, "avx2", true, "1 tests passed, 0 failed, 0 skipped (0 not listed)"},
		{"nothing ran", "", "avx2", false, "no test ran"},
		{"listed at this level", pass + skip("internal/cpukern", "TestAVX2"), "generic", true, "why\n"},
		{"listed at another level", pass + skip("internal/cpukern", "TestAVX2"), "avx2", false, "UNLISTED internal/cpukern.TestAVX2"},
		{"pattern", pass + skip("internal/data", "TestBigFile"), "avx512", true, "1 skipped (0 not listed)"},
		{"subtest of a listed test", pass + skip("internal/cpukern", "TestAVX2/odd"), "generic", true, ""},
		{"not listed", pass + skip("internal/data", "TestOther"), "avx2", false, "UNLISTED internal/data.TestOther"},
		{"failed", pass + `{"Action":"fail","Package":"lomo/internal/data","Test":"TestB"}`, "avx2", false, "FAILED   internal/data.TestB"},
		{"package failed", pass + `{"Action":"fail","Package":"lomo/internal/data"}`, "avx2", false, "FAILED   internal/data\n"},
		{"does not build", pass + `{"Action":"build-output","Output":"x.go:1: no\n"}` + "\n" + `{"Action":"fail","Package":"lomo/x"}`, "avx2", false, "x.go:1: no"},
		{"no JSON", pass + "go: cannot find module\n", "avx2", true, "go: cannot find module"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "skips.txt")
			if err := os.WriteFile(path, []byte(list), 0o644); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			ok, err := run(strings.NewReader(c.events), &out, path, c.level)
			if err != nil || ok != c.ok || !strings.Contains(out.String(), c.want) {
				t.Errorf("ok %v, %v, want %v and %q in:\n%s", ok, err, c.ok, c.want, &out)
			}
		})
	}
}

func TestParseListRefuses(t *testing.T) {
	for _, text := range []string{"any", "any internal/data.TestA", "any internal/[.TestA reason"} {
		if got, err := parseList(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}
