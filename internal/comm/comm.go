// Package comm is what ranks say to each other: collectives over tensors. A rank knows only its number, the count and its
// communicator, so that ranks may be goroutines of one process, as here, or processes on several machines.
package comm

import (
	"errors"

	"lomo/internal/tensor"
)

// Comm is one rank's end of a group. All ranks of a group must make the same calls in the same order. Sums are taken in
// float32 (F64 tensors: float64), rank by rank from 0, so that every rank gets the same bits.
type Comm interface {
	Rank() int
	Size() int
	// Gather fills full (rows, …) on every rank from the parts (its own rows each, see Rows).
	Gather(full, part tensor.Tensor) error
	// ReduceScatter is part = this rank's rows of Σ over ranks of full; F32.
	ReduceScatter(part, full tensor.Tensor) error
	// AllReduce is t = Σ over ranks of t; F32 or F64.
	AllReduce(t tensor.Tensor) error
	// Abort makes every rank's present and later calls fail with err, unless they have failed already.
	Abort(err error)
	// Sent is the bytes this rank has sent so far.
	Sent() int64
}

// ErrAborted is what a rank's calls fail with because of another rank.
var ErrAborted = errors.New("another rank failed")

// Rows is the slice [r0, r1) of n rows that a rank owns: ⌈n/size⌉ each, the last ones fewer or none.
func Rows(n, size, rank int) (r0, r1 int) {
	each := (n + size - 1) / size
	return min(rank*each, n), min((rank+1)*each, n)
}

// single is a group of one.
type single struct{}

// Single is the communicator of a run on one device. It moves nothing.
func Single() Comm { return single{} }

func (single) Rank() int                                    { return 0 }
func (single) Size() int                                    { return 1 }
func (single) Gather(full, part tensor.Tensor) error        { copy(full.Host, part.Host); return nil }
func (single) ReduceScatter(part, full tensor.Tensor) error { copy(part.Host, full.Host); return nil }
func (single) AllReduce(tensor.Tensor) error                { return nil }
func (single) Abort(error)                                  {}
func (single) Sent() int64                                  { return 0 }

// counting is one rank of a group on the counting device: there is nothing to move.
type counting struct {
	single
	rank, size int
}

// Counting is rank of a group of size for memory plans.
func Counting(rank, size int) Comm { return counting{rank: rank, size: size} }

func (c counting) Rank() int { return c.rank }
func (c counting) Size() int { return c.size }
