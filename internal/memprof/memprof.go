// Package memprof tells before a run who will hold how many bytes: it runs one real training step on the counting
// device and adds what lies outside a device's arena.
package memprof

import (
	"fmt"
	"sort"

	"lomo/internal/comm"
	"lomo/internal/data"
	"lomo/internal/memdev"
	"lomo/internal/train"
)

// Profile is the memory of a run at its peak.
type Profile struct {
	Peak   int64            `json:"peak_bytes"` // of the process: what VmHWM of the run should show
	At     string           `json:"at"`         // the phase of the step in which the peak is reached
	Owners map[string]int64 `json:"owners"`     // who holds how many bytes then
	Arena  int64            `json:"-"`          // bytes of the arena, of each rank
	Sent   int64            `json:"-"`          // bytes that each rank sends to others in a step
}

// Host is what a process holds beside a device's arena.
type Host struct {
	Workspace int64 // packing buffers of the kernels, of all ranks
	Runtime   int64 // program, Go heap, tokenizer and data
	Ranks     int   // arenas of the process
}

// Run counts one step of o: Accumulation micro-batches of MicroBatch × SequenceLen tokens, all of them trained on, and
// one evaluation batch of evalRows × evalLen when they are not zero.
func Run(o train.Options, h Host, evalRows, evalLen int) (*Profile, error) {
	d := memdev.Open(0)
	o.OnStep, o.OnEval, o.OnSave, o.Note = nil, nil, nil, nil
	ranks := max(1, h.Ranks)
	c := comm.Counting(0, ranks)
	t, err := train.NewRank(d, c, o)
	if err != nil {
		return nil, err
	}
	if err := t.Load(nil); err != nil {
		return nil, err
	}
	t.Schedule(1)
	var step []data.Batch
	for i := 0; i < o.Accumulation*ranks; i++ {
		step = append(step, full(o.MicroBatch, o.SequenceLen, i, o.Model.VocabSize))
	}
	before := c.Sent()
	if _, err := t.Step(step); err != nil {
		return nil, fmt.Errorf("memory plan: %w", err)
	}
	p := &Profile{Sent: c.Sent() - before}
	if evalRows > 0 && evalLen > 0 {
		d.Memory().SetPhase("evaluation")
		if _, err := t.Sweep().TokenLosses(full(evalRows, evalLen, 0, o.Model.VocabSize)); err != nil {
			return nil, fmt.Errorf("memory plan: %w", err)
		}
	}
	p.Arena, p.At, p.Owners = d.Memory().Peak()
	for owner := range p.Owners {
		p.Owners[owner] *= int64(ranks)
	}
	p.Owners["kernel workspace"] = h.Workspace
	p.Owners["program and Go heap"] = h.Runtime
	p.Peak = p.Arena*int64(ranks) + h.Workspace + h.Runtime
	return p, nil
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
