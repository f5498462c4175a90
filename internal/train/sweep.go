package train

import (
	"encoding/binary"
	"fmt"
	"math"

	"lomo/internal/comm"
	"lomo/internal/data"
	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/model"
	"lomo/internal/store"
	"lomo/internal/tensor"
)

// Sweep takes the micro-batches of a step through the model, layer by layer (design.md 2.2). It knows neither
// where weights live (store) nor what becomes of a gradient (sink).
type Sweep struct {
	D         device.Device
	Net       *model.Network
	Store     store.Store
	Ropes     model.Ropes
	Act       tensor.DType // of activations: F32, or BF16 with BF16 weights
	Recompute bool         // gradient checkpointing: keep block inputs only

	MicroRows, StepRows int // of the largest micro-batch and step to come, as the memory was planned; 0: unknown

	SpillInputs Place       // activation_offload: where block inputs wait
	Spill       store.Spill // that place; nil on the device, and for a file on the counting device

	Comm   comm.Comm    // to the other ranks
	Reduce comm.Channel // for sums over them; nil on one rank
	Wire   tensor.DType // reduce_dtype: of matrices' gradients on their way

	logits int64 // bytes of a chunk and of a block of logits, where tests take more than one of them; 0: as the memory allows

	onBlock func(b *model.Block, forward bool) // a block, nil for the head, has been gone through
}

// Pass is one step's batch on the device: where its rows are, and what is kept of the forward sweep.
type Pass struct {
	s       *Sweep
	micro   []micro
	rows    int  // of all micro-batches
	maxRows int  // of the largest one
	most    int  // micro-batches of the rank that has the most: this one may have fewer at the end of an epoch
	trained int  // rows with a label
	whole   int  // on all ranks
	idle    bool // this rank has nothing to add to the step: what it computes counts for nothing

	ids     tensor.Tensor // (rows) I32
	labeled tensor.Tensor // (trained) I32: which rows have a label
	targets []byte        // (trained) I32 on the host
	embed   device.Rows   // which table rows the step reads; D is set by the backward sweep

	in   *inputs      // what every block was given: (rows, C)
	acts []model.Acts // without recomputation: every block's
	kept *kept        // of a norm pass
}

// micro is one micro-batch: rows row0 … row0+n−1 of the step.
type micro struct {
	row0, n int
	layout  model.Layout
}

// Load puts this rank's share of a step's micro-batches on the device: with r ranks every r-th one. What it takes lies
// above the caller's mark.
func (s *Sweep) Load(step []data.Batch) (*Pass, error) {
	var mine []data.Batch
	whole := 0
	for i, b := range step {
		for _, t := range b.Targets {
			if t >= 0 {
				whole++
			}
		}
		if i%s.Comm.Size() == s.Comm.Rank() {
			mine = append(mine, b)
		}
	}
	p, err := s.load(mine, step[0], whole)
	if err == nil {
		p.most = (len(step) + s.Comm.Size() - 1) / s.Comm.Size()
	}
	return p, err
}

