// Package devtest is the suite every device.Device passes: each operation against a float64 reference, with odd
// sizes, F32 and BF16, tensors that begin anywhere, guard values around every buffer, infinities and NaN.
//
// A device must let CopyOut read tensors after an operation has failed: the suite looks that nothing was written.
package devtest

import (
	"crypto/sha256"
	"errors"
	"hash"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// Open makes a fresh device for one test, which closes it.
type Open func(t *testing.T) device.Device

// Digest is a hash of all that a case read back from its device.
type Digest [sha256.Size]byte

// Option changes how the suite runs.
type Option func(*settings)

type settings struct {
	small bool
	guard int      // elements on each side of a tensor
	only  []string // names of cases; empty: all
}

// Small takes shapes that are still odd and still have tails, but few elements: for devices that are interpreted.
func Small(s *settings) { s.small = true }

// Aligned begins tensors at multiples of 64 elements, where wide accesses are possible, instead of at odd places.
func Aligned(s *settings) { s.guard = 64 }

// Only runs the named cases.
func Only(names ...string) Option { return func(s *settings) { s.only = names } }

// Suite runs every case on a device of its own and returns what each produced, for comparing devices that must agree to
// the bit (the same level with other numbers of threads).
func Suite(t *testing.T, open Open, options ...Option) map[string]Digest {
	digests, set := map[string]Digest{}, settings{guard: 37} // odd: a tensor is as little aligned as its elements are
	for _, o := range options {
		o(&set)
	}
	for _, tc := range cases {
		if len(set.only) > 0 && !slices.Contains(set.only, tc.name) {
			continue
		}
		t.Run(tc.name, func(t *testing.T) {
			d := open(t)
			defer d.Close() //nolint:errcheck // a device of a test
			c := &C{T: t, D: d, rnd: rand.New(rand.NewPCG(1, 2)), seen: sha256.New(), guard: set.guard, small: set.small}
			tc.run(c)
			c.checkGuards()
			digests[tc.name] = Digest(c.seen.Sum(nil))
		})
	}
	return digests
}

type testCase struct {
	name string
	run  func(c *C)
}

// cases are those of all files.
var cases []testCase

// register takes a file's cases.
func register(of []testCase) bool {
	cases = append(cases, of...)
	return true
}

// C is one case at work.
type C struct {
	*testing.T
	D     device.Device
	rnd   *rand.Rand
	seen  hash.Hash
	inner []guarded
	guard int
	small bool
}

// pick is a size, or a list of shapes: what Small asks for is few.
func pick[T any](c *C, all, few T) T {
	if c.small {
		return few
	}
	return all
}

// guarded is a tensor inside a larger one whose edges must not change.
type guarded struct {
	tensor, whole tensor.Tensor
}

const guardByte = 0x5b

// new allocates a tensor between guards, filled with vals (which are rounded to dt).
func (c *C) new(name string, dt tensor.DType, vals []float64, shape ...int) tensor.Tensor {
	c.Helper()
	n := 1
	for _, s := range shape {
		n *= s
	}
	whole, err := c.D.Alloc("devtest", name, dt, n+2*c.guard)
	if err != nil {
		c.Fatalf("alloc %s: %v", name, err)
	}
	raw := make([]byte, whole.Bytes())
	for i := range raw {
		raw[i] = guardByte
	}
	size := dt.Size()
	encode(raw[c.guard*size:(c.guard+n)*size], dt, vals)
	c.D.CopyIn(whole, raw)
	t := whole.Slice(c.guard, c.guard+n).View(shape...)
	c.inner = append(c.inner, guarded{t, whole})
	return t
}

// noise is a tensor of normal values, and the values as the device sees them.
func (c *C) noise(name string, dt tensor.DType, scale float64, shape ...int) (tensor.Tensor, []float64) {
	c.Helper()
	n := 1
	for _, s := range shape {
		n *= s
	}
	vals := make([]float64, n)
	for i := range vals {
		vals[i] = c.rnd.NormFloat64() * scale
	}
	t := c.new(name, dt, vals, shape...)
	return t, c.get(t)
}

// like is a tensor of dt filled with a value that is wrong everywhere, for results.
func (c *C) like(name string, dt tensor.DType, shape ...int) tensor.Tensor {
	c.Helper()
	t, _ := c.noise(name, dt, 1000, shape...)
	return t
}

// ints is an I32 tensor.
func (c *C) ints(name string, vals []int, shape ...int) tensor.Tensor {
	c.Helper()
	f := make([]float64, len(vals))
	for i, v := range vals {
		f[i] = float64(v)
	}
	return c.new(name, tensor.I32, f, shape...)
}

// scalar is an F64 tensor of one element.
func (c *C) scalar(v float64) tensor.Tensor { return c.new("sum", tensor.F64, []float64{v}, 1) }

// get reads a tensor.
func (c *C) get(t tensor.Tensor) []float64 {
	c.Helper()
	raw := make([]byte, t.Bytes())
	c.D.CopyOut(raw, t)
	c.seen.Write(raw) //nolint:errcheck // a hash never fails
	return decode(raw, t.DType)
}

func (c *C) checkGuards() {
	c.Helper()
	for _, g := range c.inner {
		raw := make([]byte, g.whole.Bytes())
		c.D.CopyOut(raw, g.whole)
		size := g.whole.DType.Size()
		for i, b := range raw {
			if (i < c.guard*size || i >= len(raw)-c.guard*size) && b != guardByte {
				c.Errorf("%s: byte %d beside the tensor was written", g.tensor.Name, i)
				break
			}
		}
	}
}

// sync fails the test when an operation has failed.
func (c *C) sync() {
	c.Helper()
	if err := c.D.Sync(); err != nil {
		c.Fatal(err)
	}
}

// wantNonFinite checks that the device stopped for a gradient, naming the tensor.
func (c *C) wantNonFinite(name string) {
	c.Helper()
	var e *device.NonFiniteError
	if err := c.D.Sync(); !errors.As(err, &e) || e.Tensor != name {
		c.Fatalf("Sync: %v, want a NonFiniteError for %s", err, name)
	}
}

// close compares with the reference. A value may be wrong by tol times its own size, the mean size of all (sums cancel, and what
// cancelled had the size of the others) and a little, for results that are zero by cancellation throughout.
func (c *C) close(t tensor.Tensor, want []float64, tol float64) {
	c.Helper()
	c.within(t, want, tol, nil)
}

// within is close with room for more: extra[i] for element i, unless nil.
func (c *C) within(t tensor.Tensor, want []float64, tol float64, extra []float64) {
	c.Helper()
	c.sync()
	if t.DType == tensor.BF16 {
		tol += 1.0 / 256 // rounded once: half a unit in the eighth bit
	}
	got := c.get(t)
	var mean float64
	for _, w := range want {
		if !math.IsInf(w, 0) && !math.IsNaN(w) {
			mean += math.Abs(w) / float64(len(want))
		}
	}
	for i, w := range want {
		same, room := got[i] == w || math.IsNaN(w) && math.IsNaN(got[i]), tol*(math.Abs(w)+mean+0.1)
		if extra != nil {
			room += extra[i]
		}
		if !same && !(math.Abs(got[i]-w) <= room) {
			c.Fatalf("%s[%d] = %g, want %g (tolerance %g of it and of the mean %g)", t.Name, i, got[i], w, tol, mean)
		}
	}
}

// equal compares to the bit.
func (c *C) equal(t tensor.Tensor, want []float64) {
	c.Helper()
	got := c.get(t)
	for i, w := range want {
		if math.Float64bits(got[i]) != math.Float64bits(w) && !(math.IsNaN(w) && math.IsNaN(got[i])) {
			c.Fatalf("%s[%d] = %g, want exactly %g", t.Name, i, got[i], w)
		}
	}
}

// both runs f for F32 and BF16.
func (c *C) both(f func(dt tensor.DType)) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		c.release(func() { f(dt) })
	}
}

// release gives back what f allocates, after looking at the guards.
func (c *C) release(f func()) {
	mark, kept := c.D.Memory().Mark(), len(c.inner)
	f()
	c.checkGuards()
	c.inner = c.inner[:kept]
	c.D.Memory().Release(mark)
}
