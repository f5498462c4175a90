package job

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"lomo/internal/config"
	"lomo/internal/cpukern"
	"lomo/internal/memprof"
	"lomo/internal/preset"
)

// planOf is the plan of settings as --set takes them, for cards.
func planOf(t *testing.T, file string, cards Cards, set ...string) (*memprof.Profile, error) {
	t.Helper()
	c, err := config.Load(config.Input{File: file, Set: append([]string{"device=cuda"}, set...), Need: []string{"model"}})
	if err != nil {
		t.Fatal(err)
	}
	c.Model = filepath.Base(c.Model) // the preset, also where a folder of that name is
	p, _, err := Profile(c, cards)
	return p, err
}

// TestPlanOfRanks: every rank on the CPU has its arena and its kernels' workspace, of the threads that it gets; evaluation of longer batches than those of a
// step makes the plan larger.
func TestPlanOfRanks(t *testing.T) {
	plan := func(evalLen int, set ...string) *memprof.Profile {
		c := loaded(t, "out", append([]string{"device=cpu", "threads=4", "sequence_len=64", "micro_batch_size=2"}, set...)...)
		m, err := preset.Config("tiny")
		if err != nil {
			t.Fatal(err)
		}
		o, err := trainOptions(&c.Config, m)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Plan(o, &c.Config, evalLen, Cards{})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	one := plan(0).Owners["kernel workspace"]
	for ranks, threads := range map[int]int{1: 4, 2: 2, 4: 1} {
		p := plan(0, fmt.Sprintf("devices=%d", ranks), "sharding=zero3")
		// What the products take is the same for each rank; the rest is of its threads.
		if got, want := p.Owners["kernel workspace"], int64(ranks)*(one-cpukern.WorkspaceBytes(4)+cpukern.WorkspaceBytes(threads)); got != want {
			t.Errorf("%d ranks: %d bytes of workspace, want %d", ranks, got, want)
		}
		if got := p.Owners["program and its heap"]; got != runtimeBytes {
			t.Errorf("%d ranks: %d bytes of the program, want %d, once", ranks, got, runtimeBytes)
		}
	}
	for _, ranks := range []string{"devices=1", "devices=2"} {
		without, short, long := plan(0, ranks, "sharding=zero3").Peak, plan(8, ranks, "sharding=zero3").Peak, plan(4096, ranks, "sharding=zero3").Peak
		if !(without <= short && short < long) {
			t.Errorf("%s: %d bytes without evaluation, %d with short batches, %d with long ones", ranks, without, short, long)
		}
	}
}

// TestCardPlans: what a 3090 holds of each model, with half a gigabyte for the driver, and the pace of the largest.
func TestCardPlans(t *testing.T) {
	big := []string{"model=llama-65b", "devices=8", "sharding=zero3", "optimizer=lomo", "sequence_len=1024"}
	for _, c := range []struct {
		name string
		gb   float64 // at most
		rate float64 // tokens a second and card at 3 GB/s, at least
		set  []string
	}{
		{"7B, 8 x 512", 16.5, 0, []string{"model=llama-7b", "optimizer=lomo", "micro_batch_size=8", "sequence_len=512"}},
		{"7B, 8 x 512, adalomo", 16.5, 0, []string{"model=llama-7b", "micro_batch_size=8", "sequence_len=512"}},
		{"7B, inputs on the host", 15.5, 0, []string{"model=llama-7b", "optimizer=lomo", "micro_batch_size=8", "sequence_len=512", "activation_offload=host"}},
		{"13B from the host", 24, 0, []string{"model=llama-13b", "optimizer=lomo", "micro_batch_size=4", "sequence_len=1024", "offload=host"}},
		{"65B, 8 x 1024", 23, 0, append([]string{"micro_batch_size=1"}, big...)},
		{"65B by matrix", 20.5, 0, append([]string{"micro_batch_size=1", "gather=matrix"}, big...)},
		{"65B, 32768 tokens", 24, 25, append([]string{"micro_batch_size=4", "activation_offload=host"}, big...)},
	} {
		p, err := planOf(t, "", DefaultCards(), c.set...)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		at3 := p.Steps[1]
		t.Logf("%s: %.3f GB, %.1f tokens/s a card at %v GB/s, pinned %.2f GB", c.name, float64(p.Peak)/1e9, at3.TokS, at3.LinkGBps, float64(p.Pinned)/1e9)
		if gb := float64(p.Peak) / 1e9; gb > c.gb {
			t.Errorf("%s: %.3f GB a card, want at most %v: %v", c.name, gb, c.gb, p.Rows())
		}
		if p.Owners["driver context"] != contextBytes || at3.LinkGBps != 3 || at3.TokS < c.rate {
			t.Errorf("%s: context %d, %.1f tokens/s a card at %v GB/s, want %v", c.name, p.Owners["driver context"], at3.TokS, at3.LinkGBps, c.rate)
		}
	}
}

// TestConfigMemory: the first lines of the configurations for cards tell what the plan says, and so does the table of docs/gpu.md.
func TestConfigMemory(t *testing.T) {
	files, err := filepath.Glob("../../configs/*3090.yaml")
	if err != nil || len(files) != 4 {
		t.Fatalf("%d configurations: %v", len(files), err)
	}
	doc, err := os.ReadFile("../../docs/gpu.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`\n# Memory: ([0-9.]+) GB a card(?:, ([0-9.]+) GB of pinned host memory)? `)
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m := line.FindStringSubmatch(string(raw))
		if m == nil {
			t.Errorf("%s: no line says what a card needs", f)
			continue
		}
		p, err := planOf(t, f, DefaultCards())
		if err != nil {
			t.Error(err)
			continue
		}
		pinned := ""
		c, err := config.Load(config.Input{File: f})
		if err != nil {
			t.Fatal(err)
		}
		if p.Pinned > 0 {
			pinned = fmt.Sprintf("%.1f", float64(p.Pinned*int64(c.Devices))/1e9)
		}
		if want := fmt.Sprintf("%.1f", float64(p.Peak)/1e9); m[1] != want || m[2] != pinned {
			t.Errorf("%s says %s GB a card and %q GB pinned, the plan %s and %q", f, m[1], m[2], want, pinned)
		}
		host, tokens := "none", fmt.Sprint(p.Tokens*c.Devices)
		if pinned != "" {
			host = pinned + " GB"
		}
		row := fmt.Sprintf("| %s | %d | %.1f GB | %s | %s,%s | %.0f, %.0f |", strings.TrimSuffix(filepath.Base(f), ".yaml"), c.Devices, float64(p.Peak)/1e9, host,
			tokens[:len(tokens)-3], tokens[len(tokens)-3:], p.Steps[0].TokS, p.Steps[1].TokS)
		if !strings.Contains(string(doc), row) {
			t.Errorf("docs/gpu.md does not have the row %s", row)
		}
	}
}

// TestTooLarge: what does not fit is refused with the owners and the nearest setting that does, and that setting does fit.
func TestTooLarge(t *testing.T) {
	for _, c := range []struct {
		cards Cards
		want  string // in the hint
		set   []string
	}{
		{DefaultCards(), "--set activation_offload=host fits", []string{"model=llama-65b", "devices=8", "sharding=zero3", "optimizer=lomo", "micro_batch_size=4", "sequence_len=1024"}},
		{DefaultCards(), "--set offload=host fits", []string{"model=llama-13b", "optimizer=lomo", "micro_batch_size=1"}},
		{DefaultCards(), "--set devices=", []string{"model=llama-13b", "optimizer=adamw", "adamw.master=none", "micro_batch_size=1"}},
		{Cards{DeviceMemory: 24e9, HostMemory: 10e9, TFLOPS: 42, MemoryGBps: 800, LinkGBps: []float64{6}}, "--set devices=2 --set sharding=zero3 --set offload=none fits", []string{"model=llama-13b", "optimizer=lomo", "micro_batch_size=1", "offload=host"}},
		{Cards{DeviceMemory: 1e9, TFLOPS: 42, MemoryGBps: 800, LinkGBps: []float64{6}}, "no offloading", []string{"model=llama-7b", "optimizer=lomo"}},
	} {
		_, err := planOf(t, "", c.cards, c.set...)
		var e *TooLargeError
		if !errors.As(err, &e) || Exit(err) != 2 {
			t.Errorf("%v: got %v", c.set, err)
			continue
		}
		if table := strings.Join(e.Detail(), "\n"); strings.Contains(e.Error(), "\n") || !strings.Contains(table, "  weights ") || !strings.Contains(table, "\n  driver context") || !strings.Contains(e.Hint(), c.want) {
			t.Errorf("%v: %v\nhint %s, want %q", c.set, e, e.Hint(), c.want)
		}
		if e.With == nil {
			continue
		}
		again := append([]string{}, c.set...)
		for _, s := range e.Fits {
			again = append(again, strings.Split(s, " --set ")...)
		}
		p, err := planOf(t, "", c.cards, again...)
		if err != nil || p.Peak != e.With.Peak {
			t.Errorf("%v: %v is said to fit with %d bytes: %v", c.set, e.Fits, e.With.Peak, err)
		}
	}
}

// TestMemoryLimitOfCards: memory_limit is of one card.
func TestMemoryLimitOfCards(t *testing.T) {
	set := []string{"model=llama-7b", "optimizer=lomo", "micro_batch_size=1", "sequence_len=512"}
	p, err := planOf(t, "", DefaultCards(), set...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := planOf(t, "", DefaultCards(), append(set, "memory_limit="+strconv.FormatInt(p.Peak, 10)+"B")...); err != nil {
		t.Error(err)
	}
	if _, err := planOf(t, "", DefaultCards(), append(set, "memory_limit="+strconv.FormatInt(p.Peak-1, 10)+"B")...); err == nil {
		t.Error("one byte less is enough too")
	}
	if math.Abs(float64(p.Peak)-14.3e9) > 0.3e9 {
		t.Errorf("peak %d", p.Peak)
	}
}
