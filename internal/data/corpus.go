package data

import "slices"

// ignored is the label of a token that is not predicted (Hugging Face's ignore_index).
const ignored = -100

// corpus holds tokenised samples in flat arrays: 4 bytes and one bit a token, 8 bytes and one bit a sample. Data sets
// made by Split or by weights share one.
type corpus struct {
	ids     []int32
	ends    []int   // sample i is ids[ends[i-1]:ends[i]]
	trained bits    // one a token: its label counts
	labels  []int32 // one a token; nil while the label of every trained token is the token itself
	cut     bits    // one a sample: it was longer than sequence_len
	pad     int32   // an id of the vocabulary, for positions behind the last sample of a row
}

// len is the number of samples.
func (c *corpus) len() int { return len(c.ends) }

// span is the part [from, to) of the flat arrays that sample i takes.
func (c *corpus) span(i int32) (from, to int) {
	if i > 0 {
		from = c.ends[i-1]
	}
	return from, c.ends[i]
}

// length is the number of tokens of sample i.
func (c *corpus) length(i int32) int {
	from, to := c.span(i)
	return to - from
}

// add appends a sample; labels[j] is the label of ids[j], ignored or an id. The first token's label is dropped, as
// nothing predicts it.
func (c *corpus) add(ids, labels []int32, cut bool) {
	base := len(c.ids)
	c.ids = append(c.ids, ids...)
	c.trained.grow(len(c.ids))
	for j := 1; j < len(ids); j++ {
		if labels[j] == ignored {
			continue
		}
		c.trained.set(base + j)
		if labels[j] != ids[j] && c.labels == nil {
			c.labels = slices.Clone(c.ids[:base]) // until here every label was its token
		}
	}
	if c.labels != nil {
		c.labels = append(c.labels, labels...)
	}
	c.ends = append(c.ends, len(c.ids))
	c.cut.grow(len(c.ends))
	if cut {
		c.cut.set(len(c.ends) - 1)
	}
}

// label is the label of the token at flat position k.
func (c *corpus) label(k int) int32 {
	switch {
	case !c.trained.has(k):
		return ignored
	case c.labels != nil:
		return c.labels[k]
	}
	return c.ids[k]
}

// bits is a set of small integers.
type bits []uint64

// grow makes room for the integers below n.
func (b *bits) grow(n int) {
	for len(*b) < (n+63)/64 {
		*b = append(*b, 0)
	}
}

func (b bits) set(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bits) clear(i int)    { b[i/64] &^= 1 << (i % 64) }
func (b bits) has(i int) bool { return b[i/64]>>(i%64)&1 == 1 }
