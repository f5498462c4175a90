package data

import (
	"iter"
	"math"

	"lomo/internal/data/records"
	"lomo/internal/rng"
)

// Example is one tokenised sample. Labels[i] is the label of position i itself, ignored ones are −100 (the Hugging Face
// convention); both have the same length.
type Example struct{ IDs, Labels []int32 }

// Dataset is a list of tokenised samples. A sample may be listed more than once (Source.Weight).
type Dataset struct {
	c       *corpus
	index   []int32 // samples of c, in order
	skipped int     // samples that were left out for having no token to predict
	notes   Notes
}

// Note says what was not taken as it stands in the files: cut, skipped, left out or replaced.
type (
	Note  = records.Note
	Notes = records.Notes // collects them
)

// Notes lists what was not taken as it stands in the files, with counts and first places. Whoever reads a data set says them.
func (d *Dataset) Notes() Notes {
	if d == nil {
		return nil
	}
	return d.notes
}

// Stats counts a data set.
type Stats struct {
	Samples   int // as often as they are listed
	Skipped   int // read, but without any token to predict
	Tokens    int
	Trained   int // tokens that are predicted
	MaxLen    int // tokens of the longest sample
	Truncated int // samples cut to sequence_len
}

// Len is the number of samples; a nil data set has none.
func (d *Dataset) Len() int {
	if d == nil {
		return 0
	}
	return len(d.index)
}

// Bytes is the memory that data sets take together: what they share counts once.
func Bytes(sets ...*Dataset) (n int64) {
	seen := map[*corpus]bool{}
	for _, d := range sets {
		if d == nil {
			continue
		}
		if n += 4 * int64(cap(d.index)); !seen[d.c] {
			n += d.c.bytes()
		}
		seen[d.c] = true
	}
	return n
}

// Example is a copy of sample i.
func (d *Dataset) Example(i int) Example {
	from, to := d.c.span(d.index[i])
	e := Example{IDs: make([]int32, to-from), Labels: make([]int32, to-from)}
	for k := from; k < to; k++ {
		e.IDs[k-from], e.Labels[k-from] = d.c.token(k)
	}
	return e
}

// Examples goes through the samples in their order on file.
func (d *Dataset) Examples() iter.Seq2[int, Example] {
	return func(yield func(int, Example) bool) {
		for i := range d.Len() {
			if !yield(i, d.Example(i)) {
				return
			}
		}
	}
}

// Stats counts samples and tokens.
func (d *Dataset) Stats() Stats {
	if d == nil {
		return Stats{}
	}
	s := Stats{Samples: d.Len(), Skipped: d.skipped}
	for _, i := range d.index {
		from, to := d.c.span(i)
		s.Tokens += to - from
		s.MaxLen = max(s.MaxLen, to-from)
		if d.c.cut.has(int(i)) {
			s.Truncated++
		}
		s.Trained += d.c.trained(from, to)
	}
	return s
}

// First is the first n samples, or all if there are fewer.
func (d *Dataset) First(n int) *Dataset {
	return &Dataset{c: d.c, index: d.index[:min(max(n, 0), d.Len())], skipped: d.skipped, notes: d.notes}
}

// Split holds samples out for validation: below 1 valSize is a share, from 1 on a number of samples. Which ones depends
// on seed alone. A sample listed several times goes to one side whole, and is validated on once.
func (d *Dataset) Split(valSize float64, seed uint64) (train, val *Dataset) {
	samples := d.distinct()
	held := make(bits, (d.c.len()+63)/64)
	for _, i := range rng.Perm(seed, rng.Split, 0, len(samples))[:heldOut(valSize, len(samples))] {
		held.set(int(samples[i]))
	}
	train, val = &Dataset{c: d.c, skipped: d.skipped, notes: d.notes}, &Dataset{c: d.c}
	out := 0
	for _, i := range d.index {
		if held.has(int(i)) {
			out++
		}
	}
	train.index = make([]int32, 0, d.Len()-out)
	for _, i := range d.index {
		if !held.has(int(i)) {
			train.index = append(train.index, i)
		}
	}
	for _, i := range samples {
		if held.has(int(i)) {
			val.index = append(val.index, i)
		}
	}
	return train, val
}

// heldOut is how many of n samples val_set_size holds out; a share above zero is at least one of two.
func heldOut(valSize float64, n int) int {
	switch {
	case !(valSize > 0): // NaN too
		return 0
	case valSize >= float64(n):
		return n
	case valSize >= 1:
		return int(valSize)
	}
	k := int(math.Round(valSize * float64(n)))
	return min(max(k, 1), n-1)
}

// distinct is the samples listed, each once, in order.
func (d *Dataset) distinct() []int32 {
	seen := make(bits, (d.c.len()+63)/64)
	out := make([]int32, 0, min(d.Len(), d.c.len()))
	for _, i := range d.index {
		if !seen.has(int(i)) {
			seen.set(int(i))
			out = append(out, i)
		}
	}
	return out
}
