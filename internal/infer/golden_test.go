package infer

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"lomo/internal/checkpoint"
	"lomo/internal/cpukern"
	"lomo/internal/golden"
	"lomo/internal/model"
	"lomo/internal/model/families"
	"lomo/internal/store"
	"lomo/internal/tensor"
)

// TestGoldenGreedy: 64 tokens after a prompt are those that transformers takes without a cache, of each family, also where windows are
// shorter than the text. The prompt is taken at once and token by token.
func TestGoldenGreedy(t *testing.T) {
	files, err := filepath.Glob("../../testdata/golden/*.golden.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, path := range files {
		f := golden.Load(t, filepath.Join("testdata/golden", filepath.Base(path)))
		if !f.Has("greedy/ids") {
			continue
		}
		n++
		t.Run(filepath.Base(f.ModelDir()), func(t *testing.T) {
			d, net, st := openFolder(t, f.ModelDir())
			prompt, want := f.I32("greedy/prompt"), f.I32("greedy/ids")
			for _, first := range []int{len(prompt), 1} {
				s, err := NewSession(d, net, st, len(prompt)+len(want), tensor.F32)
				if err != nil {
					t.Fatal(err)
				}
				for i := 0; first < len(prompt) && i < len(prompt); i++ { // Generate takes what the session does not hold yet
					if _, err := s.Append(prompt[i : i+1]); err != nil {
						t.Fatal(err)
					}
				}
				got, _, err := Generate(s, prompt, Request{Limit: len(want)})
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("prompt from %d: %v, %v, want %v", first, got, err, want)
				}
			}
		})
	}
	if n < 6 {
		t.Errorf("%d models", n)
	}
}

func openFolder(t *testing.T, dir string) (*cpukern.Device, *model.Network, store.Store) {
	t.Helper()
	src, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	cfg, err := families.Parse(src.Config())
	if err != nil {
		t.Fatal(err)
	}
	d, err := cpukern.Open(cpukern.Options{Capacity: 64 << 20, PoisonReleased: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	net := model.NewNetwork(cfg)
	st, err := store.NewResident(d, net.Params(), tensor.F32)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range net.Params() {
		if err := store.LoadTensor(d, p.Name, p.W, src); err != nil {
			t.Fatal(err)
		}
	}
	return d, net, st
}

// TestLongAndBack: of a text that was long nothing is kept for a short one, whose keys are turned otherwise; both give what a new session gives.
func TestLongAndBack(t *testing.T) {
	d, net, st := openFolder(t, filepath.Join(golden.Root(t), "testdata/golden/llama_longrope"))
	text := make([]int32, net.Cfg.LongFrom()+8)
	for i := range text {
		text[i] = int32(i*i*7+i) % 64
	}
	fresh := func(n int) []float32 {
		s, err := NewSession(d, net, st, len(text), tensor.F32)
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.Append(text[:n])
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	s, err := NewSession(d, net, st, len(text), tensor.F32)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ n, kept int }{{20, 0}, {30, 20}, {38, 0}, {34, 33}, {25, 0}, {31, 0}} {
		got, kept, err := s.Continue(text[:step.n], nil)
		if err != nil {
			t.Fatal(err)
		}
		if kept != step.kept {
			t.Errorf("%d tokens: %d kept, want %d", step.n, kept, step.kept)
		}
		want := fresh(step.n)
		for i := range want {
			if math.Abs(float64(got[i]-want[i])) > 1e-5 {
				t.Fatalf("%d tokens: logit %d is %v, want %v", step.n, i, got[i], want[i])
			}
		}
	}
}
