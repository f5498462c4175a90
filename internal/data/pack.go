package data

import (
	mathbits "math/bits"

	"lomo/internal/rng"
)

// plan is the order of one epoch: row r holds the samples order[rows[r]:rows[r+1]], numbers in Dataset.index. It is a
// function of the data set, seed and epoch, so a resumed run makes it again instead of storing it.
type plan struct {
	order []int32
	rows  []int32 // nil: every sample is a row
}

// len is the number of rows.
func (p plan) len() int {
	if p.rows == nil {
		return len(p.order)
	}
	return len(p.rows) - 1
}

// row is the samples of row r.
func (p plan) row(r int) []int32 {
	if p.rows == nil {
		return p.order[r : r+1]
	}
	return p.order[p.rows[r]:p.rows[r+1]]
}

// newPlan orders the samples of an epoch. Unshuffled and packed, a document goes into the row of the one before it or
// opens the next, so that the order on file is kept; shuffled, into the fullest row with room for it.
func newPlan(d *Dataset, o Options, epoch int) plan {
	var order []int32
	if o.Shuffle {
		order = rng.Perm(o.Seed, rng.Shuffle, uint32(epoch), d.Len())
	} else {
		order = make([]int32, d.Len())
		for i := range order {
			order[i] = int32(i)
		}
	}
	if !o.Packing {
		return plan{order: order}
	}
	length := func(i int32) int { return d.c.length(d.index[i]) }
	if !o.Shuffle {
		return plan{order: order, rows: nextFit(order, length, o.SequenceLen)}
	}
	rowOf, n := bestFit(order, length, o.SequenceLen)
	// Rows opened early collect the short documents behind them; another draw makes all rows of an epoch alike.
	return group(order, rowOf, rng.Perm(o.Seed, rng.Shuffle, uint32(epoch)|rowDraw, n))
}

// rowDraw keeps the draws that shuffle rows apart from those that shuffle samples.
const rowDraw = 1 << 31

// nextFit cuts order into rows of at most size tokens (a longer document is a row of its own) and returns where they begin.
func nextFit(order []int32, length func(int32) int, size int) []int32 {
	rows := []int32{0}
	used := 0
	for i, s := range order {
		n := length(s)
		if i > 0 && used+n > size {
			rows = append(rows, int32(i))
			used = 0
		}
		used += n
	}
	if len(order) == 0 {
		return rows
	}
	return append(rows, int32(len(order)))
}

// bestFit gives each document of order, in turn, the row with the least room that still takes it; among equals the one
// that got there last. rowOf[i] is the row of order[i]; n counts them. A document costs a look at size/64 words.
func bestFit(order []int32, length func(int32) int, size int) (rowOf []int32, n int) {
	rowOf = make([]int32, len(order))
	last := make([]int32, size+1) // last[k]−1: a row with k tokens of room
	var below []int32             // below[r]−1: the row with the same room that came before r
	room := make(bits, (size+64)/64)
	for i, s := range order {
		tokens := length(s)
		free := room.next(tokens)
		if free < 0 {
			below = append(below, 0)
			rowOf[i], free = int32(len(below)-1), size
		} else {
			r := last[free] - 1
			rowOf[i] = r
			if last[free] = below[r]; last[free] == 0 {
				room.clear(free)
			}
		}
		if left := free - tokens; left > 0 {
			below[rowOf[i]] = last[left]
			last[left] = rowOf[i] + 1
			room.set(left)
		}
	}
	return rowOf, len(below)
}

// next is the smallest member that is at least from, −1 if there is none.
func (b bits) next(from int) int {
	for w := from / 64; w < len(b); w++ {
		word := b[w]
		if w == from/64 {
			word &= ^uint64(0) << (from % 64)
		}
		if word != 0 {
			return w*64 + mathbits.TrailingZeros64(word)
		}
	}
	return -1
}

// group sorts order by row, stably, rows standing where at puts them: a counting sort in place, for which it takes rowOf.
func group(order, rowOf, at []int32) plan {
	rows := make([]int32, len(at)+1)
	for _, r := range rowOf {
		rows[at[r]+1]++
	}
	for r := range at {
		rows[r+1] += rows[r]
	}
	fill := make([]int32, len(at))
	goes := rowOf // where order[i] goes
	for i, row := range rowOf {
		r := at[row]
		goes[i] = rows[r] + fill[r]
		fill[r]++
	}
	for i := range order {
		for to := goes[i]; to != int32(i); to = goes[i] {
			order[i], order[to] = order[to], order[i]
			goes[i], goes[to] = goes[to], to
		}
	}
	return plan{order: order, rows: rows}
}
