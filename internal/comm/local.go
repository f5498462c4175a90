package comm

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"

	"lomo/internal/tensor"
)

// piece bounds one message, so that what is under way stays small whatever the tensors are.
const piece = 256 << 10

// group is the ranks of one process. They share nothing but messages: every byte another rank sees is a copy.
type group struct {
	mail    [][]chan []byte // mail[from][to]
	aborted chan struct{}
	once    sync.Once
	err     error
}

// local is one rank of a group.
type local struct {
	*group
	rank int
	sent int64
}

// NewLocal makes a group of ranks within this process.
func NewLocal(size int) []Comm {
	g := &group{aborted: make(chan struct{}), mail: make([][]chan []byte, size)}
	out := make([]Comm, size)
	for from := range g.mail {
		g.mail[from] = make([]chan []byte, size)
		for to := range g.mail[from] {
			g.mail[from][to] = make(chan []byte, 1) // a message a pair: the next waits until this one is read
		}
		out[from] = &local{group: g, rank: from}
	}
	return out
}

func (l *local) Rank() int   { return l.rank }
func (l *local) Size() int   { return len(l.mail) }
func (l *local) Sent() int64 { return l.sent }

// Abort fails the group.
func (l *local) Abort(err error) {
	l.once.Do(func() {
		l.err = err
		close(l.aborted)
	})
}

func (l *local) fail() error { return fmt.Errorf("%w: %w", ErrAborted, l.err) }

func (l *local) send(to int, b []byte) error {
	select {
	case <-l.aborted:
		return l.fail()
	case l.mail[l.rank][to] <- append([]byte(nil), b...):
		l.sent += int64(len(b))
		return nil
	}
}

func (l *local) receive(from int) ([]byte, error) {
	select {
	case <-l.aborted:
		return nil, l.fail()
	case b := <-l.mail[from][l.rank]:
		return b, nil
	}
}

// exchange sends out(to) to every rank and hands what comes to take, rank by rank, in pieces; in(from) is how many bytes
// a rank sends. A rank's bytes to itself are taken in their turn without being sent.
func (l *local) exchange(out func(to int) []byte, in func(from int) int, take func(from, offset int, b []byte)) error {
	most := 0
	for r := range l.mail {
		most = max(most, len(out(r)), in(r))
	}
	for offset := 0; offset < most; offset += piece {
		for to := range l.mail {
			if b := out(to); to != l.rank && offset < len(b) {
				if err := l.send(to, b[offset:min(offset+piece, len(b))]); err != nil {
					return err
				}
			}
		}
		for from := range l.mail {
			if offset >= in(from) {
				continue
			}
			b := out(l.rank)
			if from == l.rank {
				b = b[offset:min(offset+piece, len(b))]
			} else {
				var err error
				if b, err = l.receive(from); err != nil {
					return err
				}
			}
			take(from, offset, b)
		}
	}
	return nil
}

// rowBytes is the slice of t that rank owns.
func (l *local) rowBytes(t tensor.Tensor, rank int) (lo, hi int) {
	n := t.Shape[0]
	r0, r1 := Rows(n, l.Size(), rank)
	each := int(t.Bytes()) / max(n, 1)
	return r0 * each, r1 * each
}

func (l *local) Gather(full, part tensor.Tensor) error {
	size := func(from int) int { lo, hi := l.rowBytes(full, from); return hi - lo }
	if int(part.Bytes()) != size(l.rank) {
		panic(fmt.Sprintf("comm: Gather: part %v of %v, rank %d of %d", part, full, l.rank, l.Size()))
	}
	return l.exchange(func(int) []byte { return part.Host }, size, func(from, offset int, b []byte) {
		lo, _ := l.rowBytes(full, from)
		copy(full.Host[lo+offset:], b)
	})
}

func (l *local) ReduceScatter(part, full tensor.Tensor) error {
	out := func(to int) []byte { lo, hi := l.rowBytes(full, to); return full.Host[lo:hi] }
	sum := part.F32s()
	return l.exchange(out, func(int) int { return int(part.Bytes()) }, func(from, offset int, b []byte) {
		addF32(sum[offset/4:], b, from == 0)
	})
}

func (l *local) AllReduce(t tensor.Tensor) error {
	own := append([]byte(nil), t.Host...)
	return l.exchange(func(int) []byte { return own }, func(int) int { return len(own) }, func(from, offset int, b []byte) {
		if t.DType == tensor.F64 {
			addF64(t.F64s()[offset/8:], b, from == 0)
		} else {
			addF32(t.F32s()[offset/4:], b, from == 0)
		}
	})
}

// addF32 adds the elements in b to sum, or with first puts them there.
func addF32(sum []float32, b []byte, first bool) {
	for i := 0; i < len(b)/4; i++ {
		v := math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		if !first {
			v += sum[i]
		}
		sum[i] = v
	}
}

func addF64(sum []float64, b []byte, first bool) {
	for i := 0; i < len(b)/8; i++ {
		v := math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
		if !first {
			v += sum[i]
		}
		sum[i] = v
	}
}
