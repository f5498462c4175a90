package config

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lomo/internal/optim"
)

// TestKeysAreComplete holds the tags to what help, errors and the environment need.
func TestKeysAreComplete(t *testing.T) {
	seen := map[string]string{}
	for _, k := range keys {
		if k.Name == "" || k.Help == "" {
			t.Errorf("key %q: name or help is missing", k.Name)
		}
		for _, n := range append([]string{k.Name}, k.Aliases...) {
			env := "LOMO_" + strings.ToUpper(strings.ReplaceAll(n, ".", "_"))
			if other := seen[env]; other != "" {
				t.Errorf("%s stands for %s and %s", env, other, n)
			}
			if seen[env] = n; envKey(env) != n {
				t.Errorf("%s sets %q, want %q", env, envKey(env), n)
			}
		}
		for _, v := range k.Planned {
			if slices.Contains(k.OneOf, v) {
				t.Errorf("%s: %q works and is planned", k.Name, v)
			}
		}
		if !strings.HasSuffix(k.Help, ".") || k.Help[0] < 'A' || k.Help[0] > 'Z' && k.Help[:3] != "f32" || k.Group == "" {
			t.Errorf("%s: %q is no sentence, or group is missing", k.Name, k.Help)
		}
		if strings.Contains(k.Help, "`") {
			t.Errorf("%s: help of a flag takes no backquotes", k.Name)
		}
	}
	for _, table := range []map[string]bound{bounds, lists} {
		for name := range table {
			if _, known := find(keys, name); !known {
				t.Errorf("bounds of %q, which is no key", name)
			}
		}
	}
}

// TestDefaultIsValid: the defaults pass every check, and each optimizer has a usual rate inside its range.
func TestDefaultIsValid(t *testing.T) {
	l, err := Load(Input{})
	if err != nil || len(l.Warnings) > 0 {
		t.Errorf("defaults: %v, warnings %q", err, l.Warnings)
	}
	k, _ := find(keys, "optimizer")
	for _, o := range k.OneOf {
		if r := rates[o]; r.usual == 0 || r.usual < r.low || r.usual > r.high {
			t.Errorf("optimizer %s: usual rate %v, range %v to %v", o, r.usual, r.low, r.high)
		}
	}
}

// TestSchedulersExist: every scheduler a user may name is one that optim has, and the other way round.
func TestSchedulersExist(t *testing.T) {
	k, _ := find(keys, "lr_scheduler")
	if !slices.Equal(k.OneOf, optim.Schedules) {
		t.Errorf("lr_scheduler takes %v, optim has %v", k.OneOf, optim.Schedules)
	}
}

// FuzzReadYAML: whatever a file holds, reading it ends with settings or errors, and what is accepted prints and reads
// back the same.
func FuzzReadYAML(f *testing.F) {
	for _, seed := range []string{
		"model: m\nseed: 7\n", "adamw:\n  betas: [0.9, 0.99]\n", "datasets: [{path: a, type: text}]\n", "a: &a [*a]\n",
		"x: &x {y: 1}\nadamw: *x\n", "<<: {seed: 1}\n", "seed: !!binary aa\n", "? [a]\n: b\n", "model: \"\\x00\"\n", "{", "learning_rate: 0x10\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := &source{}
		if err := s.readYAML("f", []byte(text)); err != nil {
			return
		}
		l, err := merge([]*source{s}, nil)
		if err != nil {
			return
		}
		var printed strings.Builder
		if err := l.WriteYAML(&printed); err != nil {
			t.Fatal(err)
		}
		s = &source{}
		if err := s.readYAML("printed", []byte(printed.String())); err != nil {
			t.Fatalf("%v\n%s", err, printed.String())
		}
		again, err := merge([]*source{s}, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, printed.String())
		}
		if d := cmp.Diff(l.Config, again.Config); d != "" {
			t.Errorf("-read +printed and read\n%s", d)
		}
	})
}
