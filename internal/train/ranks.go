package train

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"time"

	"lomo/internal/comm"
	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/model"
	"lomo/internal/store"
	"lomo/internal/tensor"
)

// ranks is the other ranks as an optimizer needs them.
type ranks struct{ s *Sweep }

func (r ranks) Rank() int { return r.s.Comm.Rank() }

func (r ranks) AllReduce(t tensor.Tensor) error {
	r.s.sum(t)
	return nil
}

// streamExperts lets a store that brings experts' matrices one by one know which is read now and next. Other stores have them with their block.
func (s *Sweep) streamExperts() {
	st, ok := s.Store.(store.ByExpert)
	if !ok || s.Net.Cfg.NumExperts == 0 {
		return
	}
	for _, b := range s.Net.Blocks {
		b.Use, b.Soon = st.Use, st.Soon
	}
}

// join opens the sweep's channel to the other ranks.
func (s *Sweep) join(o Options) (err error) {
	if s.Comm.Size() == 1 {
		s.streamExperts()
		return nil
	}
	for _, b := range s.Net.Blocks {
		b.EveryExpert = true
	}
	if s.Wire = o.ReduceDType; s.Wire == tensor.Invalid {
		s.Wire = tensor.F32
	}
	if o.GatherByMatrix {
		for _, b := range s.Net.Blocks {
			b.Use = s.Store.(*store.Shard).Use
		}
	}
	s.Reduce, err = s.Comm.Open("reduce")
	return err
}

// sum makes t the sum over the ranks, in the order of the device's work.
func (s *Sweep) sum(t tensor.Tensor) {
	if s.Comm.Size() > 1 {
		comm.Sum(s.D, s.Reduce, t)
	}
}

// prefetch says that block l comes next; below and above the blocks are the embedding and the head.
func (s *Sweep) prefetch(l int) {
	switch {
	case l < 0: // the embedding is only updated
	case l < len(s.Net.Blocks):
		s.Store.Prefetch(s.Net.Blocks[l].Params())
	default:
		s.Store.Prefetch([]*grad.Param{s.Net.Head})
	}
}

// order tells a store that gathers matrix by matrix what a block will use: uses for each of the micro-batches, and after
// them the first matrix of block next.
func (s *Sweep) order(b *model.Block, micros, next int, uses func(*model.Block) []*grad.Param) {
	shard, ok := s.Store.(*store.Shard)
	if b.Use == nil || !ok {
		return
	}
	var all []*grad.Param
	for range micros {
		all = append(all, uses(b)...)
	}
	if next >= 0 && next < len(s.Net.Blocks) {
		all = append(all, uses(s.Net.Blocks[next])[0])
	}
	shard.Order(all)
}

// missed takes part in what ranks with more micro-batches gather matrix by matrix, and computes nothing with it.
func (p *Pass) missed(b *model.Block, uses []*grad.Param) {
	if _, ok := p.s.Store.(*store.Shard); !ok || b.Use == nil {
		return
	}
	for range p.most - len(p.micro) {
		for _, u := range uses {
			b.Use(u)
		}
	}
}

// addUp is the sum of a number over the ranks.
func (s *Sweep) addUp(v float64) (float64, error) {
	one := []float64{v}
	err := s.AddUp(one)
	return one[0], err
}

