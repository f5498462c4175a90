// Package infer continues a text with a model: a cache of keys and values, and the choice of the next token.
package infer

import (
	"encoding/binary"
	"fmt"
	"math"

	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/model"
	"lomo/internal/store"
	"lomo/internal/tensor"
)

// prefillRows bounds the tokens taken through the model at once, and with them the scratch of a session.
const prefillRows = 256

// Session is one sequence in progress: the keys and values of every block so far.
type Session struct {
	d     device.Device
	net   *model.Network
	store store.Store
	rope  *model.Rope
	k, v  []tensor.Tensor // per block (max, Hkv·Hd)
	n     int             // tokens seen
	max   int

	x, y   tensor.Tensor // (rows, C): a block's input and output
	acts   *model.Acts
	pos    tensor.Tensor // (rows) I32
	start  tensor.Tensor // (rows) I32, zero: one document
	ids    tensor.Tensor // (rows) I32
	normed tensor.Tensor // (1, C)
	rstd   tensor.Tensor // (1) F32
	logits tensor.Tensor // (1, V) F32
}

// NewSession takes the memory for sequences of at most max tokens; act is the dtype of activations.
func NewSession(d device.Device, net *model.Network, st store.Store, max int, act tensor.DType) (*Session, error) {
	s := &Session{d: d, net: net, store: st, max: max, acts: &model.Acts{}}
	c := net.Cfg
	var err error
	if s.rope, err = model.NewRope(d, c, max); err != nil {
		return nil, err
	}
	s.k, s.v = make([]tensor.Tensor, c.NumHiddenLayers), make([]tensor.Tensor, c.NumHiddenLayers)
	for l := range s.k {
		if s.k[l], err = d.Scratch("key-value cache", fmt.Sprintf("k %d", l), act, max, c.KVSize()); err != nil {
			return nil, err
		}
		if s.v[l], err = d.Scratch("key-value cache", fmt.Sprintf("v %d", l), act, max, c.KVSize()); err != nil {
			return nil, err
		}
	}
	return s, s.scratch(min(max, prefillRows), act)
}

func (s *Session) scratch(rows int, act tensor.DType) error {
	c, a := s.net.Cfg, s.acts
	C, F, q, kv := c.HiddenSize, c.IntermediateSize, c.QSize(), c.KVSize()
	for _, e := range []struct {
		t     *tensor.Tensor
		dt    tensor.DType
		shape []int
	}{
		{&s.x, act, []int{rows, C}}, {&s.y, act, []int{rows, C}},
		{&s.pos, tensor.I32, []int{rows}}, {&s.start, tensor.I32, []int{rows}}, {&s.ids, tensor.I32, []int{rows}},
		{&s.normed, act, []int{1, C}}, {&s.rstd, tensor.F32, []int{1}}, {&s.logits, tensor.F32, []int{1, c.VocabSize}},
		{&a.N1, act, []int{rows, C}}, {&a.Rstd1, tensor.F32, []int{rows}}, {&a.Q, act, []int{rows, q}}, {&a.K, act, []int{rows, kv}},
		{&a.V, act, []int{rows, kv}}, {&a.Att, act, []int{rows, q}}, {&a.LSE, tensor.F32, []int{rows, c.NumAttentionHeads}},
		{&a.H, act, []int{rows, C}}, {&a.N2, act, []int{rows, C}}, {&a.Rstd2, tensor.F32, []int{rows}},
		{&a.Gate, act, []int{rows, F}}, {&a.Up, act, []int{rows, F}}, {&a.Hidden, act, []int{rows, F}},
	} {
		var err error
		if *e.t, err = s.d.Alloc("activations", "session", e.dt, e.shape...); err != nil {
			return err
		}
	}
	return nil
}

// Len is the number of tokens seen; Max the most the session holds.
func (s *Session) Len() int { return s.n }
func (s *Session) Max() int { return s.max }

