package cudakern

import (
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"lomo/internal/cudakern/sim"
	"lomo/internal/device"
	"lomo/internal/tensor"
)

// filled is an F32 tensor of one value.
func filled(t *testing.T, d *Device, name string, v float32, n int) tensor.Tensor {
	t.Helper()
	x, err := d.Alloc("test", name, tensor.F32, n)
	if err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, 4*n)
	for i := range n {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
	}
	d.CopyIn(x, raw)
	return x
}

func firstOf(d *Device, x tensor.Tensor) float32 {
	raw := make([]byte, x.Bytes())
	d.CopyOut(raw, x)
	return math.Float32frombits(binary.LittleEndian.Uint32(raw))
}

// TestFailureStopsTheCard: after a gradient that is not finite nothing that was launched behind it writes, without the host having looked,
// and Sync names the first.
func TestFailureStopsTheCard(t *testing.T) {
	d := openSim(t, sim.Options{}, Options{})
	defer d.Close() //nolint:errcheck // a device of a test
	const n = 300
	good, bad := filled(t, d, "good", 1, n), filled(t, d, "bad", float32(math.Inf(1)), n)
	before, w, other := filled(t, d, "before", 5, n), filled(t, d, "w", 5, n), filled(t, d, "other", 5, n)
	sum, err := d.Alloc("test", "sum", tensor.F64, 1)
	if err != nil {
		t.Fatal(err)
	}
	d.Update(before, good, device.Step{LR: 1})
	d.Update(w, bad, device.Step{LR: 1, SumSq: sum})
	d.Update(other, good, device.Step{LR: 1})
	d.Update(other, bad, device.Step{LR: 1})
	d.Zero(other)
	d.Copy(other, good)
	d.SumSq(sum, good)
	var e *device.NonFiniteError
	if err := d.Sync(); !errors.As(err, &e) || e.Op != "Update" || e.Tensor != "w" {
		t.Fatalf("Sync: %v, want Update of w", err)
	}
	for _, c := range []struct {
		x    tensor.Tensor
		want float32
	}{{before, 4}, {w, 5}, {other, 5}} {
		if got := firstOf(d, c.x); got != c.want {
			t.Errorf("%s is %g, want %g", c.x.Name, got, c.want)
		}
	}
	raw := make([]byte, 8)
	d.CopyOut(raw, sum)
	if binary.LittleEndian.Uint64(raw) != 0 {
		t.Errorf("the sum of squares was written")
	}
	d.Zero(w)
	if got := firstOf(d, w); got != 5 {
		t.Errorf("after Sync w is %g: the failure does not stick", got)
	}
}

// TestPoison: what is released turns into NaN before anything else runs, and scratch starts as NaN.
func TestPoison(t *testing.T) {
	d := openSim(t, sim.Options{}, Options{PoisonReleased: true})
	defer d.Close() //nolint:errcheck // a device of a test
	mark := d.Memory().Mark()
	x := filled(t, d, "x", 1, 100)
	d.Memory().Release(mark)
	if got := firstOf(d, x); got == got {
		t.Errorf("released memory holds %g", got)
	}
	s, err := d.Scratch("test", "s", tensor.F32, 4)
	if err != nil {
		t.Fatal(err)
	}
	if got := firstOf(d, s); got == got {
		t.Errorf("scratch holds %g", got)
	}
}

// TestOpenRefuses: errors at start name the card, what it has and what to do.
func TestOpenRefuses(t *testing.T) {
	m := sim.New(sim.Options{Cards: 2, Memory: 1e9})
	defer m.Close() //nolint:errcheck // a machine of a test
	for _, c := range []struct {
		index int
		o     Options
		want  []string
	}{
		{2, Options{}, []string{"GPU 2", "2 usable"}},
		{1, Options{Capacity: 1e9}, []string{"GPU 1", "RTX 3090", "out of memory at start", "of 1000000000 are free", "nvidia-smi"}},
	} {
		_, err := Open(m, c.index, c.o)
		if err == nil {
			t.Errorf("card %d opened with %+v", c.index, c.o)
			continue
		}
		for _, s := range c.want {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("error %q lacks %q", err, s)
			}
		}
	}
}

