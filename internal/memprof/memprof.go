// Package memprof tells before a run who will hold how many bytes, and for cards how long a step will take: it runs one real
// training step on the counting device and adds what lies outside a device's arena.
package memprof

import (
	"context"
	"fmt"
	"sort"

	"lomo/internal/comm"
	"lomo/internal/data"
	"lomo/internal/memdev"
	"lomo/internal/train"
)

// Profile is the memory of a run at its peak.
type Profile struct {
	Peak   int64            `json:"peak_bytes"`             // of the process: what VmHWM of the run should show; on cards of one card
	At     string           `json:"at"`                     // the phase of the step in which the peak is reached
	Owners map[string]int64 `json:"owners"`                 // who holds how many bytes then
	Pinned int64            `json:"pinned_bytes,omitempty"` // cards: host memory of a rank that copies come from and go to
	Steps  []StepTime       `json:"step_times,omitempty"`   // cards: predictions, one for each rate of the links

	State  int64          `json:"-"` // bytes of the optimizer's state, of all ranks
	Arena  int64          `json:"-"` // bytes of the arena, of each rank
	Work   []*memdev.Work `json:"-"` // of one rank in a step, a phase each
	Tokens int            `json:"-"` // of one rank in a step
	Sent   int64          `json:"-"` // bytes that each rank sends to others in a step
}

// Machine is where the ranks run.
type Machine struct {
	Ranks  int
	Cards  bool             // each rank has a card: bytes are counted by card, else of the process with all ranks
	Beside map[string]int64 // what lies beside the arenas, of the process or of each card, by owner

	// Workspace is what the kernels of one rank take beside its arena, where the factors of a product have at most so many bytes; nil: nothing
	// that Beside does not count.
	Workspace func(factors int64) int64
}

// Run counts one step of o: Accumulation micro-batches of MicroBatch × SequenceLen tokens, all of them trained on, and
// one evaluation batch of evalRows × evalLen when they are not zero.
func Run(o train.Options, m Machine, evalRows, evalLen int) (*Profile, error) {
	d := memdev.Open(0)
	p := &Profile{}
	if err := p.count(d, o, max(1, m.Ranks), evalRows, evalLen); err != nil {
		return nil, err
	}
	p.Arena, p.At, p.Owners = d.Memory().Peak()
	p.State = d.Memory().OwnerPeak("optimizer") * int64(max(1, m.Ranks))
	pinned, _, pinnedOwners := d.PinnedMemory().Peak()
	arenas := int64(max(1, m.Ranks))
	if m.Cards {
		arenas, p.Pinned = 1, pinned
	} else { // host memory is the process's own
		for owner, n := range pinnedOwners {
			p.Owners[owner+" beside the device"] = n
		}
	}
	for owner, n := range p.Owners {
		p.Owners[owner] = n * arenas
	}
	for owner, n := range m.Beside {
		p.Owners[owner] = n
	}
	if m.Workspace != nil {
		p.Owners["kernel workspace"] = arenas * m.Workspace(d.Factors())
	}
	for _, n := range p.Owners {
		p.Peak += n
	}
	return p, nil
}

// count makes the step and the evaluation on d.
func (p *Profile) count(d *memdev.Device, o train.Options, ranks, evalRows, evalLen int) error {
	c := &counted{Comm: comm.Counting(0, ranks), d: d}
	t, err := counting(d, c, o)
	if err != nil {
		return err
	}
	step := FullStep(o, ranks)
	d.TakeWork()
	before := c.Sent()
	if _, err := t.Step(step); err != nil {
		return fmt.Errorf("memory plan: %w", err)
	}
	if _, err := t.Stop(context.Background()); err != nil {
		return fmt.Errorf("memory plan: %w", err)
	}
	p.Work, p.Tokens, p.Sent = d.TakeWork(), o.Accumulation*o.MicroBatch*o.SequenceLen, c.Sent()-before
	if evalRows > 0 && evalLen > 0 {
		d.Memory().SetPhase("evaluation")
		if _, err := t.Sweep().TokenLosses(full(evalRows, evalLen, 0, o.Model.VocabSize)); err != nil {
			return fmt.Errorf("memory plan: %w", err)
		}
	}
	return nil
}

// counting is a trainer on the counting device.
func counting(d *memdev.Device, c comm.Comm, o train.Options) (*train.Trainer, error) {
	o.OnStep, o.OnEval, o.OnSave, o.Note = nil, nil, nil, nil
	o.WorkingCopy, o.SpillFile = "", ""
	t, err := train.NewRank(d, c, o)
	if err != nil {
		return nil, err
	}
	if err := t.Load(nil); err != nil {
		return nil, err
	}
	t.Schedule(1)
	return t, nil
}

// FullStep is the micro-batches of a step of o on so many ranks in which every sequence is as long as it may be and every token is learned.
func FullStep(o train.Options, ranks int) (step []data.Batch) {
	// Numbered within a rank, so that no two of its tokens are the same. When the vocabulary has been through, what follows asks for no other rows: it is
	// the last one again, and no step takes more memory here than the vocabulary's ids.
	all := o.Model.VocabSize/max(1, o.MicroBatch*o.SequenceLen) + 1
	for i := 0; i < o.Accumulation*ranks; i++ {
		if i/ranks > all || i%ranks > 0 {
			step = append(step, step[len(step)-1])
			continue
		}
		step = append(step, full(o.MicroBatch, o.SequenceLen, i/ranks, o.Model.VocabSize))
	}
	return step
}

// full is the micro-batch of a step with the given number, in which every token has a label and an id that no other token
// of the step has, as far as the vocabulary goes.
func full(b, t, number, vocab int) data.Batch {
	n := b * t
	x := data.Batch{B: b, T: t, IDs: make([]int32, n), Targets: make([]int32, n), Pos: make([]int32, n), Start: make([]int32, n), Tokens: n}
	for i := range x.IDs {
		x.IDs[i] = int32((number*n + i) % vocab)
		x.Pos[i] = int32(i % t)
		if i%t == t-1 {
			x.Targets[i] = -100
		} else {
			x.Trained++
		}
	}
	return x
}

// Rows is Owners as a list, the largest first.
func (p *Profile) Rows() []Row {
	var out []Row
	for o, b := range p.Owners {
		out = append(out, Row{o, b})
	}
	sort.Slice(out, func(i, j int) bool {
		return out[i].Bytes > out[j].Bytes || out[i].Bytes == out[j].Bytes && out[i].Owner < out[j].Owner
	})
	return out
}

// Row is one owner's bytes.
type Row struct {
	Owner string
	Bytes int64
}

// Calls is what the operations of a step over batches are asked, of one of ranks that share them, and those of an evaluation batch of its own. It computes nothing.
func Calls(o train.Options, ranks int, step []data.Batch, eval ...data.Batch) (steps, evals map[memdev.Call]float64, err error) {
	d := memdev.Open(0)
	t, err := counting(d, comm.Counting(0, max(1, ranks)), o)
	if err != nil {
		return nil, nil, err
	}
	d.TakeCalls()
	if _, err := t.Step(step); err != nil {
		return nil, nil, err
	}
	if _, err := t.Stop(context.Background()); err != nil {
		return nil, nil, err
	}
	steps = d.TakeCalls()
	for _, b := range eval {
		if _, err := t.Sweep().TokenLosses(b); err != nil {
			return nil, nil, err
		}
	}
	return steps, d.TakeCalls(), nil
}
