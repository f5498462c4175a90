package train

import (
	"iter"
	"sync/atomic"

	"lomo/internal/data"
	"lomo/internal/grad"
	"lomo/internal/model"
	"lomo/internal/store"
	"lomo/internal/tensor"
)

// Task is what a run is busy with between the lines that it reports.
type Task uint8

const (
	Waiting    Task = iota // nothing that takes long: the task before is over
	Opening                // the model's headers and its tokenizer
	Encoding               // data, in samples; the number of them is not known
	Planning               // steps and memory
	Loading                // weights, in bytes
	Stepping               // one step, in parts that take about equally long
	Evaluating             // the held-out data, in batches
	Answering              // prompts before the first step and after the last, counted
	Saving                 // a checkpoint, in bytes
	Writing                // the trained model, in bytes
)

// Activity is a task and how far it is.
type Activity struct {
	Task     Task
	Step     int   // steps that are finished
	Done, Of int64 // Of 0: how much it is in all is not known
}

// doing tells what the run is busy with. Ranks beside the first have no callback.
func (t *Trainer) doing(task Task, done, of int64) {
	if t.o.OnDoing != nil {
		t.o.OnDoing(Activity{Task: task, Step: t.state.Step, Done: done, Of: of})
	}
}

// watchStep lets the sweep tell how far a step is. Work is counted in weights: a forward pass takes one unit each, a backward pass two, and one more
// where it computes the block again. Only a host finishes what it is given before the next call; a card's queue says nothing of its progress.
func (t *Trainer) watchStep() (end func()) {
	s := t.sweep
	if _, host := t.d.(interface{ Trim() }); !host || t.o.OnDoing == nil {
		return func() {}
	}
	back := int64(2)
	if s.Recompute {
		back++
	}
	var all, done int64
	for _, b := range t.net.Blocks {
		all += weightsIn(b)
	}
	head, table := 3*sizeOf(t.net.Head), int64(0)
	if t.net.Tied() { // its gradient and its update come at the end of the sweep; measured, they take twice the head's own pass and more
		head, table = 2*sizeOf(t.net.Head), 5*sizeOf(t.net.Head)
	}
	of := all*(1+back) + head + table
	if t.clip != nil && !t.clip.Lagged { // the norm pass
		of += all*back + head + table/2
	}
	s.onBlock = func(b *model.Block, forward bool) {
		switch {
		case b == nil:
			done += head
		case forward:
			done += weightsIn(b)
		default:
			done += weightsIn(b) * back
		}
		t.doing(Stepping, min(done, of), of)
	}
	return func() { s.onBlock = nil }
}

func weightsIn(b *model.Block) (n int64) {
	for _, p := range b.Params() {
		n += sizeOf(p)
	}
	return n
}

func sizeOf(p *grad.Param) int64 {
	n := int64(1)
	for _, d := range p.Shape {
		n *= int64(d)
	}
	return n
}

// passed tells that a block, or with nil the head, has been gone through.
func (s *Sweep) passed(b *model.Block, forward bool) {
	if s.onBlock != nil {
		s.onBlock(b, forward)
	}
}

// watched tells which batch of an evaluation is taken. Before the first step there is nothing to keep, so there the evaluation ends when the run is to stop.
func (t *Trainer) watched(in Inputs) iter.Seq[data.Batch] {
	return func(yield func(data.Batch) bool) {
		n := int64(0)
		for b := range in.Eval {
			if t.state.Step == 0 && t.asked() {
				return
			}
			t.doing(Evaluating, n, int64(in.EvalBatches))
			n++
			if !yield(b) {
				return
			}
		}
	}
}

// watchedReader is src, telling how much is read. It fails when the run is to stop, which has nothing to keep yet.
func (t *Trainer) watchedReader(src store.Reader) store.Reader {
	of := t.net.NumParams() * int64(t.o.DType.Size()) / int64(t.sweep.Comm.Size())
	t.doing(Loading, 0, of)
	return &watchedReader{src, t, of, atomic.Int64{}}
}

type watchedReader struct {
	store.Reader
	t    *Trainer
	of   int64
	done atomic.Int64
}

func (r *watchedReader) ReadRows(name string, r0, r1 int, dst []byte, dt tensor.DType) error {
	if r.t.asked() {
		return ErrInterrupted
	}
	err := r.Reader.ReadRows(name, r0, r1, dst, dt)
	if err == nil {
		r.t.doing(Loading, min(r.done.Add(int64(len(dst))), r.of), r.of)
	}
	return err
}

// writing is how far a checkpoint or the trained model is.
type writing struct {
	task Task
	done atomic.Int64
	of   int64 // bytes that this rank will write
}

// beginWriting starts to count what is written: weights, and of a checkpoint the optimizer's tensors too.
func (t *Trainer) beginWriting(task Task) {
	w := &t.write
	w.task, w.of = task, t.net.NumParams()*int64(t.o.DType.Size())
	if task == Saving {
		for _, s := range t.opt.State() {
			n := int64(s.T.DType.Size())
			for _, d := range s.Shape {
				n *= int64(d)
			}
			w.of += n
		}
	}
	w.of /= int64(t.sweep.Comm.Size())
	w.done.Store(0)
	t.doing(task, 0, w.of)
}

// watchedWriter is dst, telling how much is written.
func (t *Trainer) watchedWriter(dst store.Writer) store.Writer { return &watchedWriter{dst, t} }

type watchedWriter struct {
	store.Writer
	t *Trainer
}

func (w *watchedWriter) WriteRows(name string, r0 int, data []byte) error {
	err := w.Writer.WriteRows(name, r0, data)
	if err == nil {
		s := &w.t.write
		w.t.doing(s.task, min(s.done.Add(int64(len(data))), s.of), s.of)
	}
	return err
}
