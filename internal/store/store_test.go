package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"lomo/internal/comm"
	"lomo/internal/cpukern"
	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// params is a table, two blocks of a matrix and a gain each, and a head: more units than any store has buffers.
func params() []*grad.Param {
	var out []*grad.Param
	add := func(block int, name string, shape ...int) {
		out = append(out, &grad.Param{Name: name, ID: uint32(len(out)), Block: block, Shape: shape})
	}
	add(-1, "embed", 11, 3)
	for b := range 4 {
		add(b, fmt.Sprintf("block %d", b), 7, 3)
		add(b, fmt.Sprintf("block %d, second", b), 2, 5)
		add(b, fmt.Sprintf("gain %d", b), 3)
	}
	add(4, "norm", 3)
	add(4, "head", 11, 3)
	return out
}

// file is a checkpoint in memory: it is read from and written to.
type file struct {
	mu   sync.Mutex
	data map[string][]byte
	row  map[string]int // bytes of a row
}

func newFile(ps []*grad.Param, fill bool) *file {
	f := &file{data: map[string][]byte{}, row: map[string]int{}}
	for _, p := range ps {
		f.row[p.Name] = 4 * p.Len() / p.Shape[0]
		f.data[p.Name] = make([]byte, 4*p.Len())
		for i := range f.data[p.Name] {
			if fill {
				f.data[p.Name][i] = byte(i*7 + int(p.ID)*31)
			}
		}
	}
	return f
}

func (f *file) ReadRows(name string, r0, r1 int, dst []byte, _ tensor.DType) error {
	copy(dst, f.data[name][r0*f.row[name]:r1*f.row[name]])
	return nil
}

func (f *file) WriteRows(name string, r0 int, data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	copy(f.data[name][r0*f.row[name]:], data)
	return nil
}

// units is ps grouped as a sweep acquires them.
func units(ps []*grad.Param) [][]*grad.Param {
	out := [][]*grad.Param{{ps[0]}}
	for b := range 4 {
		out = append(out, ps[1+3*b:4+3*b])
	}
	return append(out, ps[len(ps)-2:])
}

