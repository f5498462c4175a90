package cudakern

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"lomo/internal/checkpoint/gguf"
	"lomo/internal/cpukern"
	"lomo/internal/cudakern/sim"
	"lomo/internal/device"
	"lomo/internal/tensor"
)

// both is a card and the host, which runs plain Go: a kernel's twin.
type both struct {
	t    *testing.T
	card *Device
	host device.Device
	rnd  *rand.Rand
}

func openBoth(t *testing.T) *both {
	card := openSim(t, sim.Options{}, Options{})
	host, err := cpukern.Open(cpukern.Options{Capacity: 64 << 20, Threads: 1, Level: "generic"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { card.Close(); host.Close() }) //nolint:errcheck // devices of a test
	return &both{t, card, host, rand.New(rand.NewPCG(5, 6))}
}

// pair is one tensor on both.
type pair struct{ card, host tensor.Tensor }

func (b *both) new(name string, dt tensor.DType, shape ...int) pair {
	b.t.Helper()
	var p pair
	var err error
	if p.card, err = b.card.Alloc("test", name, dt, shape...); err != nil {
		b.t.Fatal(err)
	}
	if p.host, err = b.host.Alloc("test", name, dt, shape...); err != nil {
		b.t.Fatal(err)
	}
	return p
}

// noise is a tensor of normal values of a size, the same on both.
func (b *both) noise(name string, dt tensor.DType, size float64, shape ...int) pair {
	p := b.new(name, dt, shape...)
	vals := make([]float32, p.host.Len())
	for i := range vals {
		vals[i] = float32(b.rnd.NormFloat64() * size)
	}
	raw := make([]byte, p.host.Bytes())
	if err := tensor.PutFloat32s(raw, vals, dt); err != nil {
		b.t.Fatal(err)
	}
	b.card.CopyIn(p.card, raw)
	b.host.CopyIn(p.host, raw)
	return p
}

func (b *both) ints(name string, vals ...int32) pair {
	p := b.new(name, tensor.I32, len(vals))
	raw := make([]byte, 4*len(vals))
	for i, v := range vals {
		binary.LittleEndian.PutUint32(raw[4*i:], uint32(v))
	}
	b.card.CopyIn(p.card, raw)
	b.host.CopyIn(p.host, raw)
	return p
}

// equal compares the bytes.
func (b *both) equal(what string, p pair) {
	b.t.Helper()
	if err := b.card.Sync(); err != nil {
		b.t.Fatal(what, err)
	}
	got, want := make([]byte, p.card.Bytes()), make([]byte, p.host.Bytes())
	b.card.CopyOut(got, p.card)
	b.host.CopyOut(want, p.host)
	if bytes.Equal(got, want) {
		return
	}
	size := p.card.DType.Size()
	for i := 0; i < len(got); i += size {
		if !bytes.Equal(got[i:i+size], want[i:i+size]) {
			b.t.Fatalf("%s: element %d has the bits %x, the host's %x", what, i/size, got[i:i+size], want[i:i+size])
		}
	}
}

// TestUpdateBits: optimizers that see one element at a time write the bits of the host's plain Go, rounding noise included, whatever
// the tensor's place in the noise is, in one round of all threads and in several.
func TestUpdateBits(t *testing.T) {
	t.Run("once", updateBits)
	t.Run("in pieces", func(t *testing.T) {
		shrink(t, &flatBlocks, 1)
		shrink(t, &flatBlock, dim{32, 1, 1})
		updateBits(t)
	})
}

func updateBits(t *testing.T) {
	b := openBoth(t)
	for _, dt := range []tensor.DType{tensor.BF16, tensor.F32} {
		for i, s := range []device.Step{
			{LR: 0.03},
			{LR: 0.03, Round: device.Stochastic, Seed: 1 << 40, Number: 9, Tensor: 3},
			{LR: 0.03, Decay: 0.1, Clip: 1.5, Scale: 0.7, Round: device.Stochastic, Seed: 7, Number: 1, Tensor: 8, Base: 1<<33 + 5},
			{LR: 0.03, Decay: 0.1, Scale: 2, Round: device.Stochastic, Seed: 7, Number: 1, Tensor: 8, Base: 24},
		} {
			n := 331 + i
			w, g := b.noise("w", dt, 1, n), b.noise("g", tensor.F32, 1, n)
			b.card.Update(w.card, g.card, s)
			b.host.Update(w.host, g.host, s)
			b.equal("Update", w)

			m, v, master := b.noise("m", tensor.F32, 1, n), b.new("v", tensor.F32, n), b.noise("master", tensor.F32, 1, n)
			a := device.AdamW{Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, T: 2}
			b.card.AdamW(w.card, m.card, v.card, tensor.Tensor{}, g.card, a, s)
			b.host.AdamW(w.host, m.host, v.host, tensor.Tensor{}, g.host, a, s)
			b.equal("AdamW", w)
			b.card.AdamW(w.card, m.card, v.card, master.card, g.card, a, s)
			b.host.AdamW(w.host, m.host, v.host, master.host, g.host, a, s)
			for what, p := range map[string]pair{"w": w, "m": m, "v": v, "master": master} {
				b.equal("AdamW with master "+what, p)
			}

			mom := device.Momentum{Momentum: 0.9, Dampening: 0.1, Nesterov: i%2 == 0}
			b.card.SGD(w.card, m.card, g.card, mom, s)
			b.host.SGD(w.host, m.host, g.host, mom, s)
			b.equal("SGD", w)
			b.equal("SGD buffer", m)
		}
	}
}

// TestRowsUpdateBits: the same for rows of a table, those that only decay included.
func TestRowsUpdateBits(t *testing.T) {
	t.Run("once", rowsUpdateBits)
	t.Run("in pieces", func(t *testing.T) {
		shrinkLaunches(t)
		rowsUpdateBits(t)
	})
}

func rowsUpdateBits(t *testing.T) {
	b := openBoth(t)
	for _, c := range []int{13, 40, 270} {
		w, d := b.noise("w", tensor.BF16, 1, 9, c), b.noise("d", tensor.BF16, 1, 5, c)
		ids, offs, index := b.ints("ids", 1, 4, 8), b.ints("offs", 0, 2, 3, 5), b.ints("index", 3, 0, 2, 1, 4)
		s := device.Step{LR: 0.1, Decay: 0.2, Round: device.Stochastic, Seed: 3, Number: 5, Tensor: 2, Base: 3}
		b.card.RowsUpdate(w.card, device.Rows{IDs: ids.card, Offs: offs.card, Index: index.card, D: d.card}, s)
		b.host.RowsUpdate(w.host, device.Rows{IDs: ids.host, Offs: offs.host, Index: index.host, D: d.host}, s)
		b.equal("RowsUpdate", w)
	}
}

// TestDequantize: 4-bit blocks widen to the bits of package gguf's decoder, scales that are subnormal, infinite or NaN included, in one round of
// all threads and in several.
func TestDequantize(t *testing.T) {
	t.Run("once", dequantize)
	t.Run("in pieces", func(t *testing.T) {
		shrinkLaunches(t)
		dequantize(t)
	})
}

func dequantize(t *testing.T) {
	b := openBoth(t)
	for q, typ := range map[Quant]gguf.Type{Q4_0: gguf.Q4_0, Q4_1: gguf.Q4_1} {
		const blocks = 37
		size := map[Quant]int{Q4_0: 18, Q4_1: 20}[q]
		raw := make([]byte, blocks*size)
		for i := range raw {
			raw[i] = byte(b.rnd.Uint32())
		}
		for i, scale := range []uint16{0, 1, 0x83ff, 0x0400, 0x7bff, 0x7c00, 0xfe00} {
			binary.LittleEndian.PutUint16(raw[i*size:], scale)
		}
		want := make([]float32, blocks*32)
		if err := gguf.Dequantize(typ, want, raw); err != nil {
			t.Fatal(err)
		}
		src, dst, half := b.new("src", tensor.U8, len(raw)), b.new("dst", tensor.F32, len(want)), b.new("half", tensor.BF16, len(want))
		b.card.CopyIn(src.card, raw)
		b.card.Dequantize(dst.card, src.card, q)
		b.card.Dequantize(half.card, src.card, q)
		if err := b.card.Sync(); err != nil {
			t.Fatal(err)
		}
		got, narrow := make([]byte, dst.card.Bytes()), make([]byte, half.card.Bytes())
		b.card.CopyOut(got, dst.card)
		b.card.CopyOut(narrow, half.card)
		for i, w := range want {
			g, h := math.Float32frombits(binary.LittleEndian.Uint32(got[4*i:])), binary.LittleEndian.Uint16(narrow[2*i:])
			if w != w && g != g {
				continue
			}
			if math.Float32bits(g) != math.Float32bits(w) || h != tensor.F32ToBF16(w) {
				t.Fatalf("%s: element %d is %g and bf16 %04x, want %g and %04x", q, i, g, h, w, tensor.F32ToBF16(w))
			}
		}
	}
}
