package data

import (
	"fmt"
	"hash/crc32"
	"iter"
)

// State is the position of a Loader: the next batch is number Index of epoch Epoch. Together with the data set and the
// options it determines every batch that follows.
type State struct {
	Epoch int    `json:"epoch"`
	Index int    `json:"index"`
	Data  string `json:"data,omitempty"` // checksum of the data set, so that a run does not go on with another
}

// Loader deals out a data set in micro-batches, epoch after epoch. The rows of an epoch fill micro-batches of
// Options.MicroBatch; the last one of an epoch has the rows that are left, so an epoch is ⌈rows/MicroBatch⌉ of them
// and nothing is dropped.
type Loader struct {
	d     *Dataset
	o     Options
	state State

	plan   plan
	epoch  int         // that plan is for; −1: none yet
	counts map[int]int // rows of epochs asked for
}

// NewLoader starts at the first batch of epoch 0. Of o it reads SequenceLen, Packing, Shuffle, MicroBatch and Seed.
func NewLoader(d *Dataset, o Options) *Loader {
	o.MicroBatch = max(o.MicroBatch, 1)
	return &Loader{d: d, o: o, epoch: -1, counts: map[int]int{}}
}

// Next is the next micro-batch. It never ends: behind the last one of an epoch follows the first of the next.
func (l *Loader) Next() (Batch, error) {
	if l.d.Len() == 0 {
		return Batch{}, ErrEmpty
	}
	p := l.planOf(l.state.Epoch)
	r0 := l.state.Index * l.o.MicroBatch
	r1 := min(r0+l.o.MicroBatch, p.len())
	l.state.Index++
	if r1 == p.len() {
		l.state.Epoch, l.state.Index = l.state.Epoch+1, 0
	}
	return l.d.batch(p, r0, r1), nil
}

// Bytes is the memory that the order of an epoch takes, while the next is made too.
func (l *Loader) Bytes() int64 {
	n := 4 * int64(l.d.Len())
	if l.o.Packing {
		n += 4 * int64(l.rowsIn(l.state.Epoch))
		if l.o.Shuffle {
			n += 4 * int64(l.d.Len()) // the row of each
		}
	}
	return n
}

// BatchesPerEpoch is the number of micro-batches of the present epoch.
func (l *Loader) BatchesPerEpoch() int { return l.BatchesIn(l.state.Epoch) }

// BatchesIn is the number of micro-batches of an epoch. Packed and shuffled, epochs may differ by a few.
func (l *Loader) BatchesIn(epoch int) int {
	return (l.rowsIn(epoch) + l.o.MicroBatch - 1) / l.o.MicroBatch
}

// State is the position to save.
func (l *Loader) State() State {
	if l.state.Data == "" && l.d.Len() > 0 {
		l.state.Data = l.d.checksum()
	}
	return l.state
}

// Restore goes to a saved position. It fails if the position does not exist or the data set is another one.
func (l *Loader) Restore(s State) error {
	if sum := l.State().Data; s.Data != "" && s.Data != sum {
		return &Error{Msg: fmt.Sprintf("the data set has changed: checksum %s, the saved position is in %s", sum, s.Data),
			Advice: "put the old data files and settings back, or start a new run in another output_dir"}
	}
	if s.Epoch < 0 || s.Index < 0 || s.Index >= max(l.BatchesIn(max(s.Epoch, 0)), 1) {
		return fmt.Errorf("data position: batch %d of epoch %d, an epoch has %d", s.Index, s.Epoch, l.BatchesIn(max(s.Epoch, 0)))
	}
	l.state.Epoch, l.state.Index = s.Epoch, s.Index
	return nil
}

// rowsIn counts the rows of an epoch; only the plan of the present one is kept.
func (l *Loader) rowsIn(epoch int) int {
	if !l.o.Packing {
		return l.d.Len()
	}
	if !l.o.Shuffle {
		epoch = 0 // all alike
	}
	if _, ok := l.counts[epoch]; !ok {
		if epoch == l.state.Epoch {
			l.planOf(epoch)
		} else {
			l.counts[epoch] = newPlan(l.d, l.o, epoch).len()
		}
	}
	return l.counts[epoch]
}

// planOf is the plan of an epoch, which becomes the present one.
func (l *Loader) planOf(epoch int) plan {
	if l.epoch != epoch && (l.epoch < 0 || l.o.Shuffle) {
		l.plan = plan{} // let go of the old one first
		l.plan, l.epoch = newPlan(l.d, l.o, epoch), epoch
		l.counts[epoch] = l.plan.len()
	}
	return l.plan
}

// PackStats says how full the rows of an epoch are.
type PackStats struct {
	Rows   int
	Tokens int     // of the samples in them
	Fill   float64 // share of Rows × sequence_len that is tokens
}

// PackedSequences counts the rows of the present epoch.
func (l *Loader) PackedSequences() PackStats {
	s := PackStats{Rows: l.rowsIn(l.state.Epoch), Tokens: l.d.Stats().Tokens}
	if room := s.Rows * l.o.SequenceLen; room > 0 {
		s.Fill = float64(s.Tokens) / float64(room)
	}
	return s
}

// Batches goes once through d in its order, as evaluation does.
func Batches(d *Dataset, o Options) iter.Seq[Batch] {
	return func(yield func(Batch) bool) {
		o.Shuffle = false
		l := NewLoader(d, o)
		for range l.BatchesIn(0) {
			b, err := l.Next()
			if err != nil || !yield(b) {
				return
			}
		}
	}
}

// BatchCount is how many batches Batches gives.
func BatchCount(d *Dataset, o Options) int {
	o.Shuffle = false
	return NewLoader(d, o).BatchesIn(0)
}

// checksum is a CRC-32C over lengths, ids and labels, in order.
func (d *Dataset) checksum() string {
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	var buf []byte
	put := func(v int32) { buf = append(buf, byte(v), byte(v>>8), byte(v>>16), byte(v>>24)) }
	for _, i := range d.index {
		from, to := d.c.span(i)
		buf = buf[:0]
		put(int32(to - from))
		for k := from; k < to; k++ {
			id, label := d.c.token(k)
			put(id)
			put(label)
		}
		h.Write(buf)
	}
	return fmt.Sprintf("%08x", h.Sum32())
}