func newDevice(t *testing.T) *cpukern.Device {
	t.Helper()
	d, err := cpukern.Open(cpukern.Options{Capacity: 1 << 20, Threads: 1, PoisonReleased: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// sweep goes down and up through all units, checks what it acquires against want, and adds one to the first byte of each
// parameter on the way up.
func sweep(s Store, all [][]*grad.Param, want *file) error {
	use := func(u []*grad.Param, dirty bool) error {
		if err := s.Acquire(u); err != nil {
			return err
		}
		for _, p := range u {
			if !bytes.Equal(p.W.Host, want.data[p.Name]) {
				return fmt.Errorf("%s is not what was stored", p.Name)
			}
			if dirty {
				p.W.Host[0]++
				want.data[p.Name][0]++
			}
		}
		return s.Release(u, dirty)
	}
	for i, u := range all {
		if i+1 < len(all) && i > 0 && i < 4 {
			s.Prefetch(all[i+1])
		}
		if err := use(u, false); err != nil {
			return err
		}
	}
	for i := len(all) - 1; i >= 0; i-- {
		if i == 3 || i == 2 {
			s.Prefetch(all[i-1])
		}
		if err := use(all[i], true); err != nil {
			return err
		}
	}
	return nil
}

// eachPiece runs a test with tensors that are read and written at once, and in pieces of one and of two rows, of which the last one is shorter.
func eachPiece(t *testing.T, name string, test func(t *testing.T)) {
	defer func(n int) { loadBytes = n }(loadBytes)
	for _, bytes := range []int{loadBytes, 12, 24} {
		loadBytes = bytes
		t.Run(fmt.Sprintf("%s/%d", name, bytes), test)
	}
}

func TestStoresKeepWhatTheyAreGiven(t *testing.T) {
	for name, open := range map[string]func(d *cpukern.Device, ps []*grad.Param) (Store, error){
		"resident": func(d *cpukern.Device, ps []*grad.Param) (Store, error) { return NewResident(d, ps, tensor.F32) },
		"disk": func(d *cpukern.Device, ps []*grad.Param) (Store, error) {
			return NewDisk(d, ps, tensor.F32, filepath.Join(t.TempDir(), "copy"))
		},
		"host": func(d *cpukern.Device, ps []*grad.Param) (Store, error) { return NewHost(d, ps, tensor.F32) },
		"shard of one": func(d *cpukern.Device, ps []*grad.Param) (Store, error) {
			return NewShard(d, comm.NewLocal(1)[0], ps, tensor.F32, ShardOptions{})
		},
	} {
		eachPiece(t, name, func(t *testing.T) {
			ps := params()
			s, err := open(newDevice(t), ps)
			if err != nil {
				t.Fatal(err)
			}
			src := newFile(ps, true)
			if err := s.Load(src); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if name == "shard of one" { // it writes own rows, not the gathered copy: see TestShardOfSeveral
					break
				}
				if err := sweep(s, units(ps), src); err != nil {
					t.Fatal(err)
				}
			}
			dst := newFile(ps, false)
			if err := s.Save(dst); err != nil {
				t.Fatal(err)
			}
			for n, b := range src.data {
				if !bytes.Equal(dst.data[n], b) {
					t.Errorf("%s: saved bytes differ", n)
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestShardOfSeveral: ranks gather the whole, update their own rows, gather the new whole, and save it together.
func TestShardOfSeveral(t *testing.T) { eachPiece(t, "", testShardOfSeveral) }

func testShardOfSeveral(t *testing.T) {
	const size = 3
	group := comm.NewLocal(size)
	src := newFile(params(), true)
	dst := newFile(params(), false)
	errs := make([]error, size)
	devices := []*cpukern.Device{newDevice(t), newDevice(t), newDevice(t)}
	var wg sync.WaitGroup
	for r, c := range group {
		wg.Go(func() {
			errs[r] = func() error {
				ps := params()
				s, err := NewShard(devices[r], c, ps, tensor.F32, ShardOptions{})
				if err != nil {
					return err
				}
				if err := s.Load(src); err != nil {
					return err
				}
				for _, u := range units(ps) {
					if err := s.Acquire(u); err != nil {
						return err
					}
					for _, p := range u {
						if !bytes.Equal(p.W.Host, src.data[p.Name]) {
							return fmt.Errorf("%s is not gathered whole", p.Name)
						}
						for own, i := s.Own(p).W.Host, 0; p.Matrix() && i < len(own); i++ {
							own[i] ^= 0xff
						}
					}
					if err := s.Release(u, true); err != nil {
						return err
					}
				}
				return s.Save(dst)
			}()
			if errs[r] != nil {
				c.Abort(errs[r])
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, p := range params() {
		for i, b := range dst.data[p.Name] {
			want := src.data[p.Name][i]
			if p.Matrix() {
				want ^= 0xff
			}
			if b != want {
				t.Fatalf("%s, byte %d: %x, want %x", p.Name, i, b, want)
			}
		}
	}
}

// TestDiskFailures: a working copy that cannot be made, or read, is an error that names it.
func TestDiskFailures(t *testing.T) {
	if _, err := NewDisk(newDevice(t), params(), tensor.F32, filepath.Join(t.TempDir(), "no", "such", "folder")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	ps := params()
	path := filepath.Join(t.TempDir(), "copy")
	s, err := NewDisk(newDevice(t), ps, tensor.F32, path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Acquire(ps[:1]); err == nil {
		t.Error("a working copy that was cut short is read")
	}
}

// TestFailedWritesAreToldOf: an update that could not be written to disk ends the run at the next release, at the latest where the weights are saved or
// the store is closed, and so does a block input.
func TestFailedWritesAreToldOf(t *testing.T) {
	// readOnly is a file that refuses what is written to it, in place of the one that was opened.
	readOnly := func(f *os.File) *os.File {
		t.Helper()
		g, err := os.Open(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		return g
	}
	for name, ask := range map[string]func(s *Disk, ps []*grad.Param) error{
		"save":  func(s *Disk, ps []*grad.Param) error { return s.Save(newFile(ps, false)) },
		"close": func(s *Disk, _ []*grad.Param) error { return s.Close() },
		"the release of another unit": func(s *Disk, ps []*grad.Param) error {
			s.io.pending.Wait()
			return errors.Join(s.Acquire(ps[4:6]), s.Release(ps[4:6], false))
		},
	} {
		for unit, of := range map[string][2]int{"block": {1, 3}, "table": {0, 1}} {
			ps := params()
			s, err := NewDisk(newDevice(t), ps, tensor.F32, filepath.Join(t.TempDir(), "copy"))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Load(newFile(ps, true)); err != nil {
				t.Fatal(err)
			}
			s.file = readOnly(s.file)
			u := ps[of[0]:of[1]]
			if err := s.Acquire(u); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(s.Release(u, true), ask(s, ps)); err == nil {
				t.Errorf("a %s whose update was not written is forgotten: %s says nothing", unit, name)
			}
		}
	}
	s, err := NewFileSpill(filepath.Join(t.TempDir(), "spill"))
	if err != nil {
		t.Fatal(err)
	}
	s.file = readOnly(s.file)
	if err := s.Put(0, tensor.NewHost("x", tensor.F32, 5))(); err == nil {
		t.Error("a block input that was not written is forgotten")
	}
}

// TestLongestIdle: a unit's own buffer, else of those not acquired the one used longest ago: the other one may hold what was brought ahead.
func TestLongestIdle(t *testing.T) {
	type buffer struct {
		name string
		unit *grad.Param
		turn int
	}
	a, b, c, other := &grad.Param{Name: "a"}, &grad.Param{Name: "b"}, &grad.Param{Name: "c"}, &grad.Param{Name: "d"}
	for _, k := range []struct {
		turns [3]int // of the buffers that hold a, b and c
		held  []*grad.Param
		want  *grad.Param
		found *grad.Param // what the chosen buffer holds
	}{
		{[3]int{1, 2, 3}, nil, b, b},
		{[3]int{1, 2, 3}, []*grad.Param{b}, b, b}, // acquired already
		{[3]int{1, 2, 3}, nil, other, a},
		{[3]int{2, 1, 3}, nil, other, b},
		{[3]int{3, 2, 1}, nil, other, c},
		{[3]int{1, 2, 3}, []*grad.Param{a}, other, b},
		{[3]int{3, 2, 1}, []*grad.Param{c}, other, b},
		{[3]int{1, 3, 2}, []*grad.Param{a, c}, other, b},
		{[3]int{0, 0, 0}, nil, other, a}, // none was used: the first
	} {
		buffers := []*buffer{{"first", a, k.turns[0]}, {"second", b, k.turns[1]}, {"third", c, k.turns[2]}}
		held := map[*grad.Param]*buffer{}
		for _, p := range k.held {
			for _, x := range buffers {
				if x.unit == p {
					held[p] = x
				}
			}
		}
		got := longestIdle(buffers, held, k.want, func(x *buffer) (*grad.Param, int) { return x.unit, x.turn })
		if got.unit != k.found {
			t.Errorf("%+v: the buffer of %s, want that of %s", k, got.unit.Name, k.found.Name)
		}
	}
}

// TestSpill: pieces come back as they were put, in any order.
func TestSpill(t *testing.T) {
	s, err := NewFileSpill(filepath.Join(t.TempDir(), "spill"))
	if err != nil {
		t.Fatal(err)
	}
	x := tensor.NewHost("x", tensor.F32, 5)
	for i := range 4 {
		for j := range x.F32s() {
			x.F32s()[j] = float32(10*i + j)
		}
		if err := s.Put(i, x)(); err != nil {
			t.Fatal(err)
		}
	}
	for _, i := range []int{3, 0, 2, 1} {
		if err := s.Get(i, x)(); err != nil {
			t.Fatal(err)
		}
		if x.F32s()[4] != float32(10*i+4) {
			t.Errorf("piece %d: %v", i, x.F32s())
		}
	}
	for _, i := range []int{2, 0} { // as many come back as are wanted
		if err := s.Get(i, x)(); err != nil {
			t.Fatal(err)
		}
	}
	if in, out := s.Traffic(); in != 120 || out != 80 {
		t.Errorf("%d bytes in, %d out, want 120 and 80", in, out)
	}
	if err := s.Get(9, x)(); err == nil {
		t.Error("a piece that was never put is read")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
