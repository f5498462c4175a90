package train

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"

	"lomo/internal/comm"
	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/store"
	"lomo/internal/tensor"
)

// across is the sink that gradients go to in a group of ranks: each is summed over the ranks first, and sink gets the
// rows its rank owns. Alone, it is sink itself.
func (s *Sweep) across(sink grad.Sink) grad.Sink {
	if s.Comm.Size() == 1 {
		return sink
	}
	return &summed{sink, s}
}

// summed hands on the sum over ranks. One matrix's gradient is held at a time, whole before the sum and this rank's rows after it.
type summed struct {
	sink grad.Sink
	s    *Sweep
}

// Whole is true: rows are owned of whole tensors.
func (r *summed) Whole() bool { return true }

// Consume sums g over the ranks and lets the sink consume what this rank owns of it.
func (r *summed) Consume(p *grad.Param, g grad.Grad) error {
	d := r.s.D
	return grad.Materialize(d, p, g, func(dense tensor.Tensor) error {
		if err := d.Sync(); err != nil {
			return err
		}
		if !p.Matrix() {
			if err := r.s.Comm.AllReduce(dense); err != nil {
				return err
			}
			return r.sink.Consume(p, grad.FromDense(dense))
		}
		mark := d.Memory().Mark()
		defer d.Memory().Release(mark)
		own := r.s.Store.(*store.Shard).Own(p)
		part, err := d.Scratch("gradient rows", p.Name, tensor.F32, own.W.Shape...)
		if err != nil {
			return err
		}
		if err := r.s.Comm.ReduceScatter(part, dense); err != nil {
			return fmt.Errorf("sum the gradient of %q: %w", p.Name, err)
		}
		return r.sink.Consume(own, grad.FromDense(part))
	})
}

// addUp is the sum of a number over the ranks.
func (s *Sweep) addUp(v float64) (float64, error) {
	if s.Comm.Size() == 1 {
		return v, nil
	}
	mark := s.D.Memory().Mark()
	defer s.D.Memory().Release(mark)
	t, err := s.D.Scratch("batch", "number", tensor.F64, 1)
	if err != nil {
		return 0, err
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], math.Float64bits(v))
	s.D.CopyIn(t, b[:])
	if err := s.Comm.AllReduce(t); err != nil {
		return 0, err
	}
	s.D.CopyOut(b[:], t)
	return math.Float64frombits(binary.LittleEndian.Uint64(b[:])), s.D.Sync()
}

// RunRanks trains on several devices at once, weights and optimizer state spread over them by rows (ZeRO-3). Each rank has an
// Inputs of its own over the same data; rank 0 alone speaks through o's callbacks and writes files. When a rank fails all
// stop, and the error names it.
func RunRanks(ctx context.Context, devices []device.Device, o Options, in []Inputs, resume string) error {
	group := comm.NewLocal(len(devices))
	errs := make([]error, len(devices))
	var wg sync.WaitGroup
	for r, d := range devices {
		mine := o
		if r > 0 {
			mine.OnStep, mine.OnEval, mine.OnSave, mine.OnDone, mine.Note = nil, nil, nil, nil, nil
		}
		wg.Go(func() {
			errs[r] = runRank(ctx, d, group[r], mine, in[r], resume)
			if errs[r] != nil && !errors.Is(errs[r], ErrInterrupted) {
				group[r].Abort(fmt.Errorf("rank %d: %w", r, errs[r]))
			}
		})
	}
	wg.Wait()
	for r, err := range errs {
		if err != nil && !errors.Is(err, comm.ErrAborted) {
			if errors.Is(err, ErrInterrupted) {
				return err
			}
			return fmt.Errorf("rank %d: %w", r, err)
		}
	}
	return errors.Join(errs...)
}

// stop reports whether any rank has been asked to stop, so that all finish the same step.
func (t *Trainer) stop(ctx context.Context) (bool, error) {
	asked := 0.0
	if ctx.Err() != nil {
		asked = 1
	}
	n, err := t.sweep.addUp(asked)
	return n > 0, err
}