// AddUp makes each of a list of numbers its sum over the ranks, which all give as many.
func (s *Sweep) AddUp(v []float64) error {
	if s.Comm.Size() == 1 || len(v) == 0 {
		return nil
	}
	mark := s.D.Memory().Mark()
	defer s.D.Memory().Release(mark)
	t, err := s.D.Scratch("batch", "numbers", tensor.F64, len(v))
	if err != nil {
		return err
	}
	b := make([]byte, 8*len(v))
	for i, x := range v {
		binary.LittleEndian.PutUint64(b[8*i:], math.Float64bits(x))
	}
	s.D.CopyIn(t, b)
	s.sum(t)
	s.D.CopyOut(b, t)
	for i := range v {
		v[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return s.D.Sync()
}

// Join makes s one of several ranks that only read their weights: its store gathers them from all.
func (s *Sweep) Join(c comm.Comm) error {
	s.Comm = c
	return s.join(Options{})
}

// RunRanks trains on several devices at once, weights and optimizer state spread over them by rows (ZeRO-3). group is their
// communicators and is closed at the end. Each rank has an Inputs of its own over the same data; rank 0 alone speaks through
// o's callbacks. When a rank fails all stop, and the error names it.
func RunRanks(ctx context.Context, devices []device.Device, group []comm.Comm, o Options, in []Inputs, resume string) error {
	return OnRanks(group, func(r int) error {
		mine := o
		if r > 0 {
			mine.OnStep, mine.OnEval, mine.OnSave, mine.OnDone, mine.Note, mine.OnDoing = nil, nil, nil, nil, nil, nil
		}
		if o.OnRank == nil {
			return runRank(ctx, devices[r], group[r], mine, in[r], resume)
		}
		ended, err := o.OnRank(r, devices[r].Name(), &mine)
		if err != nil {
			return err
		}
		return ended(guarded(func() error { return runRank(ctx, devices[r], group[r], mine, in[r], resume) }))
	}, comm.Comm.Close)
}

// OnRanks runs f for every rank of a group at once and then each rank's ends (its communicator's Close, where nothing follows). When a rank
// fails the others' calls fail too, and the error is the one of the rank that failed. A rank that does not notice, because the device it waits
// for never answers, is left behind: then the error is an *AbandonedError.
func OnRanks(group []comm.Comm, f func(rank int) error, ends ...func(comm.Comm) error) error {
	type end struct {
		rank int
		err  error
	}
	ended := make(chan end, len(group))
	for r, c := range group {
		go func() {
			err := guarded(func() error { return f(r) })
			if err != nil && !errors.Is(err, ErrInterrupted) {
				c.Abort(fmt.Errorf("rank %d: %w", r, err))
			}
			for _, last := range ends {
				err = errors.Join(err, guarded(func() error { return last(c) }))
			}
			ended <- end{r, err}
		}()
	}
	errs := make([]error, len(group))
	var late <-chan time.Time
	for range group {
		select {
		case e := <-ended:
			if errs[e.rank] = e.err; e.err != nil && !errors.Is(e.err, ErrInterrupted) && late == nil {
				late = time.After(patience)
			}
		case <-late:
			return &AbandonedError{firstFault(errs)}
		}
	}
	return firstFault(errs)
}

// patience is how long ranks may take to stop after one has failed.
var patience = 30 * time.Second

// AbandonedError is a rank's failure after which others did not stop in time. They still use their devices, which must not be closed: the
// process ends with them.
type AbandonedError struct{ error }

func (e *AbandonedError) Unwrap() error { return e.error }

// guarded turns a panic into an error, so that one rank's does not leave the others waiting.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

// deviceError is an error that may say that a device itself has failed.
type deviceError interface {
	error
	DeviceFailed() bool
}

// firstFault is the error of the rank that failed; the others' say only that one has. A device that failed comes first: what other ranks
// read from it may have failed them too, and earlier.
func firstFault(errs []error) error {
	for r, err := range errs {
		if e := deviceError(nil); errors.As(err, &e) && e.DeviceFailed() {
			return fmt.Errorf("rank %d: %w", r, e)
		}
	}
	for r, err := range errs {
		if err != nil && !errors.Is(err, comm.ErrAborted) {
			if errors.Is(err, ErrInterrupted) {
				return err
			}
			return fmt.Errorf("rank %d: %w", r, err)
		}
	}
	for _, err := range errs {
		if err != nil {
			return err // a channel failed: it has named its rank
		}
	}
	return nil
}

// Stop reports whether any rank has been asked to stop, so that all finish the same step. A run asks after each.
func (t *Trainer) Stop(ctx context.Context) (bool, error) {
	asked := 0.0
	if ctx.Err() != nil {
		asked = 1
	}
	n, err := t.sweep.addUp(asked)
	return n > 0, err
}
