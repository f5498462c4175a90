package data

// Batch is one micro-batch: B sequences of T positions, each slice B×T in row order. A sequence holds one document, or
// several when packed, then padding.
type Batch struct {
	B, T    int
	IDs     []int32
	Targets []int32 // label of the next position of the same document; −100: nothing is predicted here
	Pos     []int32 // position within the document
	Start   []int32 // index in the sequence of the document's first token: a token attends to Start … itself
	Trained int     // targets that are not −100
	Tokens  int     // positions that are not padding
}

// newBatch is b rows of padding: each padding position is a document of its own, so it attends to itself only.
func newBatch(b, t int, pad int32) Batch {
	n := b * t
	flat := make([]int32, 4*n)
	x := Batch{B: b, T: t, IDs: flat[:n:n], Targets: flat[n : 2*n : 2*n], Pos: flat[2*n : 3*n : 3*n], Start: flat[3*n:]}
	for i := range n {
		x.IDs[i], x.Targets[i], x.Start[i] = pad, ignored, int32(i%t)
	}
	return x
}

// batch lays out rows [r0, r1) of a plan, padded to the longest of them.
func (d *Dataset) batch(p plan, r0, r1 int) Batch {
	longest := 0
	for r := r0; r < r1; r++ {
		longest = max(longest, d.rowLen(p.row(r)))
	}
	b := newBatch(r1-r0, longest, d.c.pad)
	for r := r0; r < r1; r++ {
		at := 0
		for _, i := range p.row(r) {
			at += d.place(&b, r-r0, at, d.index[i])
		}
	}
	return b
}

// rowLen is the number of tokens of the samples of one row.
func (d *Dataset) rowLen(samples []int32) int {
	n := 0
	for _, i := range samples {
		n += d.c.length(d.index[i])
	}
	return n
}

// place writes a document at position at of row r and returns its length. Its last position predicts nothing: the
// token behind it belongs to another document.
func (d *Dataset) place(b *Batch, r, at int, sample int32) int {
	from, to := d.c.span(sample)
	for k := from; k < to; k++ {
		j := r*b.T + at + k - from
		id, label := d.c.token(k)
		b.IDs[j], b.Pos[j], b.Start[j] = id, int32(k-from), int32(at)
		if k > from && label != ignored { // of the first token nothing is predicted
			b.Targets[j-1] = label
			b.Trained++
		}
	}
	b.Tokens += to - from
	return to - from
}
