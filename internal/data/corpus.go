package data

import mathbits "math/bits"

// ignored is the label of a token that is not predicted (Hugging Face's ignore_index).
const ignored = -100

// Tokens and ends of samples are packed when so many of them have come together; less than that waits as it came. Variables for tests.
var (
	tokenShift = 15 // 2^15 tokens
	endShift   = 10 // 2^10 samples
)

// corpus holds tokenised samples, one behind the other: a token takes the bits that the largest id near it needs, and one that tells whether it is learned;
// a sample takes two or three bytes. What was packed is never copied again, so a set that grows leaves nothing behind. Data sets made by Split or by weights share one.
type corpus struct {
	full []piece // of 2^tokenShift tokens each
	open struct{ ids, labels []int32 }
	ends series // sample i is the tokens ends.at(i-1) … ends.at(i)−1
	cut  bits   // one a sample: it was longer than sequence_len
	pad  int32  // an id of the vocabulary, for positions behind the last sample of a row
}

// piece is tokens that were packed.
type piece struct {
	ids     packed
	trained bits   // the label counts
	labels  packed // of those that count; empty while the label of each is the token itself
}

// len is the number of samples.
func (c *corpus) len() int { return c.ends.n }

// tokens is the number of tokens of all samples.
func (c *corpus) tokens() int { return len(c.full)<<tokenShift + len(c.open.ids) }

// span is the part [from, to) of the tokens that sample i takes.
func (c *corpus) span(i int32) (from, to int) {
	if i > 0 {
		from = c.ends.at(int(i) - 1)
	}
	return from, c.ends.at(int(i))
}

// length is the number of tokens of sample i.
func (c *corpus) length(i int32) int {
	from, to := c.span(i)
	return to - from
}

// add appends a sample; labels[j] is the label of ids[j], ignored or an id. The first token's label is dropped, as
// nothing predicts it.
func (c *corpus) add(ids, labels []int32, cut bool) {
	size := 1 << tokenShift
	for first := true; len(ids) > 0; first = false {
		at := len(c.open.ids)
		n := min(len(ids), size-at)
		c.open.ids, c.open.labels = append(c.open.ids, ids[:n]...), append(c.open.labels, labels[:n]...)
		if first {
			c.open.labels[at] = ignored
		}
		if ids, labels = ids[n:], labels[n:]; at+n == size {
			c.full = append(c.full, packTokens(c.open.ids, c.open.labels))
			c.open.ids, c.open.labels = c.open.ids[:0], c.open.labels[:0]
		}
	}
	c.ends.add(c.tokens())
	c.cut.grow(c.len())
	if cut {
		c.cut.set(c.len() - 1)
	}
}

func packTokens(ids, labels []int32) piece {
	p := piece{ids: pack(len(ids), func(i int) uint64 { return uint64(ids[i]) })}
	p.trained.grow(len(ids))
	own := true
	for i, l := range labels {
		if l != ignored {
			p.trained.set(i)
			own = own && l == ids[i]
		}
	}
	if !own {
		p.labels = pack(len(labels), func(i int) uint64 { return uint64(max(labels[i], 0)) })
	}
	return p
}

// token is token k of all samples, and its label.
func (c *corpus) token(k int) (id, label int32) {
	i := k & (1<<tokenShift - 1)
	if k>>tokenShift == len(c.full) {
		return c.open.ids[i], c.open.labels[i]
	}
	p := &c.full[k>>tokenShift]
	id, label = int32(p.ids.at(i)), ignored
	if p.trained.has(i) {
		if label = id; p.labels.words != nil {
			label = int32(p.labels.at(i))
		}
	}
	return id, label
}

// trained counts the tokens from … to−1 whose label counts.
func (c *corpus) trained(from, to int) (n int) {
	for from < to {
		p, i := from>>tokenShift, from&(1<<tokenShift-1)
		j := min(i+to-from, 1<<tokenShift)
		if p < len(c.full) {
			n += c.full[p].trained.count(i, j)
		} else {
			for _, l := range c.open.labels[i:j] {
				if l != ignored {
					n++
				}
			}
		}
		from += j - i
	}
	return n
}

// bytes is the memory that the samples take.
func (c *corpus) bytes() int64 {
	n := int64(cap(c.full))*pieceSizeof + 4*int64(cap(c.open.ids)+cap(c.open.labels)) + c.ends.bytes() + 8*int64(cap(c.cut))
	for i := range c.full {
		p := &c.full[i]
		n += 8 * int64(cap(p.ids.words)+cap(p.labels.words)+cap(p.trained))
	}
	return n
}

// packed is a list of numbers, each in as many bits as the largest of them needs.
type packed struct {
	width int // bits of a number
	words []uint64
}

// pack makes a list of n numbers.
func pack(n int, at func(i int) uint64) packed {
	all := uint64(0)
	for i := range n {
		all |= at(i)
	}
	p := packed{width: max(1, mathbits.Len64(all))}
	p.words = make([]uint64, (n*p.width+63)/64)
	for i := range n {
		v, bit := at(i), i*p.width
		p.words[bit/64] |= v << (bit % 64)
		if bit%64+p.width > 64 {
			p.words[bit/64+1] |= v >> (64 - bit%64)
		}
	}
	return p
}

// at is number i.
func (p *packed) at(i int) uint64 {
	bit := uint(i * p.width)
	v := p.words[bit/64] >> (bit % 64)
	if bit%64+uint(p.width) > 64 {
		v |= p.words[bit/64+1] << (64 - bit%64)
	}
	return v & (1<<p.width - 1)
}

// series is a list of numbers that never fall.
type series struct {
	n    int
	full []stretch // of 2^endShift numbers each
	open []int
}

// stretch is numbers that were packed: what each is above the first.
type stretch struct {
	first int
	above packed
}

func (s *series) add(v int) {
	s.open = append(s.open, v)
	if s.n++; len(s.open) == 1<<endShift {
		s.full = append(s.full, stretch{first: s.open[0], above: pack(len(s.open), func(i int) uint64 { return uint64(s.open[i] - s.open[0]) })})
		s.open = s.open[:0]
	}
}

func (s *series) at(i int) int {
	if i>>endShift == len(s.full) {
		return s.open[i&(1<<endShift-1)]
	}
	f := &s.full[i>>endShift]
	return f.first + int(f.above.at(i&(1<<endShift-1)))
}

func (s *series) bytes() int64 {
	n := int64(cap(s.full))*stretchSizeof + 8*int64(cap(s.open))
	for i := range s.full {
		n += 8 * int64(cap(s.full[i].above.words))
	}
	return n
}

// Bytes of the structures, as a 64-bit machine lays them out.
const (
	pieceSizeof   = 2*32 + 24
	stretchSizeof = 8 + 32
)

// bits is a set of small integers.
type bits []uint64

// grow makes room for the integers below n.
func (b *bits) grow(n int) {
	if words := (n + 63) / 64; words > len(*b) {
		*b = append(*b, make(bits, words-len(*b))...)
	}
}

func (b bits) set(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bits) clear(i int)    { b[i/64] &^= 1 << (i % 64) }
func (b bits) has(i int) bool { return b[i/64]>>(i%64)&1 == 1 }

// count is how many of the integers from … to−1 are in the set.
func (b bits) count(from, to int) (n int) {
	for from < to {
		end := min(to, from/64*64+64)
		n += mathbits.OnesCount64(b[from/64] >> (from % 64) << (64 - (end - from)))
		from = end
	}
	return n
}
