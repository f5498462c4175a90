// Package infer continues a text with a model: a cache of keys and values, and the choice of the next token.
package infer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

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
	ropes model.Ropes
	k, v  []tensor.Tensor // per block (max, Hkv·Hd)
	ids   []int32         // tokens seen
	max   int
	long  bool // the keys are turned as those of a long text are (model.Config.LongFrom)

	x, y   tensor.Tensor         // (rows, C): a block's input and output
	acts   map[string]model.Acts // by the kind of a block
	pos    tensor.Tensor         // (rows) I32
	start  tensor.Tensor         // (rows) I32, zero: one document
	starts map[int]tensor.Tensor // the same through the windows that layers have
	idRow  tensor.Tensor         // (rows) I32: ids on the device
	normed tensor.Tensor         // (1, C)
	rstd   tensor.Tensor         // (1) F32
	logits tensor.Tensor         // (1, V) F32
}

// NewSession takes the memory for sequences of at most max tokens; act is the dtype of activations.
func NewSession(d device.Device, net *model.Network, st store.Store, max int, act tensor.DType) (*Session, error) {
	s := &Session{d: d, net: net, store: st, max: max}
	c := net.Cfg
	var err error
	if s.ropes, err = model.NewRopes(d, c, max); err != nil {
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
	c := s.net.Cfg
	C := c.HiddenSize
	for _, e := range []struct {
		t     *tensor.Tensor
		dt    tensor.DType
		shape []int
	}{
		{&s.x, act, []int{rows, C}}, {&s.y, act, []int{rows, C}},
		{&s.pos, tensor.I32, []int{rows}}, {&s.start, tensor.I32, []int{rows}}, {&s.idRow, tensor.I32, []int{rows}},
		{&s.normed, act, []int{1, C}}, {&s.rstd, tensor.F32, []int{1}}, {&s.logits, tensor.F32, []int{1, c.VocabSize}},
	} {
		var err error
		if *e.t, err = s.d.Alloc("activations", "session", e.dt, e.shape...); err != nil {
			return err
		}
	}
	var err error
	s.starts = map[int]tensor.Tensor{}
	for _, w := range c.WindowSizes() {
		if s.starts[w], err = s.d.Alloc("activations", "session", tensor.I32, rows); err != nil {
			return err
		}
	}
	s.acts = map[string]model.Acts{}
	for _, b := range s.net.Blocks {
		if s.acts[b.Kind()] == nil {
			if s.acts[b.Kind()], err = b.NewActs(s.d, act, rows, rows); err != nil {
				return err
			}
		}
	}
	return nil
}

// Len is the number of tokens seen; Max the most the session holds.
func (s *Session) Len() int { return len(s.ids) }
func (s *Session) Max() int { return s.max }

// CacheBytes is what the keys and values of a session of n tokens take.
func CacheBytes(c *model.Config, n int, act tensor.DType) int64 {
	return 2 * int64(c.NumHiddenLayers) * int64(n) * int64(c.KVSize()) * int64(act.Size())
}

// Common is how many tokens at the beginning of text need not be computed again. The last one's logits are wanted.
func (s *Session) Common(text []int32) (n int) {
	if s.isLong(len(text)) != s.long {
		return 0
	}
	for n < len(text)-1 && n < len(s.ids) && text[n] == s.ids[n] {
		n++
	}
	return n
}

var errInterrupted = errors.New("interrupted")

// Continue takes the session to the tokens of text, of which it keeps what it has at their beginning, and returns the logits that follow
// the last of them, valid until the next call, and how many tokens were kept. Before each piece of work it asks more, which may end it (nil: never).
func (s *Session) Continue(text []int32, more func() bool) (logits []float32, kept int, err error) {
	kept = s.Common(text)
	s.ids = s.ids[:kept]
	logits, err = s.append(text[kept:], more)
	return logits, kept, err
}

// Append takes ids through the model and returns the logits that follow the last of them, valid until the next call.
func (s *Session) Append(ids []int32) ([]float32, error) { return s.append(ids, nil) }

// isLong reports whether a text of so many tokens is turned as a long one.
func (s *Session) isLong(tokens int) bool {
	o := s.net.Cfg.LongFrom()
	return o > 0 && tokens > o
}

func (s *Session) append(ids []int32, more func() bool) (logits []float32, err error) {
	if len(ids) == 0 {
		return nil, fmt.Errorf("append: no tokens")
	}
	if len(s.ids)+len(ids) > s.max {
		return nil, fmt.Errorf("append: %d tokens after %d, the session holds %d", len(ids), len(s.ids), s.max)
	}
	if long := s.isLong(len(s.ids) + len(ids)); long != s.long { // the keys so far are turned otherwise from here on
		ids, s.ids, s.long = slices.Concat(s.ids, ids), s.ids[:0], long
	}
	text := len(s.ids) + len(ids)
	for rows := s.x.Shape[0]; len(ids) > 0; {
		n := min(rows, len(ids))
		if logits, err = s.chunk(ids[:n], text, n == len(ids), more); err != nil {
			return nil, err
		}
		ids = ids[n:]
	}
	return logits, nil
}

// chunk takes a few tokens of a text through all blocks. When more says no between two of them, none of the tokens was seen.
func (s *Session) chunk(ids []int32, text int, logits bool, more func() bool) ([]float32, error) {
	d, n, seen := s.d, len(ids), len(s.ids)
	raw, at := make([]byte, 4*n), make([]byte, 4*n)
	for i, id := range ids {
		if id < 0 || int(id) >= s.net.Cfg.VocabSize {
			return nil, fmt.Errorf("token id %d: the vocabulary has %d", id, s.net.Cfg.VocabSize)
		}
		binary.LittleEndian.PutUint32(raw[4*i:], uint32(id))
		binary.LittleEndian.PutUint32(at[4*i:], uint32(s.net.Cfg.RopeRow(seen+i, text)))
	}
	d.CopyIn(s.idRow.Slice(0, n), raw)
	d.CopyIn(s.pos.Slice(0, n), at)
	for w, t := range s.starts {
		from := make([]byte, 4*n)
		for i := range n {
			binary.LittleEndian.PutUint32(from[4*i:], uint32(model.WindowStart(seen+i, 0, w)))
		}
		d.CopyIn(t.Slice(0, n), from)
	}
	x, y := s.x.Slice(0, n), s.y.Slice(0, n)
	if err := s.with([]*grad.Param{s.net.Embed}, func() { s.net.Embedded(d, x, s.idRow.Slice(0, n)) }); err != nil {
		return nil, err
	}
	for l, b := range s.net.Blocks {
		if more != nil && !more() {
			return nil, errInterrupted
		}
		if err := s.with(b.Params(), func() { s.block(l, b, y, x) }); err != nil {
			return nil, err
		}
		x, y = y, x
	}
	s.ids = append(s.ids, ids...)
	if !logits {
		return nil, d.Sync()
	}
	return s.last(x.Slice(n-1, n))
}

// block runs one block over the new rows; its queries see the cache.
func (s *Session) block(l int, b *model.Block, out, x tensor.Tensor) {
	n, seen := x.Shape[0], len(s.ids)
	lay := model.Layout{B: 1, T: n, Pos: s.pos.Slice(0, n), Start: s.start.Slice(0, n).View(1, n), Windows: map[int]tensor.Tensor{}}
	for w, t := range s.starts {
		lay.Windows[w] = t.Slice(0, n).View(1, n)
	}
	f := b.Frame(s.d, s.acts[b.Kind()], nil, 0, 0, lay, s.ropes)
	f.Cache = &model.Cache{K: s.k[l], V: s.v[l], Seen: seen}
	b.Forward(f, x, out)
}

// last is the logits of one row.
func (s *Session) last(x tensor.Tensor) ([]float32, error) {
	err := s.with([]*grad.Param{s.net.Norm, s.net.Head}, func() {
		s.net.Logits(s.d, s.logits, s.normed, s.rstd, x)
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
