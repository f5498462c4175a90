package store

import (
	"bytes"
	"fmt"
	"testing"

	"lomo/internal/devtest"
	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// lateSweep goes down and up through all units twice, with prefetches, on a device that is late. What it acquires it copies
// to where it looks at the end, and on the way up it overwrites it with new weights, as an update would.
func lateSweep(d *devtest.Late, s Store, all [][]*grad.Param, src *file) error {
	type seen struct {
		t    tensor.Tensor
		want []byte
		what string
	}
	var looked []seen
	fresh := byte(0)
	use := func(u []*grad.Param, dirty bool) error {
		if err := s.Acquire(u); err != nil {
			return err
		}
		for _, p := range u {
			t, err := d.Alloc("test", "seen", p.W.DType, p.W.Shape...)
			if err != nil {
				return err
			}
			d.Copy(t, p.W)
			looked = append(looked, seen{t, bytes.Clone(src.data[p.Name]), fmt.Sprintf("%s, use %d", p.Name, len(looked))})
			if dirty {
				fresh++
				now := bytes.Repeat([]byte{fresh, 0, 0x80, 0x3f}, p.Len())
				d.CopyIn(p.W, now)
				src.data[p.Name] = now
			}
		}
		return s.Release(u, dirty)
	}
	for range 2 {
		for i, u := range all {
			if err := use(u, false); err != nil {
				return err
			}
			if i > 0 && i < 4 {
				s.Prefetch(all[i+1])
			}
		}
		for i := len(all) - 1; i >= 0; i-- {
			if err := use(all[i], true); err != nil {
				return err
			}
			if i > 1 && i < 5 {
				s.Prefetch(all[i-1])
			}
		}
	}
	if err := d.Sync(); err != nil {
		return err
	}
	for _, l := range looked {
		if !bytes.Equal(l.t.Host, l.want) {
			return fmt.Errorf("%s: %x, want %x", l.what, l.t.Host[:4], l.want[:4])
		}
	}
	return nil
}

// TestHostOnALateDevice: with copies and computation as late as events allow, every use sees the weights of the last update,
// and so does what is saved.
func TestHostOnALateDevice(t *testing.T) {
	for _, eager := range []bool{false, true} {
		if err := hostOnALateDevice(t, eager, ""); err != nil {
			t.Errorf("eager %v: %v", eager, err)
		}
	}
}

// TestHostFaults: each of the waits is needed. Without one, something reads or saves other bytes.
func TestHostFaults(t *testing.T) {
	for _, deaf := range []string{"device", "weights in", "weights out"} {
		if hostOnALateDevice(t, false, deaf) == nil && hostOnALateDevice(t, true, deaf) == nil {
			t.Errorf("%s waits for nothing, and nobody notices", deaf)
		}
	}
}

func hostOnALateDevice(t *testing.T, eager bool, deaf string) error {
	d := &devtest.Late{Device: newDevice(t), Compute: true, Eager: eager, Deaf: map[string]bool{deaf: true}}
	ps := params()
	s, err := NewHost(d, ps, tensor.F32)
	if err != nil {
		t.Fatal(err)
	}
	src := newFile(ps, true)
	if err := s.Load(src); err != nil {
		t.Fatal(err)
	}
	if err := lateSweep(d, s, units(ps), src); err != nil {
		return err
	}
	dst := newFile(ps, false)
	if err := s.Save(dst); err != nil {
		t.Fatal(err)
	}
	for name, want := range src.data {
		if !bytes.Equal(dst.data[name], want) {
			return fmt.Errorf("%s is saved as %x, want %x", name, dst.data[name][:4], want[:4])
		}
	}
	if in, out := s.Traffic(); in == 0 || out == 0 {
		return fmt.Errorf("%d bytes in, %d out", in, out)
	}
	return s.Close()
}

// TestHostSpill: pieces come back as they were put although every copy is late and the computation overwrites the buffer.
func TestHostSpill(t *testing.T) {
	for _, deaf := range []string{"", "device", "block inputs"} {
		late, eager := hostSpill(t, false, deaf), hostSpill(t, true, deaf)
		if (late == nil && eager == nil) != (deaf == "") {
			t.Errorf("deaf %q: %v; %v", deaf, late, eager)
		}
	}
}

func hostSpill(t *testing.T, eager bool, deaf string) error {
	d := &devtest.Late{Device: newDevice(t), Compute: true, Eager: eager, Deaf: map[string]bool{deaf: true}}
	const n = 4
	s, err := NewHostSpill(d, n, 20)
	if err != nil {
		t.Fatal(err)
	}
	alloc := func(name string) tensor.Tensor {
		x, err := d.Alloc("test", name, tensor.F32, 5)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	piece := func(i int) []byte { return bytes.Repeat([]byte{byte(i + 1), 0, 0, 0x40}, 5) }
	x := alloc("x")
	wait := func() error { return nil }
	for i := range n {
		if err := wait(); err != nil {
			t.Fatal(err)
		}
		d.CopyIn(x, piece(i))
		wait = s.Put(i, x)
	}
	var got []tensor.Tensor
	order := []int{3, 0, 2, 1}
	for _, i := range order {
		if err := s.Get(i, x)(); err != nil {
			t.Fatal(err)
		}
		y := alloc("y")
		d.Copy(y, x)
		got = append(got, y)
	}
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	for j, i := range order {
		if !bytes.Equal(got[j].Host, piece(i)) {
			return fmt.Errorf("piece %d came back as %x", i, got[j].Host)
		}
	}
	if in, out := s.Traffic(); in != 80 || out != 80 {
		return fmt.Errorf("%d bytes in, %d out, want 80 each", in, out)
	}
	return s.Close()
}
