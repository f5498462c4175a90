package data

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestWindows: a text and a sample of token ids that are longer than a row become overlapping samples, in which every token but the
// first is predicted once, in the first window that holds it.
func TestWindows(t *testing.T) {
	for _, n := range []int{1, 2, 7, 8, 9, 12, 13, 16, 40, 41} {
		for _, stride := range []int{1, 3, 7, 8} {
			t.Run(fmt.Sprintf("%d by %d", n, stride), func(t *testing.T) {
				text := strings.Repeat("abcdefghij", 5)[:n]
				whole, _, err := fake{}.EncodeOffsets(text, false)
				if err != nil {
					t.Fatal(err)
				}
				whole = append(whole, 2) // eos
				o := Options{SequenceLen: 8, Stride: stride}
				line := fmt.Sprintf("{\"input_ids\": %s}\n", strings.ReplaceAll(fmt.Sprint(whole), " ", ","))
				for kind, source := range map[string]Source{
					"text":      {Path: write(t, "d.txt", text), Type: "text"},
					"record":    {Path: write(t, "d.jsonl", `{"text": "`+text+`"}`), Type: "text"},
					"tokenized": {Path: write(t, "d.jsonl", line), Type: "tokenized"},
				} {
					d, err := Load([]Source{source}, fake{}, o)
					if err != nil {
						t.Fatal(err)
					}
					windows(t, kind, d, whole, o)
				}
			})
		}
	}
}

func windows(t *testing.T, kind string, d *Dataset, whole []int32, o Options) {
	t.Helper()
	done := 1 // the first token is not predicted
	for i, e := range d.Examples() {
		from := i * o.Stride
		to := min(from+o.SequenceLen, len(whole))
		if !slices.Equal(e.IDs, whole[from:to]) {
			t.Fatalf("%s: window %d is %v, want %v", kind, i, e.IDs, whole[from:to])
		}
		for j, l := range e.Labels {
			if predicted := from+j >= done && j > 0; predicted != (l != ignored) {
				t.Errorf("%s: window %d, token %d: label %d, predicted before: %v", kind, i, j, l, from+j < done)
			}
		}
		done = to
	}
	if o.Stride < o.SequenceLen && done != len(whole) {
		t.Errorf("%s: %d of %d tokens are in windows", kind, done, len(whole))
	}
	if s := d.Stats(); s.Truncated > 0 || o.Stride < o.SequenceLen && (s.Trained != len(whole)-1 || s.Skipped > 0) {
		t.Errorf("%s: %+v of %d tokens", kind, s, len(whole))
	}
}
