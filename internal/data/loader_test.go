package data

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Samples of 3, 2 and 4 tokens, ids 1–3, 4–5, 6–9; the label of id 8 is ignored. Laid out by hand.
func byHand() *Dataset {
	d := &Dataset{c: &corpus{pad: 99}, index: []int32{0, 1, 2}}
	d.c.add([]int32{1, 2, 3}, []int32{1, 2, 3}, false)
	d.c.add([]int32{4, 5}, []int32{4, 5}, false)
	d.c.add([]int32{6, 7, 8, 9}, []int32{6, 7, ignored, 9}, true)
	return d
}

func TestBatches(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		want []Batch
	}{
		{"a sample a row", Options{SequenceLen: 8, MicroBatch: 2}, []Batch{
			{B: 2, T: 3, Trained: 3, Tokens: 5,
				IDs:     []int32{1, 2, 3, 4, 5, 99},
				Targets: []int32{2, 3, -100, 5, -100, -100},
				Pos:     []int32{0, 1, 2, 0, 1, 0},
				Start:   []int32{0, 0, 0, 0, 0, 2}},
			{B: 1, T: 4, Trained: 2, Tokens: 4,
				IDs:     []int32{6, 7, 8, 9},
				Targets: []int32{7, -100, 9, -100},
				Pos:     []int32{0, 1, 2, 3},
				Start:   []int32{0, 0, 0, 0}}}},
		{"packed", Options{SequenceLen: 6, MicroBatch: 2, Packing: true}, []Batch{
			{B: 2, T: 5, Trained: 5, Tokens: 9,
				IDs:     []int32{1, 2, 3, 4, 5, 6, 7, 8, 9, 99},
				Targets: []int32{2, 3, -100, 5, -100, 7, -100, 9, -100, -100},
				Pos:     []int32{0, 1, 2, 0, 1, 0, 1, 2, 3, 0},
				Start:   []int32{0, 0, 0, 3, 3, 0, 0, 0, 0, 4}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, slices.Collect(Batches(byHand(), c.o))); diff != "" {
				t.Errorf("batches (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStats(t *testing.T) {
	want := Stats{Samples: 3, Tokens: 9, Trained: 5, MaxLen: 4, Truncated: 1}
	if got := byHand().Stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := (*Dataset)(nil).Stats(); got != (Stats{}) {
		t.Errorf("no data set: %+v", got)
	}
}

// randomLengths are lengths of 2 … 40 tokens from a fixed seed.
func randomLengths(n int) []int {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([]int, n)
	for i := range out {
		out[i] = 2 + r.IntN(39)
	}
	return out
}

// layouts are all ways to deal out a data set.
var layouts = []Options{
	{SequenceLen: 64, MicroBatch: 3, Seed: 7},
	{SequenceLen: 64, MicroBatch: 3, Seed: 7, Shuffle: true},
	{SequenceLen: 64, MicroBatch: 3, Seed: 7, Packing: true},
	{SequenceLen: 64, MicroBatch: 3, Seed: 7, Packing: true, Shuffle: true},
}

// documents reads a batch back: the ids of each document, and checks what must hold in any batch.
func documents(t *testing.T, b Batch, o Options) [][]int32 {
	t.Helper()
	var out [][]int32
	trained, tokens := 0, 0
	for i := range b.B * b.T {
		if b.IDs[i] == 0 { // padding
			if b.Targets[i] != ignored || b.Pos[i] != 0 || int(b.Start[i]) != i%b.T {
				t.Fatalf("padding at %d: target %d, position %d, start %d", i, b.Targets[i], b.Pos[i], b.Start[i])
			}
			continue
		}
		tokens++
		if b.Pos[i] == 0 {
			out = append(out, nil)
		}
		if int(b.Start[i]) != i%b.T-int(b.Pos[i]) {
			t.Fatalf("at %d: start %d, position %d", i, b.Start[i], b.Pos[i])
		}
		out[len(out)-1] = append(out[len(out)-1], b.IDs[i])
		inside := i%b.T+1 < b.T && b.Start[i+1] == b.Start[i] && b.IDs[i+1] != 0
		if want := int32(ignored); inside && b.Targets[i] != b.IDs[i+1] || !inside && b.Targets[i] != want {
			t.Fatalf("at %d: target %d", i, b.Targets[i])
		}
		if inside {
			trained++
		}
	}
	if b.Trained != trained || b.Tokens != tokens || b.T > o.SequenceLen {
		t.Fatalf("%d trained of %d tokens in rows of %d; counted %d of %d", b.Trained, b.Tokens, b.T, trained, tokens)
	}
	return out
}

// Every epoch holds every document once and whole, in whatever layout.
func TestEpochHoldsAll(t *testing.T) {
	d := ofLengths(randomLengths(200)...)
	for _, o := range layouts {
		l := NewLoader(d, o)
		var orders [2][]int32
		for epoch := range 2 {
			seen := map[int32]int{}
			for range l.BatchesIn(epoch) {
				b, err := l.Next()
				if err != nil {
					t.Fatal(err)
				}
				for _, doc := range documents(t, b, o) {
					seen[doc[0]] = len(doc)
					orders[epoch] = append(orders[epoch], doc[0])
				}
			}
			if s := l.State(); s.Epoch != epoch+1 || s.Index != 0 {
				t.Fatalf("%+v: behind epoch %d the state is %+v", o, epoch, s)
			}
			for i := range d.Len() {
				if e := d.Example(i); seen[e.IDs[0]] != len(e.IDs) {
					t.Fatalf("%+v epoch %d: sample %d of %d tokens came with %d", o, epoch, i, len(e.IDs), seen[e.IDs[0]])
				}
			}
			if len(orders[epoch]) != d.Len() {
				t.Fatalf("%+v epoch %d: %d documents of %d", o, epoch, len(orders[epoch]), d.Len())
			}
		}
		if same := slices.Equal(orders[0], orders[1]); same == o.Shuffle {
			t.Errorf("shuffle %v, but two epochs in the same order: %v", o.Shuffle, same)
		}
		if inOrder := slices.IsSorted(orders[0]); inOrder == o.Shuffle {
			t.Errorf("shuffle %v, but samples in their order: %v", o.Shuffle, inOrder)
		}
	}
}

// A restored loader goes on as the uninterrupted one, from every position, over the end of an epoch.
func TestRestore(t *testing.T) {
	d := ofLengths(randomLengths(40)...)
	for _, o := range layouts {
		l := NewLoader(d, o)
		steps := l.BatchesIn(0) + l.BatchesIn(1) + 2
		states, batches := []State{}, []Batch{}
		for range steps {
			states = append(states, l.State())
			b, err := l.Next()
			if err != nil {
				t.Fatal(err)
			}
			batches = append(batches, b)
		}
		for i, s := range states {
			raw, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			var back State
			if err := json.Unmarshal(raw, &back); err != nil {
				t.Fatal(err)
			}
			r := NewLoader(d, o)
			if err := r.Restore(back); err != nil {
				t.Fatal(err)
			}
			for k := i; k < min(i+3, steps); k++ {
				b, err := r.Next()
				if diff := cmp.Diff(batches[k], b); diff != "" || err != nil {
					t.Fatalf("%+v: batch %d after a restart at %d: %v (-want +got):\n%s", o, k, i, err, diff)
				}
			}
		}
	}
}

func TestRestoreErrors(t *testing.T) {
	d := ofLengths(3, 4, 5)
	l := NewLoader(d, Options{SequenceLen: 8, MicroBatch: 2})
	for _, s := range []State{{Epoch: -1}, {Index: -1}, {Index: 2}, {Epoch: 1, Index: 7}} {
		if err := l.Restore(s); err == nil {
			t.Errorf("%+v was accepted", s)
		}
	}
	other := NewLoader(ofLengths(3, 4, 6), Options{SequenceLen: 8, MicroBatch: 2}).State()
	var e *Error
	if err := l.Restore(other); !errors.As(err, &e) {
		t.Errorf("the position in other data: %v", err)
	}
	if s := l.State(); s.Epoch != 0 || s.Index != 0 {
		t.Errorf("failed restores moved the loader to %+v", s)
	}
}

// TestChecksumOfData: data with another token, label, length, order or number of samples is other data; with the same ones it is the same.
func TestChecksumOfData(t *testing.T) {
	of := func(change func(d *Dataset)) string {
		d := byHand()
		change(d)
		return NewLoader(d, Options{SequenceLen: 8, MicroBatch: 2}).State().Data
	}
	want := of(func(*Dataset) {})
	if got := of(func(*Dataset) {}); got != want || want == "" {
		t.Errorf("the same data: %q and %q", got, want)
	}
	with := func(ids, labels []int32, learned bool) func(d *Dataset) {
		return func(d *Dataset) {
			d.c = &corpus{pad: 99}
			d.c.add([]int32{1, 2, 3}, []int32{1, 2, 3}, false)
			d.c.add([]int32{4, 5}, []int32{4, 5}, false)
			d.c.add(ids, labels, learned)
		}
	}
	if got := of(with([]int32{6, 7, 8, 9}, []int32{6, 7, ignored, 9}, true)); got != want {
		t.Errorf("the same data, made anew: %q, want %q", got, want)
	}
	for name, change := range map[string]func(d *Dataset){
		"a token more is learned": with([]int32{6, 7, 8, 9}, []int32{6, 7, 8, 9}, false),
		"a token less is learned": with([]int32{6, 7, 8, 9}, []int32{6, ignored, ignored, 9}, true),
		"another one is learned":  with([]int32{6, 7, 8, 9}, []int32{6, ignored, 8, 9}, true),
		"a label of another id":   with([]int32{6, 7, 8, 9}, []int32{6, 7, ignored, 5}, true),
		"another token":           with([]int32{6, 7, 3, 9}, []int32{6, 7, ignored, 9}, true),
		"a token more":            with([]int32{6, 7, 8, 9, 1}, []int32{6, 7, ignored, 9, 1}, true),
		"another order":           func(d *Dataset) { d.index = []int32{0, 2, 1} },
		"a sample twice":          func(d *Dataset) { d.index = []int32{0, 1, 2, 2} },
		"a sample less":           func(d *Dataset) { d.index = []int32{0, 1} },
	} {
		if got := of(change); got == want {
			t.Errorf("%s: it is still %s", name, got)
		}
	}
}

func TestEmptyLoader(t *testing.T) {
	l := NewLoader(&Dataset{c: &corpus{}}, Options{SequenceLen: 8, Packing: true})
	if _, err := l.Next(); !errors.Is(err, ErrEmpty) {
		t.Errorf("error %v, want ErrEmpty", err)
	}
	if n := l.BatchesPerEpoch(); n != 0 {
		t.Errorf("%d batches", n)
	}
}