// Append takes ids through the model and returns the logits that follow the last of them, valid until the next call.
func (s *Session) Append(ids []int32) ([]float32, error) {
	if len(ids) == 0 {
		return nil, fmt.Errorf("append: no tokens")
	}
	if s.n+len(ids) > s.max {
		return nil, fmt.Errorf("append: %d tokens after %d, the session holds %d", len(ids), s.n, s.max)
	}
	rows := s.x.Shape[0]
	for len(ids) > rows {
		if _, err := s.chunk(ids[:rows], false); err != nil {
			return nil, err
		}
		ids = ids[rows:]
	}
	return s.chunk(ids, true)
}

// chunk takes a few tokens through all blocks.
func (s *Session) chunk(ids []int32, logits bool) ([]float32, error) {
	d, n := s.d, len(ids)
	raw, at := make([]byte, 4*n), make([]byte, 4*n)
	for i, id := range ids {
		if id < 0 || int(id) >= s.net.Cfg.VocabSize {
			return nil, fmt.Errorf("token id %d: the vocabulary has %d", id, s.net.Cfg.VocabSize)
		}
		binary.LittleEndian.PutUint32(raw[4*i:], uint32(id))
		binary.LittleEndian.PutUint32(at[4*i:], uint32(s.n+i))
	}
	d.CopyIn(s.ids.Slice(0, n), raw)
	d.CopyIn(s.pos.Slice(0, n), at)
	x, y := s.x.Slice(0, n), s.y.Slice(0, n)
	if err := s.with([]*grad.Param{s.net.Embed}, func() { d.GatherRows(x, s.net.Embed.W, s.ids.Slice(0, n)) }); err != nil {
		return nil, err
	}
	for l, b := range s.net.Blocks {
		if err := s.with(b.Params(), func() { s.block(l, b, y, x) }); err != nil {
			return nil, err
		}
		x, y = y, x
	}
	s.n += n
	if !logits {
		return nil, d.Sync()
	}
	return s.last(x.Slice(n-1, n))
}

// block runs one block over the new rows; its queries see the cache.
func (s *Session) block(l int, b *model.Block, out, x tensor.Tensor) {
	d, n, c := s.d, x.Shape[0], s.net.Cfg
	a := s.rows(n)
	lay := model.Layout{B: 1, T: n, Pos: s.pos.Slice(0, n), Start: s.start.Slice(0, n).View(1, n)}
	b.Project(d, x, a, lay, s.rope)
	d.Copy(s.k[l].Slice(s.n, s.n+n), a.K)
	d.Copy(s.v[l].Slice(s.n, s.n+n), a.V)
	k, v := s.k[l].Slice(0, s.n+n).View(1, s.n+n, c.KVSize()), s.v[l].Slice(0, s.n+n).View(1, s.n+n, c.KVSize())
	d.Attention(a.Att.View(1, n, c.QSize()), a.LSE.View(1, c.NumAttentionHeads, n), a.Q.View(1, n, c.QSize()), k, v, lay.Start, c.HeadDim)
	b.Finish(d, out, x, a)
}

// rows is the first n rows of the scratch.
func (s *Session) rows(n int) *model.Acts {
	a, at := s.acts, func(t tensor.Tensor) tensor.Tensor { return t.Slice(0, n) }
	return &model.Acts{N1: at(a.N1), Rstd1: at(a.Rstd1), Q: at(a.Q), K: at(a.K), V: at(a.V), Att: at(a.Att), LSE: at(a.LSE),
		H: at(a.H), N2: at(a.N2), Rstd2: at(a.Rstd2), Gate: at(a.Gate), Up: at(a.Up), Hidden: at(a.Hidden)}
}

// last is the logits of one row.
func (s *Session) last(x tensor.Tensor) ([]float32, error) {
	err := s.with([]*grad.Param{s.net.Norm, s.net.Head}, func() {
		s.d.RMSNorm(s.normed, s.rstd, x, s.net.Norm.W, s.net.Cfg.RMSNormEps)
		s.d.MatMul(s.logits, s.normed, s.net.Head.W, false)
	})
	if err != nil {
		return nil, err
	}
	raw := make([]byte, s.logits.Bytes())
	s.d.CopyOut(raw, s.logits)
	out := make([]float32, s.logits.Len())
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return out, s.d.Sync()
}

func (s *Session) with(unit []*grad.Param, f func()) error {
	return store.With(s.store, unit, false, func() error { f(); return nil })
}
