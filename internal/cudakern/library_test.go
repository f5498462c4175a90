package cudakern

import (
	"strings"
	"testing"

	"lomo/internal/tensor"
)

// echo is a library that has our own kernels make the product, after bend.
type echo struct {
	d    *Device
	bend func(p *product, acc *bool)
	made int
}

func (e *echo) Name() string { return "echo" }
func (e *echo) Close() error { return nil }
func (e *echo) Product(p *product, c tensor.Tensor, acc bool) error {
	q := *p
	if e.bend != nil {
		e.bend(&q, &acc)
	}
	e.made++
	e.d.start(&q, q.layout, []any{c}, []any{isHalf(c), acc})
	return nil
}

// TestLibrary: a library that agrees is used for the products it takes, and one that transposes, forgets to add, or leaves out the last of the sum
// is not.
func TestLibrary(t *testing.T) {
	for name, bend := range map[string]func(p *product, acc *bool){
		"":           nil,
		"forgets":    func(_ *product, acc *bool) { *acc = false },
		"transposes": func(p *product, _ *bool) { p.layout = map[string]string{"nt": "nn", "nn": "nt", "tn": "tn"}[p.layout] },
		"stops":      func(p *product, _ *bool) { p.k -= 8 },
	} {
		d := cardOf(t)
		e := &echo{d: d, bend: bend}
		err := d.useLibrary(e)
		if (err == nil) != (bend == nil) || (d.library == nil) != (bend != nil) {
			t.Errorf("%s: %v", name, err)
		}
		if bend != nil {
			continue
		}
		x := put(t, d, "x", tensor.BF16, smallInts(16*16), 16, 16)
		y := put(t, d, "y", tensor.F32, make([]float32, 16*16), 16, 16)
		made := e.made
		d.MatMul(y, x, x, false)
		d.OuterAdd(y, x, x, true)
		d.MatMul(y.View(32, 8).Slice(0, 1), x.View(32, 8).Slice(0, 1), x.View(32, 8).Slice(0, 8), false)
		odd := put(t, d, "odd", tensor.BF16, smallInts(15*15), 15, 15)
		d.MatMul(y.View(256).Slice(0, 225).View(15, 15), odd, odd, false) // rows of 30 bytes: not for it
		if e.made-made != 3 {
			t.Errorf("the library made %d products, want 3 of 4", e.made-made)
		}
		if !strings.HasSuffix(d.Name(), " echo") {
			t.Errorf("the device's name is %q", d.Name())
		}
		if err := d.Sync(); err != nil {
			t.Error(err)
		}
	}
}