// load puts micro-batches on the device; whole is the tokens of the step that are predicted on all ranks, 0 when none is
// trained on. A rank without one still takes part in what ranks do together: idle stands in for its batch, and counts for nothing.
func (s *Sweep) load(batches []data.Batch, idle data.Batch, whole int) (*Pass, error) {
	p := &Pass{s: s, whole: whole}
	if len(batches) == 0 {
		batches, p.idle = []data.Batch{idle}, true
	}
	var ids, pos, start, labeled, targets []int32
	for _, b := range batches {
		n := b.B * b.T
		for i, t := range b.Targets {
			if t >= 0 {
				labeled = append(labeled, int32(p.rows+i))
				targets = append(targets, t)
			}
		}
		ids, pos, start = append(ids, b.IDs...), append(pos, s.Net.Cfg.RopeRows(b.T, b.Pos, b.Start)...), append(start, b.Start...)
		p.micro = append(p.micro, micro{row0: p.rows, n: n, layout: model.Layout{B: b.B, T: b.T}})
		p.rows += n
		p.maxRows = max(p.maxRows, n)
	}
	if len(labeled) == 0 && whole > 0 {
		labeled, targets, p.idle = []int32{0}, []int32{0}, true
	}
	p.trained, p.targets, p.most = len(labeled), bytesOf(targets), len(p.micro)
	var posT, startT tensor.Tensor
	type list = struct {
		t    *tensor.Tensor
		name string
		v    []int32
	}
	lists := []list{{&p.ids, "ids", ids}, {&posT, "positions", pos}, {&startT, "document starts", start}, {&p.labeled, "labeled rows", labeled}}
	sizes := s.Net.Cfg.WindowSizes()
	windows := make([]tensor.Tensor, len(sizes))
	for i, w := range sizes {
		lists = append(lists, list{&windows[i], fmt.Sprintf("starts of windows of %d", w), p.windowed(start, w)})
	}
	for _, c := range lists {
		if err := s.copyIn(c.t, c.name, c.v); err != nil {
			return nil, err
		}
	}
	for i := range p.micro {
		m := &p.micro[i]
		m.layout.Pos = posT.Slice(m.row0, m.row0+m.n)
		part := func(t tensor.Tensor) tensor.Tensor { return t.Slice(m.row0, m.row0+m.n).View(m.layout.B, m.layout.T) }
		m.layout.Start = part(startT)
		for i, w := range sizes {
			if m.layout.Windows == nil {
				m.layout.Windows = map[int]tensor.Tensor{}
			}
			m.layout.Windows[w] = part(windows[i])
		}
	}
	return p, p.indexRows(ids)
}

// windowed is start as tokens see it through a window.
func (p *Pass) windowed(start []int32, window int) []int32 {
	out := make([]int32, len(start))
	for _, m := range p.micro {
		for i := range m.n {
			out[m.row0+i] = int32(model.WindowStart(i%m.layout.T, int(start[m.row0+i]), window))
		}
	}
	return out
}

func (s *Sweep) copyIn(t *tensor.Tensor, name string, v []int32) (err error) {
	if *t, err = s.D.Scratch("batch", name, tensor.I32, len(v)); err != nil {
		return fmt.Errorf("batch: %w", err)
	}
	s.D.CopyIn(*t, bytesOf(v))
	return nil
}

// indexRows sorts the step's rows by token id, stably, for the embedding's gradient.
func (p *Pass) indexRows(ids []int32) error {
	uniq, offs, index := groupByID(ids, int32(p.s.Net.Cfg.PaddingRow))
	for _, c := range []struct {
		t    *tensor.Tensor
		name string
		v    []int32
	}{{&p.embed.IDs, "embedding rows", uniq}, {&p.embed.Offs, "embedding offsets", offs}, {&p.embed.Index, "embedding index", index}} {
		if err := p.s.copyIn(c.t, c.name, c.v); err != nil {
			return err
		}
	}
	return nil
}

// Close ends what the pass has under way beside the computation, however far it came. The memory it took is the caller's to release afterwards.
func (p *Pass) Close() error {
	if p.in == nil {
		return nil
	}
	return p.in.close()
}

// Trained is the number of tokens the step predicts, on all ranks.
func (p *Pass) Trained() int { return p.whole }

// scale is what every row's gradient is multiplied by: the loss is the mean over the step's tokens on all ranks.
func (p *Pass) scale() float32 {
	if p.idle {
		return 0
	}
	return 1 / float32(p.whole)
}

// Forward takes all micro-batches up through the blocks and keeps what the backward sweep will read: every block's
// input, or without recomputation every block's activations. With keep false (evaluation) nothing is kept but the output.
func (p *Pass) Forward(keep bool) error {
	s := p.s
	var err error
	if p.in, err = p.newInputs(keep); err != nil {
		return err
	}
	p.acts, p.kept = nil, nil
	if keep && !s.Recompute {
		for _, b := range s.Net.Blocks {
			a, err := b.NewActs(s.D, s.Act, p.rows, p.rows)
			if err != nil {
				return err
			}
			p.acts = append(p.acts, a)
		}
	}
	if err := p.embedTokens(); err != nil {
		return err
	}
	for l := range s.Net.Blocks {
		s.D.Memory().SetPhase(fmt.Sprintf("forward, block %d", l))
		if err := p.forwardBlock(l); err != nil {
			return err
		}
		s.passed(s.Net.Blocks[l], true)
	}
	return nil
}

