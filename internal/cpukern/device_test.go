package cpukern

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"lomo/internal/device"
	"lomo/internal/devtest"
	"lomo/internal/tensor"
)

func TestMain(m *testing.M) {
	k, err := chooseLevel(os.Getenv("LOMO_CPU"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("cpukern: %s (levels here: %s)\n", k.name, strings.Join(Levels(), ", "))
	os.Exit(m.Run())
}

func openTest(t testing.TB, o Options) *Device {
	t.Helper()
	if o.Capacity == 0 {
		o.Capacity = 1 << 30
	}
	d, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestSuite runs the suite on every level of this machine with one, two and three threads, which must agree to the bit.
func TestSuite(t *testing.T) {
	for _, level := range Levels() {
		var first map[string]devtest.Digest
		for threads := 1; threads <= 3; threads++ {
			t.Run(fmt.Sprintf("%s/threads=%d", level, threads), func(t *testing.T) {
				got := devtest.Suite(t, func(t *testing.T) device.Device {
					return openTest(t, Options{Level: level, Threads: threads, PoisonReleased: threads == 2})
				})
				if first == nil {
					first = got
				}
				for name, sum := range got {
					if sum != first[name] {
						t.Errorf("%s: the bits differ from those with one thread", name)
					}
				}
			})
		}
	}
}

// TestNormWaves: where the parts of dw do not fit in the memory of the products, rows go in waves: dx has the same bits, dw those of the same terms in
// float32 sums of more rows. Of no rows dw is zero.
func TestNormWaves(t *testing.T) {
	const n, c = 5*partRows + 7, 70
	rnd := newSource()
	fill := [3][]float32{rnd.floats(n*c, 0, false), rnd.floats(n*c, 0, false), rnd.floats(n*c, 0, false)}
	run := func(room, rows int, acc bool) (dx, dw []float32) {
		d := openTest(t, Options{})
		defer d.Close() //nolint:errcheck // a device of a test
		d.packRoom = room
		take := func(shape ...int) tensor.Tensor {
			x, err := d.Alloc("test", "x", tensor.F32, shape...)
			if err != nil {
				t.Fatal(err)
			}
			return x
		}
		x, dy, out, w, rstd, sum := take(rows, c), take(rows, c), take(rows, c), take(c), take(rows), take(c)
		for i, v := range []tensor.Tensor{x, dy, out} {
			copy(v.F32s(), fill[i])
		}
		copy(w.F32s(), fill[0][100:])
		for _, v := range [][]float32{rstd.F32s(), sum.F32s()} {
			for i := range v {
				v[i] = 0.5
			}
		}
		d.RMSNormBackward(out, sum, dy, x, w, rstd, device.Norm{}, true, acc)
		return slices.Clone(out.F32s()), slices.Clone(sum.F32s())
	}
	for _, acc := range []bool{false, true} { // added to what the first micro-batch has left, or in its place
		dx, dw := run(sharedBytes, n, acc)
		for _, room := range []int{128 + 2*4*c, 128 + 4*4*c, 0} {
			gotX, gotW := run(room, n, acc)
			same(t, "dx", gotX, dx)
			near(t, "dw", gotW, dw, 1e-6, func(i int) float32 { return 1 + abs32(dw[i]) })
		}
	}
	if _, dw := run(sharedBytes, 0, false); slices.ContainsFunc(dw, func(v float32) bool { return v != 0 }) {
		t.Errorf("dw of no rows = %v", dw)
	}
}

// TestTrim: what has been released and is given back is no longer resident, what is in use is untouched, and new tensors are zero.
func TestTrim(t *testing.T) {
	d := openTest(t, Options{Threads: 1})
	defer d.Close() //nolint:errcheck // a device of a test
	const n = 8 << 20
	alloc := func(name string) tensor.Tensor {
		x, err := d.Alloc("test", name, tensor.F32, n)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	fill := func(x tensor.Tensor) {
		for i := range x.F32s() {
			x.F32s()[i] = 1
		}
	}
	kept := alloc("kept")
	fill(kept)
	mark := d.Memory().Mark()
	for range 2 {
		x := alloc("released")
		for i, v := range x.F32s() {
			if v != 0 {
				t.Fatalf("a new tensor has %g at %d", v, i)
			}
		}
		fill(x)
		before := resident(t, d.arena.bytes[:8*n])
		d.Memory().Release(mark)
		d.Trim()
		if after := resident(t, d.arena.bytes[:8*n]); after > before-4*n+2*arenaSlack {
			t.Errorf("%d bytes are resident, %d were before", after, before)
		}
		if v := kept.F32s(); v[0] != 1 || v[n-1] != 1 {
			t.Error("a tensor in use was given back")
		}
	}
}

func TestOpenLevels(t *testing.T) {
	if _, err := Open(Options{Capacity: 1 << 20, Level: "sse9"}); err == nil || !strings.Contains(err.Error(), `"sse9" is unknown`) {
		t.Errorf("unknown level: error %v", err)
	}
	if _, err := Open(Options{Capacity: 1 << 20, Level: "amx"}); !slices.Contains(Levels(), "amx") && (err == nil || !strings.Contains(err.Error(), "cannot run it, only generic")) {
		t.Errorf("level that this machine lacks: error %v", err)
	}
	t.Setenv("LOMO_CPU", "generic")
	d := openTest(t, Options{})
	defer d.Close() //nolint:errcheck // a device of a test
	if d.Name() != "cpu generic" {
		t.Errorf("LOMO_CPU=generic opens %q", d.Name())
	}
	e := openTest(t, Options{Level: Levels()[len(Levels())-1]})
	defer e.Close() //nolint:errcheck // a device of a test
	if len(Levels()) > 1 && e.Name() == d.Name() {
		t.Error("an explicit level must win over the environment")
	}
}

// TestUntouchedMemory: an allocated tensor that is not written costs no memory, and capacity 0 asks the system.
func TestUntouchedMemory(t *testing.T) {
	d := openTest(t, Options{Capacity: 1 << 40, Threads: 1}) // more than the machine has
	defer d.Close()                                          //nolint:errcheck // a device of a test
	x, err := d.Alloc("test", "large", tensor.F32, 1<<37)
	if err != nil {
		t.Fatal(err)
	}
	if v := x.F32s(); v[0] != 0 || v[1<<36] != 0 {
		t.Error("fresh memory is not zero")
	}
	if physicalMemory() < 1<<28 {
		t.Errorf("the machine is said to have %d bytes", physicalMemory())
	}
}

// TestPoison: what is released turns into NaN before anything else runs.
func TestPoison(t *testing.T) {
	d := openTest(t, Options{PoisonReleased: true})
	defer d.Close() //nolint:errcheck // a device of a test
	mark := d.Memory().Mark()
	x, err := d.Alloc("test", "x", tensor.F32, 100)
	if err != nil {
		t.Fatal(err)
	}
	d.Memory().Release(mark)
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	d.Zero(tensor.Tensor{DType: tensor.F32, Shape: []int{0}, Host: []byte{}})
	for i, v := range x.F32s() {
		if v == v {
			t.Fatalf("released element %d is %g", i, v)
		}
	}
}

// TestWrongShapesPanic: they are a programmer's error, and must not become wild writes.
func TestWrongShapesPanic(t *testing.T) {
	d := openTest(t, Options{Threads: 1})
	defer d.Close() //nolint:errcheck // a device of a test
	a, b, v := tensor.NewHost("a", tensor.F32, 3, 4), tensor.NewHost("b", tensor.F32, 5, 6), tensor.NewHost("v", tensor.F32, 2)
	ids := tensor.NewHost("ids", tensor.I32, 3)
	for name, f := range map[string]func(){
		"MatMul":     func() { d.MatMul(a, a, b, false) },
		"Update":     func() { d.Update(a, b, device.Step{}) },
		"RMSNorm":    func() { d.RMSNorm(a, v, a, v, device.Norm{}) },
		"GatherRows": func() { d.GatherRows(a, b, ids) },
		"dtype":      func() { d.SwiGLU(ids, ids, ids) },
		"CopyIn":     func() { d.CopyIn(a, make([]byte, 3)) },
		"headDim":    func() { d.RoPE(a, ids, v, v, 3, false) },
		"Attention": func() {
			q := a.View(1, 3, 4)
			d.Attention(q, v, q, q, q, ids.View(1, 3), device.Heads{Dim: 2})
		},
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

// TestNoGarbage: an operation allocates a handful of closures and shapes, whatever the size of its tensors, so the collector stays quiet.
func TestNoGarbage(t *testing.T) {
	d := openTest(t, Options{Threads: 2})
	defer d.Close() //nolint:errcheck // a device of a test
	x, w, y := tensor.NewHost("x", tensor.BF16, 64, 300), tensor.NewHost("w", tensor.BF16, 200, 300), tensor.NewHost("y", tensor.F32, 64, 200)
	q, lse, start := tensor.NewHost("q", tensor.F32, 1, 64, 32), tensor.NewHost("lse", tensor.F32, 1, 4, 64), tensor.NewHost("start", tensor.I32, 1, 64)
	for name, f := range map[string]func(){
		"MatMul":      func() { d.MatMul(y, x, w, false) },
		"OuterUpdate": func() { d.OuterUpdate(w, y, x, device.Step{}) },
		"Attention":   func() { d.Attention(q, lse, q, q, q, start, device.Heads{Dim: 8}) },
		"SwiGLU":      func() { d.SwiGLU(x, x, x) },
	} {
		if n := testing.AllocsPerRun(20, f); n > 64 {
			t.Errorf("%s allocates %g times", name, n)
		}
	}
	if WorkspaceBytes(2) != 2*workspaceBytes+sharedBytes+ghostBytes+arenaSlack {
		t.Error("WorkspaceBytes does not count each thread")
	}
}
