package tokenizer

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/gotokenizers/models/bpemodel"
)

// TestMergeEqualsGotokenizers compares the merging of random words under random merges with
// gotokenizers' own, another port of Hugging Face's.
func TestMergeEqualsGotokenizers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		letters := 2 + r.IntN(5)
		merges := make(bpemodel.MergeMap)
		size := letters // ids: letters first, merged tokens then; some pairs make an old token
		for rank := range 1 + r.IntN(40) {
			id := size
			if r.IntN(5) == 0 {
				id = r.IntN(size)
			} else {
				size++
			}
			merges.Set(r.IntN(size), r.IntN(size), bpemodel.MergeValue{Rank: rank, ID: id})
		}
		want, e := bpemodel.NewWord(), new(encoder)
		for i := range 1 + r.IntN(60) {
			id := r.IntN(letters)
			want.Add(id, 1)
			e.add(symbol{int32(id), int32(i), int32(i + 1)})
		}
		want.MergeAll(&merges, 0)
		e.merge(merges)
		var got []symbol
		for _, n := range e.word {
			if n.id != gone {
				got = append(got, n.symbol)
			}
		}
		if len(got) != want.Len() {
			t.Fatalf("round %d: %d symbols, want %d", round, len(got), want.Len())
		}
		for i, w := range *want {
			if int(got[i].id) != w.ID || int(got[i].j-got[i].i) != w.Length {
				t.Fatalf("round %d: symbol %d is %+v, want %+v", round, i, got[i], *w)
			}
		}
	}
}

// TestWordsChangeNothing: cutting before ▁ gives what merging the whole piece gives.
func TestWordsChangeNothing(t *testing.T) {
	tok := pipeline(t, "llama2")
	if !tok.model.(*bpe).words {
		t.Fatal("the Llama-2 model should allow cutting at words")
	}
	whole := *tok.model.(*bpe)
	whole.words = false
	for _, s := range append(loadGolden().Texts, strings.Repeat("▁", 50)+"a▁▁b▁", "▁") {
		p := text{s: strings.ReplaceAll(s, " ", "▁")}
		a := tok.model.tokenize(nil, p, new(encoder))
		b := whole.tokenize(nil, p, new(encoder))
		if len(a) != len(b) {
			t.Fatalf("%q: %d symbols cut, %d whole", s, len(a), len(b))
		}
		for i := range a {
			if a[i] != b[i] {
				t.Fatalf("%q: symbol %d is %v cut, %v whole", s, i, a[i], b[i])
			}
		}
	}
}

// TestWordsAreNotCutWhereMergesCross: a merge over ▁ forbids the shortcut.
func TestWordsAreNotCutWhereMergesCross(t *testing.T) {
	f := file{kind: "BPE", ids: map[string]int32{"a": 0, "▁": 1, "a▁": 2, "<unk>": 3}, merges: bpemodel.MergeMap{}}
	unk := "<unk>"
	f.unk = &unk
	if err := addMerge(f.merges, f.ids, "a", "▁", "", 0); err != nil {
		t.Fatal(err)
	}
	m, err := f.model()
	if err != nil {
		t.Fatal(err)
	}
	if m.(*bpe).words {
		t.Error("a merge joins a and ▁, but pieces would be cut between them")
	}
	if got := m.tokenize(nil, text{s: "a▁a"}, new(encoder)); len(got) != 2 || got[0] != (symbol{2, 0, 4}) {
		t.Errorf("got %v, want a▁ and a", got)
	}
}

// TestLongPiece: a piece of half a million characters takes no quadratic time (by the quadratic ways a
// test run would not end), and equals its parts.
func TestLongPiece(t *testing.T) {
	tok := pipeline(t, "llama3")
	ids, err := tok.Encode(strings.Repeat("a", maxWord), false)
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Decode(ids, false); got != strings.Repeat("a", maxWord) {
		t.Errorf("%d ids decode to %d bytes", len(ids), len(got))
	}
}

// TestLongWords: what is merged at once is bounded, and refused with its place; the ids of what is shorter are as ever.
func TestLongWords(t *testing.T) {
	const before = "a few words\nfirst, then "
	unigram, err := readTokenizer(strings.NewReader(`{"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always"},
		"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",-10],["▁",-2],["a",-1.5],["▁and",-3],["xy",-4]]}}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, tok := range map[string]*Tokenizer{"llama3": pipeline(t, "llama3"), "llama2": pipeline(t, "llama2"), "gpt2": pipeline(t, "gpt2"), "unigram": unigram} {
		for what, unit := range map[string]string{"letters": "xy", "one letter": "a", "signs": "=", "accents": "é", "packed": "QUJD"} {
			text := before + strings.Repeat(unit, 400/len(unit)) + " and more"
			want, err := tok.Encode(text, false)
			if err != nil {
				t.Fatal(err)
			}
			maxWord = 500
			got, err := tok.Encode(text, false)
			maxWord = 300
			_, _, refused := tok.EncodeOffsets(text, false)
			maxWord = 512 << 10
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s, %s: other ids below the bound, %v", name, what, err)
			}
			var long *LongWord
			if !errors.As(refused, &long) {
				t.Errorf("%s, %s: %v", name, what, refused)
				continue
			}
			if at := long.At; at < len(before)-2 || at > len(before) || long.Bytes < 400 || !strings.Contains(refused.Error(), "at most 300") || len(refused.Error()) > 200 {
				t.Errorf("%s, %s: at %d of %d: %v", name, what, at, len(before), refused)
			}
		}
	}
}

// TestConcurrentEncode: one Tokenizer, several goroutines (run with -race).
func TestConcurrentEncode(t *testing.T) {
	tok, g := pipeline(t, "smollm"), loadGolden()
	done := make(chan string)
	for range 4 {
		go func() {
			for i, want := range g.Tests[0].Encodings {
				if got, err := tok.Encode(g.Texts[i], false); err != nil || len(got) != len(want.IDs) {
					done <- g.Texts[i]
					return
				}
			}
			done <- ""
		}()
	}
	for range 4 {
		if failed := <-done; failed != "" {
			t.Errorf("%q differs", failed)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	g := loadGolden()
	corpus := strings.Join(g.Texts, "\n")
	for _, name := range []string{"smollm", "llama3", "llama2"} {
		tok := pipeline(b, name)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(corpus)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tok.Encode(corpus, false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
