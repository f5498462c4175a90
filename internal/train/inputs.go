package train

import (
	"errors"
	"fmt"

	"lomo/internal/store"
	"lomo/internal/tensor"
)

// inputs is what every block was given in the forward sweep: block l's input is number l, the last block's output number
// L. They stay on the device, or with a spill three buffers are used in turn and the last output keeps its own.
type inputs struct {
	x     []tensor.Tensor // by number, where it lies on the device
	spill store.Spill     // nil: all stay, or the counting device
	turns bool            // buffers are used in turn
	wait  [3]func() error // of each buffer's transfer
	held  [3]int          // which input each buffer holds or is being given
}

// newInputs takes the memory. With keep false only two buffers are used and nothing can be gone back to.
func (p *Pass) newInputs(keep bool) (*inputs, error) {
	s, n := p.s, len(p.s.Net.Blocks)
	in := &inputs{x: make([]tensor.Tensor, n+1), turns: keep && s.SpillInputs != OnDevice}
	if in.turns {
		in.spill = s.Spill
	}
	own := n + 1 // how many have a buffer of their own
	switch {
	case in.turns:
		own = len(in.wait)
	case !keep:
		own = 2
	}
	take := func(l int) (tensor.Tensor, error) {
		return s.D.Scratch("block inputs", fmt.Sprintf("block input %d", l), s.Act, p.rows, s.Net.Cfg.HiddenSize)
	}
	var err error
	for l := range in.x {
		if l < own || in.turns && l == n {
			in.x[l], err = take(l)
		} else {
			in.x[l] = in.x[l-own]
		}
		if err != nil {
			return nil, err
		}
	}
	for b := range in.held {
		in.held[b] = -1
	}
	return in, nil
}

// last is the output of the last block.
func (in *inputs) last() tensor.Tensor { return in.x[len(in.x)-1] }

// buffer is the number of the buffer that input l takes its turn in; −1 when it has one of its own.
func (in *inputs) buffer(l int) int {
	if in.spill == nil || l == len(in.x)-1 {
		return -1
	}
	return l % len(in.wait)
}

// finish waits for the transfer that a buffer is in.
func (in *inputs) finish(b int) error {
	wait := in.wait[b]
	in.wait[b] = nil
	if wait == nil {
		return nil
	}
	return wait()
}

// open makes input l ready to be written by the forward sweep.
func (in *inputs) open(l int) (tensor.Tensor, error) {
	if b := in.buffer(l); b >= 0 {
		if err := in.finish(b); err != nil {
			return tensor.Tensor{}, err
		}
		in.held[b] = l
	}
	return in.x[l], nil
}

// done says that the forward sweep needs input l no more.
func (in *inputs) done(l int) {
	if b := in.buffer(l); b >= 0 {
		in.wait[b] = in.spill.Put(l, in.x[l])
	}
}

// fetch starts to bring input l back; it does nothing when l is here.
func (in *inputs) fetch(l int) error {
	b := in.buffer(l)
	if b < 0 || in.held[b] == l {
		return nil
	}
	if err := in.finish(b); err != nil {
		return err
	}
	in.held[b] = l
	in.wait[b] = in.spill.Get(l, in.x[l])
	return nil
}

// get is input l for the backward sweep, which will want l − 1 next.
func (in *inputs) get(l int) (tensor.Tensor, error) {
	if err := in.fetch(l); err != nil {
		return tensor.Tensor{}, err
	}
	if b := in.buffer(l); b >= 0 {
		if err := in.finish(b); err != nil {
			return tensor.Tensor{}, err
		}
	}
	if l > 0 {
		if err := in.fetch(l - 1); err != nil {
			return tensor.Tensor{}, err
		}
	}
	return in.x[l], nil
}

// close waits for transfers that nobody asked for any more: they write to buffers, or read them, that are about to be someone else's.
func (in *inputs) close() (err error) {
	for b := range in.wait {
		err = errors.Join(err, in.finish(b))
	}
	return err
}
