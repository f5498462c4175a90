package cudakern

import (
	"errors"
	"fmt"
	"math"

	"lomo/internal/tensor"
)

// library is another maker of plain products than our own kernels: cuBLAS. It does not read the stop word; what it writes behind a failure are
// activations and scratch, and the updates that follow read the word.
type library interface {
	// Name is for Device.Name: results are the library's, bit for bit.
	Name() string
	// Product queues c = p, or c += p, on the device's stream.
	Product(p *product, c tensor.Tensor, acc bool) error
	Close() error
}

// findLibrary makes the library of this machine the maker of plain products, when there is one and it agrees with our own kernels. An error
// is only what leaves the card unusable.
func (d *Device) findLibrary() error {
	lib, err := openProducts(d)
	if lib != nil {
		if err = d.useLibrary(lib); err != nil {
			err = errors.Join(err, lib.Close())
		}
	}
	d.libraryErr = err
	if d.err != nil {
		return fmt.Errorf("trying cuBLAS (LOMO_CUBLAS=off leaves it out): %w", d.err)
	}
	return nil
}

func (d *Device) closeLibrary() error {
	if d.library == nil {
		return nil
	}
	lib := d.library
	d.library = nil
	return lib.Close()
}

// Library is what makes plain products instead of our own kernels, "" if nothing does, and why one that was found does not.
func (d *Device) Library() (name string, refused error) {
	if d.library != nil {
		name = d.library.Name()
	}
	return name, d.libraryErr
}

// takes says whether the library makes a product: of two factors of one type, at addresses and with rows that suit it.
func takes(p *product, c tensor.Tensor) bool {
	if p.a.DType != p.b.DType || p.a.DType == tensor.F32 && c.DType != tensor.F32 || min(p.m, p.n, p.k) == 0 {
		return false
	}
	for _, t := range []tensor.Tensor{p.a, p.b, c} {
		if t.Addr%16 != 0 || t.Cols()*t.DType.Size()%16 != 0 {
			return false
		}
	}
	return true
}

// useLibrary makes lib the maker of products, if its results are those of our own kernels. err says why it is not used, and is no reason not to go on.
func (d *Device) useLibrary(lib library) error {
	for _, dt := range []tensor.DType{tensor.BF16, tensor.F32} {
		for _, layout := range []string{"nt", "nn", "tn"} {
			for _, c := range []tensor.DType{tensor.F32, dt} {
				if err := d.tryLibrary(lib, layout, dt, c); err != nil {
					return fmt.Errorf("%s %s in %v: %w", lib.Name(), layout, dt, err)
				}
			}
		}
	}
	d.library = lib
	return nil
}

// tryLibrary makes one product both ways, of numbers whose float32 sums are exact in any order, so that the bits must be equal; those in F32
// have more digits than the formats to which libraries like to round have.
func (d *Device) tryLibrary(lib library, layout string, dt, dc tensor.DType) error {
	defer d.arena.Release(d.arena.Mark())
	p := &product{op: "useLibrary", layout: layout, m: 72, n: 40, k: 56}
	shape := map[string][2][2]int{"nt": {{p.m, p.k}, {p.n, p.k}}, "nn": {{p.m, p.k}, {p.k, p.n}}, "tn": {{p.k, p.m}, {p.k, p.n}}}[layout]
	var err error
	take := func(dt tensor.DType, rows, cols int, value func(i int) float32) tensor.Tensor {
		t, e := d.Scratch("library", "tried", dt, rows, cols)
		if e != nil {
			err = e
			return t
		}
		vals, raw := make([]float32, rows*cols), make([]byte, t.Bytes())
		for i := range vals {
			vals[i] = value(i)
		}
		if e := tensor.PutFloat32s(raw, vals, dt); e != nil {
			err = e
		}
		d.CopyIn(t, raw)
		return t
	}
	fine := float32(0)
	if dt == tensor.F32 {
		fine = 1.0 / 4096
	}
	p.a = take(dt, shape[0][0], shape[0][1], func(i int) float32 { return float32(i*7%5) - 2 + float32(i%3)*fine })
	p.b = take(dt, shape[1][0], shape[1][1], func(i int) float32 { return float32(i*3%11) - 5 })
	old := func(i int) float32 { return float32(i % 3) }
	own, other := take(dc, p.m, p.n, old), take(dc, p.m, p.n, old)
	if err != nil {
		return err
	}
	d.store(p, own, true)
	if err := lib.Product(p, other, true); err != nil {
		return err
	}
	want, got := make([]byte, own.Bytes()), make([]byte, own.Bytes())
	d.CopyOut(want, own)
	d.CopyOut(got, other)
	if err := d.Sync(); err != nil {
		return err
	}
	x, y := make([]float32, own.Len()), make([]float32, own.Len())
	if err := tensor.Float32s(x, want, dc); err != nil {
		return err
	}
	if err := tensor.Float32s(y, got, dc); err != nil {
		return err
	}
	for i := range x {
		if math.Float32bits(x[i]) != math.Float32bits(y[i]) {
			return fmt.Errorf("element (%d, %d) is %g, by our own kernels %g", i/p.n, i%p.n, y[i], x[i])
		}
	}
	return nil
}
