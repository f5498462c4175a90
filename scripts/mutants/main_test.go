package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFaultsApply holds faults.txt to the code as it is: whoever changes a line that a fault names moves the fault along. `make mutants` puts them in.
func TestFaultsApply(t *testing.T) {
	text, err := os.ReadFile("faults.txt")
	if err != nil {
		t.Fatal(err)
	}
	faults, err := Parse(string(text))
	if err != nil {
		t.Fatalf("faults.txt: %v", err)
	}
	if len(faults) == 0 {
		t.Fatal("faults.txt has no fault")
	}
	for _, f := range faults {
		if _, err := f.Apply("../.."); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
		if !strings.HasPrefix(f.Tests[0], "./") {
			t.Errorf("%s: tests: %q does not begin with a package", f.Name, f.Tests)
			continue
		}
		if _, err := os.Stat(filepath.Join("../..", strings.TrimSuffix(f.Tests[0], "/..."))); err != nil {
			t.Errorf("%s: tests: %v", f.Name, err)
		}
	}
}

func TestParse(t *testing.T) {
	const good = "# a head\n\n# name: a\n# tests: ./x -run Y\n# survives: why\n--- f.go\n-\tone\n-two\n+three\n-four\n--- g.go\n-five\n+six\n"
	got, err := Parse(good)
	if err != nil || len(got) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	f := got[0]
	want := []Change{{"f.go", "\tone\ntwo", "three"}, {"f.go", "four", ""}, {"g.go", "five", "six"}}
	if f.Name != "a" || f.Survives != "why" || strings.Join(f.Tests, " ") != "./x -run Y" || len(f.Changes) != 3 || f.Changes[0] != want[0] || f.Changes[1] != want[1] || f.Changes[2] != want[2] {
		t.Errorf("%+v", f)
	}
	for _, bad := range []string{
		"# name: a\n--- f\n-x\n+y\n",                       // no tests
		"# name: a\n# tests: ./x\n",                        // no change
		"# tests: ./x\n--- f\n-x\n+y\n",                    // no name
		"# name: a\n# tests: ./x\n-x\n+y\n",                // no path
		"# name: a\n# tests: ./x\n--- f\n+y\n",             // nothing it replaces
		"# name: a\n# tests: ./x\n--- f\n-x\n other\n+y\n", // a line of neither
		good + "\n" + good,
	} {
		if got, err := Parse(bad); err == nil {
			t.Errorf("%q is taken: %+v", bad, got)
		}
	}
}

func TestApply(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("one\n\ttwo\none and two\nthree\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := Fault{Changes: []Change{{"f", "\tthree", "\t3"}, {"f", "one and", "1 and"}}}.Apply(dir)
	if err != nil || got["f"] != "one\n\ttwo\n1 and two\n3\n" {
		t.Errorf("%q, %v", got, err)
	}
	for _, c := range []Change{{"f", "two", "2"}, {"f", "four", "4"}, {"f", "three", "three"}, {"f", " ", "x"}, {"g", "one", "1"}} {
		if got, err := (Fault{Changes: []Change{c}}).Apply(dir); err == nil {
			t.Errorf("%+v gives %q", c, got)
		}
	}
}