// TestMemoryIsOneAllocation: opening takes the arena and the workspace from the card, and nothing more is taken later.
func TestMemoryIsOneAllocation(t *testing.T) {
	m := sim.New(sim.Options{Cards: 1})
	defer m.Close() //nolint:errcheck // a machine of a test
	card, err := m.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	free := func() int64 {
		n, _, err := card.Memory()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := free()
	d, err := Open(m, 0, Options{Capacity: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	opened := free()
	const want = 32<<20 + WorkspaceBytes
	if took := before - opened; took < want || took > want+4<<20 { // the driver rounds up to its pages
		t.Errorf("opening took %d bytes, want %d", took, want)
	}
	x := filled(t, d, "x", 1, 1000)
	d.RMSNorm(x.View(10, 100), filled(t, d, "rstd", 0, 10), x.View(10, 100), filled(t, d, "w", 1, 100), device.Norm{Eps: 1e-5})
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	if free() != opened {
		t.Errorf("an operation took %d bytes of the card", opened-free())
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if d.Name() != "cuda simulated RTX 3090 sm_86" {
		t.Errorf("name %q", d.Name())
	}
}

// TestCopyInReturnsTheBytes: the caller may change the host's bytes as soon as CopyIn returns, pinned or not.
func TestCopyInReturnsTheBytes(t *testing.T) {
	d := openSim(t, sim.Options{}, Options{})
	defer d.Close() //nolint:errcheck // a device of a test
	x := filled(t, d, "x", 0, 16)
	pinned, err := d.Pinned("test", "p", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, src := range [][]byte{make([]byte, 64), pinned[36:]} {
		binary.LittleEndian.PutUint32(src, math.Float32bits(3))
		d.CopyIn(x, src)
		clear(src)
		if got := firstOf(d, x); got != 3 {
			t.Errorf("the tensor holds %g, want 3", got)
		}
	}
}

// TestWrongShapesPanic: they are a programmer's error, and must not become wild writes.
func TestWrongShapesPanic(t *testing.T) {
	d := openSim(t, sim.Options{}, Options{})
	defer d.Close() //nolint:errcheck // a device of a test
	at := func(dt tensor.DType, shape ...int) tensor.Tensor {
		x, err := d.Alloc("test", "x", dt, shape...)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	a, b, v, ids := at(tensor.F32, 3, 4), at(tensor.F32, 5, 6), at(tensor.F32, 2), at(tensor.I32, 3)
	for name, f := range map[string]func(){
		"Update":     func() { d.Update(a, b, device.Step{}) },
		"RMSNorm":    func() { d.RMSNorm(a, v, a, v, device.Norm{}) },
		"GatherRows": func() { d.GatherRows(a, b, ids) },
		"dtype":      func() { d.SwiGLU(ids, ids, ids) },
		"sum":        func() { d.SumSq(v, a) },
		"CopyIn":     func() { d.CopyIn(a, make([]byte, 3)) },
		"headDim":    func() { d.RoPE(a, ids, v, v, 3, false) },
		"stats":      func() { d.SoftmaxStats(a, b, ids, 0, true) },
		"factor":     func() { d.FactorSums(v, v, v, a, a, 0, device.Step{}) },
		"quant":      func() { d.Dequantize(a, ids, Q4_0) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}

// TestSeededUpdateFaults: an update with the wrong sign, one without its noise, and a check that stops nothing are seen.
func TestSeededUpdateFaults(t *testing.T) {
	step := device.Step{LR: 0.1, Round: device.Stochastic, Seed: 1, Number: 2}
	run := func(t *testing.T, value float32) (b *both, w pair, err error) {
		b = openBoth(t)
		w, g := b.noise("w", tensor.BF16, 1, 256), b.noise("g", tensor.F32, float64(value), 256)
		b.card.Update(w.card, g.card, step)
		b.host.Update(w.host, g.host, step)
		return b, w, b.card.Sync()
	}
	bits := func(b *both, d device.Device, x tensor.Tensor) string {
		raw := make([]byte, x.Bytes())
		d.CopyOut(raw, x)
		return string(raw)
	}
	for _, c := range []struct{ name, file, kernel, old, new string }{
		{"sign", "update.ptx", "update", "sub.rn.f32", "add.rn.f32"},
		{"noise", "update.ptx", "update", "-845247145", "-845247144"}, // a factor of Philox, 0xCD9E8D57
	} {
		t.Run(c.name, func(t *testing.T) {
			ptxSource = swap(t, edited(t, c.file, c.kernel, c.old, c.new))
			b, w, err := run(t, 1)
			if err != nil {
				t.Fatal(err)
			}
			if bits(b, b.card, w.card) == bits(b, b.host, w.host) {
				t.Error("the weights are those of the host")
			}
		})
	}
	t.Run("check", func(t *testing.T) {
		ptxSource = swap(t, edited(t, "reduce.ptx", "check", "atom.global.cas.b32", "//"))
		if _, _, err := run(t, float32(math.Inf(1))); err != nil {
			t.Errorf("Sync: %v: the stop word was set all the same", err)
		}
	})
	t.Run("none", func(t *testing.T) {
		b, w, err := run(t, 1)
		if err != nil || bits(b, b.card, w.card) != bits(b, b.host, w.host) {
			t.Errorf("without a fault: %v, or other bits", err)
		}
		if _, _, err := run(t, float32(math.Inf(1))); err == nil {
			t.Error("an infinite gradient went through")
		}
	})
}