func (p *Pass) embedTokens() error {
	s := p.s
	return s.with([]*grad.Param{s.Net.Embed}, false, func() error {
		s.prefetch(0)
		s.D.Memory().SetPhase("forward, embedding")
		x, err := p.in.open(0)
		if err == nil {
			s.Net.Embedded(s.D, x, p.ids)
		}
		return err
	})
}

// with calls f with the weights of a unit on the device.
func (s *Sweep) with(unit []*grad.Param, dirty bool, f func() error) error {
	return store.With(s.Store, unit, dirty, f)
}

func (p *Pass) forwardBlock(l int) error {
	s, b := p.s, p.s.Net.Blocks[l]
	return s.with(b.Params(), false, func() error {
		s.prefetch(l + 1)
		s.order(b, p.most, l+1, forwardUses)
		out, err := p.in.open(l + 1)
		if err != nil {
			return err
		}
		mark := s.D.Memory().Mark()
		defer s.D.Memory().Release(mark)
		var acts model.Acts
		if p.acts != nil {
			acts = p.acts[l]
		} else if acts, err = b.NewActs(s.D, s.Act, p.maxRows, p.maxRows); err != nil {
			return err
		}
		x := p.in.x[l]
		for _, m := range p.micro {
			row0 := 0
			if p.acts != nil {
				row0 = m.row0
			}
			f := b.Frame(s.D, acts, nil, row0, row0, m.layout, s.Ropes)
			b.Forward(f, x.Slice(m.row0, m.row0+m.n), out.Slice(m.row0, m.row0+m.n))
		}
		p.missed(b, forwardUses(b))
		p.in.done(l)
		return nil
	})
}

func forwardUses(b *model.Block) []*grad.Param { return b.ForwardUses(true) }

// sumLoss is the sum of the rows' losses on all ranks, read from the device.
func (p *Pass) sumLoss(rows tensor.Tensor) (float64, error) {
	s := p.s
	mark := s.D.Memory().Mark()
	defer s.D.Memory().Release(mark)
	sum, err := s.D.Alloc("head", "loss sum", tensor.F64, 1)
	if err != nil {
		return 0, err
	}
	if !p.idle {
		s.D.Sum(sum, rows)
	}
	s.sum(sum)
	var b [8]byte
	s.D.CopyOut(b[:], sum)
	return math.Float64frombits(binary.LittleEndian.Uint64(b[:])), s.D.Sync()
}

// Loss is the cross-entropy of each row with a label, in order, after Forward. It changes nothing.
func (p *Pass) Loss() ([]float32, error) {
	s := p.s
	if p.trained == 0 {
		return nil, nil
	}
	mark := s.D.Memory().Mark()
	defer s.D.Memory().Release(mark)
	s.D.Memory().SetPhase("loss")
	h, err := p.openHead()
	if err != nil {
		return nil, err
	}
	if err := h.Open(); err != nil {
		return nil, err
	}
	raw := make([]byte, h.Loss.Bytes())
	err = s.with([]*grad.Param{s.Net.Norm, s.Net.Head}, false, func() error {
		s.D.GatherRows(h.X, p.in.last(), p.labeled)
		if err := h.Forward(model.HeadPass{}); err != nil {
			return err
		}
		s.D.CopyOut(raw, h.Loss)
		return s.D.Sync()
	})
	return floatsOf(raw), err
}

// openHead takes the head's kept tensors and fills in the targets.
func (p *Pass) openHead() (*model.Head, error) {
	h, err := model.NewHead(p.s.D, p.s.Net, p.trained, p.s.Act)
	if err != nil {
		return nil, err
	}
	h.Most = max(p.trained, p.s.StepRows)
	h.Room, h.Block = p.s.logitsRoom(max(p.maxRows, p.s.MicroRows), h.Most), p.s.logitsBytes()
	p.s.D.CopyIn(h.Targets, p.targets)
	return h, nil
}
