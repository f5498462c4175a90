package cudakern

import (
	"math"
	"math/rand/v2"
	"testing"

	"lomo/internal/cudakern/sim"
	"lomo/internal/rng"
	"lomo/internal/tensor"
)

// cardOf is card 0 of a machine of its own.
func cardOf(t *testing.T) *Device {
	t.Helper()
	m := sim.New(sim.Options{Cards: 1})
	t.Cleanup(func() { m.Close() }) //nolint:errcheck // a machine of a test
	d, err := Open(m, 0, Options{Capacity: 32 << 20, PoisonReleased: true})
	if err != nil {
		t.Fatal(err)
	}
	watch(d)
	t.Cleanup(func() { d.Close() }) //nolint:errcheck // a device of a test
	watch(d)
	return d
}

// put is a tensor of the device with vals, rounded to dt.
func put(t *testing.T, d *Device, name string, dt tensor.DType, vals []float32, shape ...int) tensor.Tensor {
	t.Helper()
	x, err := d.Alloc("test", name, dt, shape...)
	if err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, x.Bytes())
	if err := tensor.PutFloat32s(raw, vals, dt); err != nil {
		t.Fatal(err)
	}
	d.CopyIn(x, raw)
	return x
}

// take reads an F32 or BF16 tensor, after looking for a failure.
func take(t *testing.T, d *Device, x tensor.Tensor) []float32 {
	t.Helper()
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	raw, vals := make([]byte, x.Bytes()), make([]float32, x.Len())
	d.CopyOut(raw, x)
	if err := tensor.Float32s(vals, raw, x.DType); err != nil {
		t.Fatal(err)
	}
	return vals
}

// smallInts are products of which float32 adds exactly, in any order.
func smallInts(n int) []float32 {
	rnd := rand.New(rand.NewPCG(uint64(n), 1))
	vals := make([]float32, n)
	for i := range vals {
		vals[i] = float32(rnd.IntN(15) - 7)
	}
	return vals
}

// TestFragments: the fragments of mma.m16n8k16, filled element by element from their definition and by ldmatrix, make the product.
func TestFragments(t *testing.T) {
	for _, kernel := range []string{"probe_mma", "probe_ldmatrix"} {
		d := cardOf(t)
		as, bs := smallInts(16*16), smallInts(16*8)
		a, b := put(t, d, "a", tensor.BF16, as, 16, 16), put(t, d, "b", tensor.BF16, bs, 16, 8)
		c := put(t, d, "c", tensor.F32, make([]float32, 16*8), 16, 8)
		d.launch("TestFragments", kernel, dim{1, 1, 1}, dim{32, 1, 1}, 0, c, a, b)
		for i, got := range take(t, d, c) {
			var want float32
			for k := range 16 {
				want += as[i/8*16+k] * bs[k*8+i%8]
			}
			if got != want {
				t.Fatalf("%s: c[%d,%d] = %g, want %g", kernel, i/8, i%8, got, want)
			}
		}
	}
}

// TestDraws: the noise and the rounding by it have the host's bits, from any element on and beyond 2³² blocks.
func TestDraws(t *testing.T) {
	const n, seed, tensorID, number = 75, 0x123456789abcdef0, 17, 91
	for _, first := range []int64{0, 3, 1 << 35, 8<<32 - 5} {
		d := cardOf(t)
		rnd := rand.New(rand.NewPCG(9, uint64(first)))
		vals := make([]float32, n)
		for i := range vals {
			vals[i] = float32(rnd.NormFloat64() * math.Pow(2, float64(rnd.IntN(250)-125)))
		}
		copy(vals, []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), math.MaxFloat32, -math.MaxFloat32, 1e-45})
		v, rounded := put(t, d, "v", tensor.F32, vals, n), put(t, d, "rounded", tensor.BF16, vals, n)
		out := put(t, d, "draws", tensor.F32, make([]float32, n), n) // integers in fact
		d.launch("TestDraws", "probe_draws", dim{2, 1, 1}, dim{32, 1, 1}, 0, out, rounded, v, n, uint64(seed), uint32(tensorID), uint32(number), first)
		draws, got := take(t, d, out), take(t, d, rounded)
		for i := range n {
			at := uint64(first) + uint64(i)
			want := rng.Uint16x8(seed, rng.Rounding, tensorID, number, at/8)[at%8]
			if math.Float32bits(draws[i]) != uint32(want) {
				t.Fatalf("draw %d: %#x, want %#x", at, math.Float32bits(draws[i]), want)
			}
			if w := tensor.BF16ToF32(tensor.F32ToBF16Stochastic(vals[i], want)); got[i] != w {
				t.Fatalf("%g with draw %#x is %g, want %g", vals[i], want, got[i], w)
			}
		}
	}
}
