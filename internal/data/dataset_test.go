package data

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lomo/internal/tokenizer"
)

func TestSplit(t *testing.T) {
	d := ofLengths(slices.Repeat([]int{2}, 100)...)
	for _, c := range []struct {
		size float64
		held int
	}{{0, 0}, {-1, 0}, {math.NaN(), 0}, {0.1, 10}, {0.001, 1}, {0.999, 99}, {0.9999, 99}, {1, 1}, {30, 30}, {100, 100}, {1e9, 100}} {
		train, val := d.Split(c.size, 3)
		if val.Len() != c.held || train.Len() != 100-c.held {
			t.Errorf("val_set_size %v: %d and %d", c.size, train.Len(), val.Len())
		}
		all := append(slices.Clone(train.index), val.index...)
		slices.Sort(all)
		if !slices.Equal(all, d.index) || !slices.IsSorted(train.index) || !slices.IsSorted(val.index) {
			t.Errorf("val_set_size %v: not every sample is on one side, in order", c.size)
		}
	}
	_, a := d.Split(10, 3)
	_, b := d.Split(10, 3)
	_, other := d.Split(10, 4)
	if !slices.Equal(a.index, b.index) || slices.Equal(a.index, other.index) {
		t.Error("the split must be a function of the seed")
	}
}

// A sample that weight repeats is never on both sides.
func TestSplitOfRepeated(t *testing.T) {
	path := write(t, "d.jsonl", strings.Repeat(`{"input_ids":[1,2]}`+"\n", 20))
	d, err := Load([]Source{{Path: path, Type: "tokenized", Weight: 2.5}}, nil, Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if d.Len() != 50 {
		t.Fatalf("%d samples, want 50", d.Len())
	}
	train, val := d.Split(5, 1)
	for _, i := range val.index {
		if slices.Contains(train.index, i) {
			t.Errorf("sample %d is on both sides", i)
		}
	}
	if val.Len() != 5 || train.Len() < 50-5*3 || train.Len() > 50-5*2 {
		t.Errorf("%d and %d samples", train.Len(), val.Len())
	}
}

// Which samples a weight takes once more says nothing of which are held out: the two draws are different ones.
func TestWeightDrawsApart(t *testing.T) {
	for seed := range uint64(5) {
		path := write(t, "d.jsonl", strings.Repeat(`{"input_ids":[1,2]}`+"\n", 64))
		d, err := Load([]Source{{Path: path, Type: "tokenized", Weight: 1.5}, {Path: path, Type: "tokenized", Weight: 1.5}}, nil, Options{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		var twice [2][]int32 // of each source
		for i := 1; i < len(d.index); i++ {
			if s := d.index[i]; s == d.index[i-1] {
				twice[s/64] = append(twice[s/64], s%64)
			}
		}
		if len(twice[0]) != 32 || slices.Equal(twice[0], twice[1]) {
			t.Errorf("seed %d: %d samples of the first source come twice; the second one's are the same: %v", seed, len(twice[0]), slices.Equal(twice[0], twice[1]))
		}
		one := *d
		one.index = slices.DeleteFunc(slices.Clone(d.index), func(s int32) bool { return s >= 64 })
		_, val := one.Split(16, seed)
		n := 0
		for _, s := range val.index {
			if slices.Contains(twice[0], s) {
				n++
			}
		}
		if n == 0 || n == len(val.index) {
			t.Errorf("seed %d: %d of the %d samples that are held out are taken twice", seed, n, len(val.index))
		}
	}
}

func TestWeigh(t *testing.T) {
	for _, c := range []struct {
		weight float64
		times  [2]int // least and most often that a sample is used
		total  int
	}{{0, [2]int{1, 1}, 9}, {1, [2]int{1, 1}, 9}, {2, [2]int{2, 2}, 18}, {1.5, [2]int{1, 2}, 14}, {0.34, [2]int{0, 1}, 3}} {
		index, err := weigh(10, 19, c.weight, 5, 0)
		if err != nil {
			t.Fatal(err)
		}
		times := map[int32]int{}
		for _, i := range index {
			times[i]++
		}
		for i := int32(10); i < 19; i++ {
			if times[i] < c.times[0] || times[i] > c.times[1] {
				t.Errorf("weight %v: sample %d comes %d times", c.weight, i, times[i])
			}
		}
		if len(index) != c.total || !slices.IsSorted(index) {
			t.Errorf("weight %v: %v", c.weight, index)
		}
	}
	for _, w := range []float64{-1, math.NaN(), math.Inf(1), 1e10} {
		if _, err := weigh(0, 9, w, 5, 0); err == nil {
			t.Errorf("weight %v was accepted", w)
		}
	}
}

func TestStatsOfLoad(t *testing.T) {
	path := write(t, "d.jsonl", `{"prompt":"abcdefgh","completion":"x"}`+"\n"+`{"prompt":"a","completion":"bcdefghij"}`+"\n"+`{"prompt":"a","completion":"b"}`)
	d := load(t, path, "prompt_completion", Options{SequenceLen: 6})
	want := Stats{Samples: 2, Skipped: 1, Tokens: 6 + 4, Trained: 4 + 2, MaxLen: 6, Truncated: 1}
	if got := d.Stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Padding is an id the model has: the tokenizer's, or another one of it.
func TestPad(t *testing.T) {
	path := write(t, "d.jsonl", `{"prompt":"a","completion":"b"}`)
	if d := load(t, path, "prompt_completion", Options{}); d.c.pad != 0 { // PAD −1, UNK 0
		t.Errorf("pad %d, want 0", d.c.pad)
	}
}

func TestDescribe(t *testing.T) {
	d := &Dataset{c: &corpus{}, index: []int32{0}}
	d.c.add([]int32{5, 6, 7, 8}, []int32{5, ignored, 7, 9}, false)
	got := d.Describe(0, func(id int32) string { return string(rune('a' + id - 5)) })
	want := []Token{{5, "a", ignored, false}, {6, "b", ignored, false}, {7, "c", 7, true}, {8, "d", 9, true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
	var out strings.Builder
	if err := WriteTokens(&out, got); err != nil {
		t.Fatal(err)
	}
	const lines = `     0        5  "a"                  -
     1        6  "b"                  -
     2        7  "c"                  learned
     3        8  "d"                  learned as 9
`
	if diff := cmp.Diff(lines, out.String()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

func TestFirst(t *testing.T) {
	d := ofLengths(2, 3, 4)
	for n, want := range map[int]int{-1: 0, 0: 0, 2: 2, 9: 3} {
		if got := d.First(n); got.Len() != want || want > 0 && !slices.Equal(got.Example(0).IDs, d.Example(0).IDs) {
			t.Errorf("first %d: %d samples", n, got.Len())
		}
	}
}

// A nil *tokenizer.Tokenizer is no tokenizer.
func TestNilTokenizer(t *testing.T) {
	var tok *tokenizer.Tokenizer
	path := write(t, "d.jsonl", `{"input_ids":[1,2],"text":"a"}`)
	if d, err := Load([]Source{{Path: path, Type: "tokenized"}}, tok, Options{}); err != nil || d.Len() != 1 {
		t.Errorf("tokenized: %v", err)
	}
	if _, err := Load([]Source{{Path: path, Type: "text"}}, tok, Options{}); err == nil || !strings.Contains(err.Error(), "needs the model's tokenizer") {
		t.Errorf("text: error %v", err)
	}
}
