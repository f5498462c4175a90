// Package comm is what ranks say to each other: collectives over tensors, queued in channels beside the computation. A rank
// knows only its number, the count and its communicator, so that ranks may be goroutines of one process, as in NewLocal, cards
// that copy from each other, or processes on several machines. commtest is the suite every implementation passes.
package comm

import (
	"errors"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// Comm is one rank's end of a group.
type Comm interface {
	Rank() int
	Size() int
	// Open makes a channel. Every rank opens the same ones; those of one name belong together. A channel may take memory
	// of its device, under the owner "communication".
	Open(name string) (Channel, error)
	// Abort makes every rank's present and later calls fail with err, unless they have failed already.
	Abort(err error)
	// Sent is the bytes this rank has sent in calls whose events are reached.
	Sent() int64
	// Close ends the channels, after what was queued in them.
	Close() error
}

// Channel is an order of collectives beside the device's own work and beside other channels. All ranks make the same calls
// on it in the same order. A call returns at once: its work begins when after is reached (nil: at once) and is done when the
// event it returns is. Until then what it writes must not be read and what it reads must not be written. That event's Sync,
// or the Sync of a device that has waited for it, reports a failure.
//
// All ranks move equal counts: a tensor of n rows travels with Each(n, size)·size rows, of which the last are padding. Sums are
// taken in float32 (F64 tensors: float64), rank by rank from 0, so that the bits depend on nothing else.
type Channel interface {
	// Gather fills full (Each·size, …) on every rank from the parts (Each, …): rank r's part becomes rows r·Each ….
	Gather(full, part tensor.Tensor, after device.Event) device.Event
	// ReduceScatter is part = this rank's rows of Σ over ranks of full; both F32, shapes as in Gather. What is sent, and every
	// term of the sum, is rounded to wire: F32, or BF16 (nearest even), which halves the traffic.
	ReduceScatter(part, full tensor.Tensor, wire tensor.DType, after device.Event) device.Event
	// AllReduce is t = Σ over ranks of t; F32 or F64, the same bits on every rank. It is meant for vectors and scalars.
	AllReduce(t tensor.Tensor, after device.Event) device.Event
}

// ErrAborted is what a rank's calls fail with because of another rank.
var ErrAborted = errors.New("another rank failed")

// Each is how many rows of n a rank owns, padding included.
func Each(n, size int) int { return (n + size - 1) / size }

// Rows is the slice [r0, r1) of n rows that a rank owns: Each, the last ranks fewer or none.
func Rows(n, size, rank int) (r0, r1 int) {
	each := Each(n, size)
	return min(rank*each, n), min((rank+1)*each, n)
}

// Sum makes t the sum over ranks within the order of d's work: what was queued before is in it, what comes later sees it.
func Sum(d device.Device, ch Channel, t tensor.Tensor) { d.Wait(ch.AllReduce(t, d.Record())) }

// The bytes a rank sends: every implementation moves each byte to each rank that needs it once.

// GatherSends is for a part of so many bytes.
func GatherSends(part int64, size int) int64 { return part * int64(size-1) }

// ReduceSends is for a part of so many elements.
func ReduceSends(part int64, wire tensor.DType, size int) int64 {
	return part * int64(wire.Size()) * int64(size-1)
}

// AllReduceSends is for a tensor of so many bytes.
func AllReduceSends(t int64, size int) int64 { return t * int64(size-1) }

// Single is the communicator of a run on one device. It moves nothing: what one rank owns is all there is.
func Single() Comm { return &counting{size: 1} }

// Counting is rank of a group of size for plans: it moves nothing and counts what would be sent.
func Counting(rank, size int) Comm { return &counting{rank: rank, size: size} }

type counting struct {
	rank, size int
	sent       int64
}

func (c *counting) Rank() int                    { return c.rank }
func (c *counting) Size() int                    { return c.size }
func (c *counting) Open(string) (Channel, error) { return c, nil }
func (c *counting) Abort(error)                  {}
func (c *counting) Sent() int64                  { return c.sent }
func (c *counting) Close() error                 { return nil }

func (c *counting) Gather(_, part tensor.Tensor, _ device.Event) device.Event {
	c.sent += GatherSends(part.Bytes(), c.size)
	return done{}
}

func (c *counting) ReduceScatter(part, _ tensor.Tensor, wire tensor.DType, _ device.Event) device.Event {
	c.sent += ReduceSends(int64(part.Len()), wire, c.size)
	return done{}
}

func (c *counting) AllReduce(t tensor.Tensor, _ device.Event) device.Event {
	c.sent += AllReduceSends(t.Bytes(), c.size)
	return done{}
}

// done is an event that is reached.
type done struct{}

func (done) Sync() error { return nil }
