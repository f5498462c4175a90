package train

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"lomo/internal/device"
	"lomo/internal/store"
	"lomo/internal/tensor"
)

// prints are checksums of a model's weights as they are held, one a tensor in the order of the parameter table. Each is the sum over a tensor's rows of
// the CRC-32C that begins with the row's number, so that pieces of any size, and rows of several ranks, add up to the same.
type prints []uint32

// text is 8 digits a tensor, as lomo_state.json has them.
func (p prints) text() string {
	var raw []byte
	for _, v := range p {
		raw = binary.BigEndian.AppendUint32(raw, v)
	}
	return hex.EncodeToString(raw)
}

// printsOf reads what text wrote.
func printsOf(text string) (prints, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw)%4 != 0 {
		return nil, errors.New("weights_at_start: want 8 hexadecimal digits a tensor")
	}
	p := make(prints, 0, len(raw)/4)
	for ; len(raw) > 0; raw = raw[4:] {
		p = append(p, binary.BigEndian.Uint32(raw))
	}
	return p, nil
}

// printer takes the checksums of weights on their way from or to a checkpoint.
type printer struct {
	sums  prints
	index map[string]int
	in    store.Reader
}

// newPrinter counts what this rank reads and writes, of what all ranks hold alike only rank 0's.
func (t *Trainer) newPrinter() *printer {
	p := &printer{sums: make(prints, len(t.net.Params())), index: map[string]int{}}
	for i, param := range t.net.Params() {
		if param.Matrix() || t.sweep.Comm.Rank() == 0 {
			p.index[param.Name] = i
		}
	}
	return p
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// add counts some rows.
func (p *printer) add(name string, r0, rows int, data []byte) {
	i, counted := p.index[name]
	if !counted || rows <= 0 {
		return
	}
	size := len(data) / rows
	for r := range rows {
		p.sums[i] += crc32.Update(uint32(r0+r), castagnoli, data[r*size:(r+1)*size])
	}
}

// ReadRows reads and counts.
func (p *printer) ReadRows(name string, r0, r1 int, dst []byte, dt tensor.DType) error {
	err := p.in.ReadRows(name, r0, r1, dst, dt)
	if err == nil {
		p.add(name, r0, r1-r0, dst)
	}
	return err
}

// total is the checksums of the whole model, the sum over all ranks. Sums of numbers below 2³² are exact in float64.
func (t *Trainer) total(p prints) (prints, error) {
	all := make([]float64, len(p))
	for i, v := range p {
		all[i] = float64(v)
	}
	if err := t.sweep.AddUp(all); err != nil {
		return nil, err
	}
	out := make(prints, len(p))
	for i, v := range all {
		out[i] = uint32(uint64(v))
	}
	return out, nil
}

// saveWeights writes all weights and compares them with those the run began with. At the end of a run of which none has changed it is an error, and
// what was written gets no name.
func (t *Trainer) saveWeights(w store.Writer) error {
	p := t.newPrinter()
	rows := map[string]int{}
	for _, param := range t.net.Params() {
		rows[param.Name] = param.Len() / param.Shape[0] * t.o.DType.Size()
	}
	if err := t.store.Save(writeFunc(func(name string, r0 int, data []byte) error {
		p.add(name, r0, len(data)/max(1, rows[name]), data)
		return w.WriteRows(name, r0, data)
	})); err != nil {
		return err
	}
	begun, err := printsOf(t.state.Begun)
	if err != nil || len(begun) != len(p.sums) || t.state.Updates == 0 && t.state.Step < t.state.Total {
		return err
	}
	now, err := t.total(p.sums)
	if err != nil {
		return err
	}
	same, first := 0, ""
	experts, idle := 0, 0 // matrices of experts, and those of them that are the same
	for i, v := range now {
		p := t.net.Params()[i]
		if p.Expert {
			experts++
		}
		if v != begun[i] {
			continue
		}
		if same++; p.Expert {
			idle++
		} else if first == "" {
			first = p.Name
		}
	}
	all := len(now)
	last, unchanged := t.state.Step == t.state.Total, same == all
	same, all = same-idle, all-experts // experts may wait for their tokens: what is said of the others is not about them
	switch {
	case unchanged && last:
		return &UnchangedError{Tensors: len(now), Steps: t.state.Step, o: t.o}
	case t.o.Note == nil || t.compared == t.state.Step:
	case unchanged:
		t.o.Note("lomo: warning: after %d steps every weight is as the run began with it; %s", t.state.Step, unchangedAdvice(t.o))
	case !last:
	case 2*same >= all:
		t.o.Note("lomo: warning: %s as at the start of the run, the first: %s; %s", sameTensors(same, all), first, unchangedAdvice(t.o))
	case same > 0:
		t.o.Note("%s as at the start of the run, the first: %s", sameTensors(same, all), first)
	}
	if idle > 0 && !unchanged && last && t.o.Note != nil && t.compared != t.state.Step {
		t.o.Note("%d of %d matrices of experts are bit for bit as at the start of the run: no token came to them, or too little to move them", idle, experts)
	}
	t.compared = t.state.Step
	return nil
}

// sameTensors says how many tensors have not changed.
func sameTensors(same, of int) string {
	if same == 1 {
		return fmt.Sprintf("1 of %d tensors is bit for bit", of)
	}
	return fmt.Sprintf("%d of %d tensors are bit for bit", same, of)
}

// noteMoved says of the last evaluation that it is no better than the one before the first step.
func (t *Trainer) noteMoved(last EvalMetrics) {
	before := t.state.EvalAtStart
	if before == nil || t.o.Note == nil || t.state.Updates == 0 {
		return
	}
	switch was, is := *before, last.Loss; {
	case math.Abs(is-was) <= 1e-4*was:
		t.o.Note("lomo: warning: the held-out loss has not moved: %.4f before the first step, %.4f now; %s", was, is, unchangedAdvice(t.o))
	case is > was:
		t.o.Note("lomo: warning: the held-out loss rose from %.4f before the first step to %.4f: the model is worse at that data than it was; try a lower learning_rate, which is %v, or fewer epochs", was, is, t.o.LearningRate)
	}
}

type writeFunc func(name string, r0 int, data []byte) error

func (f writeFunc) WriteRows(name string, r0 int, data []byte) error { return f(name, r0, data) }

// UnchangedError ends a run whose steps have not changed a bit of any weight.
type UnchangedError struct {
	Tensors, Steps int
	o              Options
}

func (e *UnchangedError) Error() string {
	steps := fmt.Sprintf("%d steps", e.Steps)
	if e.Steps == 1 {
		steps = "1 step"
	}
	return fmt.Sprintf("nothing was learned: after %s all %d tensors are bit for bit those that the run began with; no trained model was written", steps, e.Tensors)
}

// Hint says why updates may vanish.
func (e *UnchangedError) Hint() string { return unchangedAdvice(e.o) }

func unchangedAdvice(o Options) string {
	advice := fmt.Sprintf("raise learning_rate, which is %v", o.LearningRate)
	if o.DType == tensor.BF16 && o.Optimizer.Rounding == device.Nearest {
		advice = "rounding: nearest loses updates of a bf16 weight below 1/512 of it: set rounding: stochastic or dtype: f32, or " + advice
	}
	switch {
	case o.MaxGradNorm > 0 && o.MaxGradNorm < 1e-3:
		advice += fmt.Sprintf(", and max_grad_norm, which is %v", o.MaxGradNorm)
	case o.Optimizer.ClipValue > 0 && o.Optimizer.ClipValue < 1e-3:
		advice += fmt.Sprintf(", and clip_value, which is %v", o.Optimizer.ClipValue)
	}
	return advice
}
