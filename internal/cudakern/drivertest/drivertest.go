// Package drivertest is what every driver.Driver must do: the simulated one, the real binding on the simulated libcuda, and the
// real binding on a card.
package drivertest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"

	"lomo/internal/cudakern/driver"
)

// Suite runs on card 0 and, where there are more, between cards 0 and 1.
func Suite(t *testing.T, drv driver.Driver) {
	for _, c := range []struct {
		name string
		run  func(*bed)
	}{
		{"Info", (*bed).info}, {"Memory", (*bed).memory}, {"OutOfMemory", (*bed).outOfMemory}, {"Copies", (*bed).copies},
		{"Events", (*bed).events}, {"Launch", (*bed).launch}, {"Shared", (*bed).shared}, {"BadPTX", (*bed).badPTX},
		{"CopyPeer", (*bed).copyPeer}, {"EnablePeer", (*bed).enablePeer}, {"Goroutines", (*bed).goroutines},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(newBed(t, drv)) })
	}
}

// bed is the first two cards, or twice the same.
type bed struct {
	*testing.T
	drv   driver.Driver
	cards [2]driver.Device
}

func newBed(t *testing.T, drv driver.Driver) *bed {
	b := &bed{T: t, drv: drv}
	if drv.Count() == 0 {
		t.Fatal("the driver has no card")
	}
	for i := range b.cards {
		d, err := drv.Open(min(i, drv.Count()-1))
		if err != nil {
			t.Fatal(err)
		}
		b.cards[i] = d
		t.Cleanup(func() { b.check(d.Close()) })
	}
	return b
}

func (b *bed) check(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bed) want(err error, code driver.Code) {
	b.Helper()
	if !errors.Is(err, code) {
		b.Errorf("got %v, want %s", err, code.Name())
	}
}

func get[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// alloc and pin give memory that is freed with the test.
func (b *bed) alloc(d driver.Device, n int64) uint64 {
	addr := get(d.Alloc(n))
	b.Cleanup(func() { b.check(d.Free(addr)) })
	return addr
}

func (b *bed) pin(contents string) []byte {
	p := get(b.cards[0].AllocHost(int64(len(contents))))
	for i := range p {
		if p[i] != 0 {
			b.Fatalf("byte %d of pinned memory is %#x", i, p[i])
		}
	}
	b.Cleanup(func() { b.check(b.cards[0].FreeHost(p)) })
	copy(p, contents)
	return p
}

func (b *bed) info() {
	i := b.cards[0].Info()
	if i.Index != 0 || i.Name == "" || i.Major < 5 || i.Multiprocessors < 1 || i.ClockKHz < 1 || i.MemoryClockKHz < 1 || i.BusBits < 1 || i.SharedPerBlock < 48<<10 || i.L2Bytes < 1 {
		b.Errorf("%+v", i)
	}
	if len(i.UUID) != len("GPU-00000000-0000-0000-0000-000000000000") || len(i.PCI) != len("0000:00:00.0") {
		b.Errorf("UUID %q, PCI %q", i.UUID, i.PCI)
	}
	if v := b.drv.Version(); v < 11000 {
		b.Errorf("version %d", v)
	}
	_, err := b.drv.Open(b.drv.Count())
	b.want(err, driver.InvalidDevice)
}

func (b *bed) memory() {
	before, total, err := b.cards[0].Memory()
	b.check(err)
	const size = 64 << 20
	b.alloc(b.cards[0], size)
	after, _, err := b.cards[0].Memory()
	b.check(err)
	if before-after < size || before > total {
		b.Errorf("%d of %d bytes were free, then %d", before, total, after)
	}
}

func (b *bed) outOfMemory() {
	_, total, err := b.cards[0].Memory()
	b.check(err)
	_, err = b.cards[0].Alloc(total)
	b.want(err, driver.OutOfMemory)
	b.alloc(b.cards[0], 1) // it does not stick
}

// copies goes in and out by pinned and by ordinary memory, at odd places.
func (b *bed) copies() {
	d := b.cards[0]
	s, addr := get(d.NewStream()), b.alloc(d, 64)
	for name, host := range map[string][]byte{"pinned": b.pin("..abcdefg"), "ordinary": []byte("..abcdefg")} {
		b.check(s.Set(addr, '-', 64))
		b.check(s.CopyIn(addr+1, host[2:]))
		b.check(s.Copy(addr+20, addr+2, 3))
		b.check(s.CopyOut(host[1:], addr+19))
		b.check(s.Synchronize())
		if string(host) != ".-bcd----" {
			b.Errorf("%s memory: %q", name, host)
		}
	}
}

// events sends bytes from one stream to another and measures.
func (b *bed) events() {
	d := b.cards[0]
	first, second := get(d.NewStream()), get(d.NewStream())
	start, end := get(d.NewEvent()), get(d.NewEvent())
	addr, src, dst := b.alloc(d, 4), b.pin("abcd"), b.pin("....")
	b.check(first.Record(start))
	b.check(first.CopyIn(addr, src))
	b.check(first.Record(end))
	b.check(second.Wait(end))
	b.check(second.CopyOut(dst, addr))
	b.check(second.Synchronize())
	if string(dst) != "abcd" {
		b.Errorf("the other stream has %q", dst)
	}
	b.check(end.Synchronize())
	if ms, err := end.Since(start); err != nil || ms < 0 || ms > 1e6 {
		b.Errorf("%v ms, %v", ms, err)
	}
	b.check(d.Synchronize())
}

// axpy has a parameter of every size: y[i] = a·x[i] + i for i < n, and *seen = a 64-bit number.
const axpy = `.version 7.8
.target sm_80
.address_size 64
.visible .entry axpy(.param .u64 y, .param .u64 x, .param .f32 a, .param .u32 n, .param .u64 number, .param .u64 seen)
{
	.reg .pred %p<2>;
	.reg .f32 %f<6>;
	.reg .b32 %r<6>;
	.reg .b64 %rd<10>;
	ld.param.u64 %rd1, [y];
	ld.param.u64 %rd2, [x];
	ld.param.f32 %f1, [a];
	ld.param.u32 %r1, [n];
	ld.param.u64 %rd8, [number];
	ld.param.u64 %rd9, [seen];
	mov.u32 %r2, %ctaid.x;
	mov.u32 %r3, %ntid.x;
	mov.u32 %r4, %tid.x;
	mad.lo.s32 %r5, %r2, %r3, %r4;
	setp.ge.s32 %p1, %r5, %r1;
	@%p1 bra DONE;
	cvta.to.global.u64 %rd3, %rd1;
	cvta.to.global.u64 %rd4, %rd2;
	mul.wide.s32 %rd5, %r5, 4;
	add.s64 %rd6, %rd4, %rd5;
	add.s64 %rd7, %rd3, %rd5;
	ld.global.f32 %f2, [%rd6];
	cvt.rn.f32.s32 %f3, %r5;
	fma.rn.f32 %f4, %f1, %f2, %f3;
	st.global.f32 [%rd7], %f4;
	setp.ne.s32 %p1, %r5, 0;
	@%p1 bra DONE;
	cvta.to.global.u64 %rd9, %rd9;
	st.global.u64 [%rd9], %rd8;
DONE:
	ret;
}
`

func (b *bed) launch() { b.axpy(b.cards[0]) }

// axpy runs the kernel on d with 100 elements in blocks of 32.
func (b *bed) axpy(d driver.Device) {
	const n, a, number = 100, 2.5, uint64(0x123456789abcdef0)
	f := get(get(d.Load(axpy)).Function("axpy"))
	s, x, y, seen := get(d.NewStream()), b.alloc(d, 4*n), b.alloc(d, 4*n), b.alloc(d, 8)
	in, out := make([]byte, 4*n), make([]byte, 4*n+8)
	for i := range n {
		binary.LittleEndian.PutUint32(in[4*i:], math.Float32bits(float32(i)))
	}
	b.check(s.CopyIn(x, in))
	args := []uint64{y, x, uint64(math.Float32bits(a)), n, number, seen}
	b.check(s.Launch(f, [3]int{4, 1, 1}, [3]int{32, 1, 1}, 0, args))
	clear(args) // read already
	b.check(s.CopyOut(out[:4*n], y))
	b.check(s.CopyOut(out[4*n:], seen))
	for i := range n {
		if got := math.Float32frombits(binary.LittleEndian.Uint32(out[4*i:])); got != (a+1)*float32(i) {
			b.Fatalf("element %d is %v, want %v", i, got, (a+1)*float32(i))
		}
	}
	if got := binary.LittleEndian.Uint64(out[4*n:]); got != number {
		b.Errorf("a 64-bit parameter arrived as %#x", got)
	}
	_, err := get(d.Load(axpy)).Function("nobody")
	b.want(err, driver.NotFound)
}

// mirror reverses 16,384 words through dynamic shared memory, 64 KiB.
const mirror = `.version 7.8
.target sm_80
.address_size 64
.extern .shared .align 16 .b8 room[];
.visible .entry mirror(.param .u64 y)
{
	.reg .pred %p<2>;
	.reg .b32 %r<12>;
	.reg .b64 %rd<6>;
	ld.param.u64 %rd1, [y];
	cvta.to.global.u64 %rd2, %rd1;
	mov.u32 %r1, %tid.x;
	mov.u32 %r2, room;
	mov.u32 %r3, %r1;
IN:
	shl.b32 %r4, %r3, 2;
	add.s32 %r5, %r2, %r4;
	cvt.u64.u32 %rd3, %r4;
	add.s64 %rd4, %rd2, %rd3;
	ld.global.u32 %r6, [%rd4];
	st.shared.u32 [%r5], %r6;
	add.s32 %r3, %r3, 256;
	setp.lt.s32 %p1, %r3, 16384;
	@%p1 bra IN;
	bar.sync 0;
	mov.u32 %r3, %r1;
OUT:
	shl.b32 %r4, %r3, 2;
	mov.u32 %r7, 65532;
	sub.s32 %r8, %r7, %r4;
	add.s32 %r5, %r2, %r8;
	ld.shared.u32 %r6, [%r5];
	cvt.u64.u32 %rd3, %r4;
	add.s64 %rd4, %rd2, %rd3;
	st.global.u32 [%rd4], %r6;
	add.s32 %r3, %r3, 256;
	setp.lt.s32 %p1, %r3, 16384;
	@%p1 bra OUT;
	ret;
}
`

func (b *bed) shared() {
	const words, size = 16384, 64 << 10
	d := b.cards[0]
	f := get(get(d.Load(mirror)).Function("mirror"))
	s, addr, host := get(d.NewStream()), b.alloc(d, size), make([]byte, size)
	for i := range words {
		binary.LittleEndian.PutUint32(host[4*i:], uint32(i))
	}
	b.check(s.CopyIn(addr, host))
	b.want(s.Launch(f, [3]int{1, 1, 1}, [3]int{256, 1, 1}, size, []uint64{addr}), driver.InvalidValue)
	b.check(f.SetShared(size))
	b.check(s.Launch(f, [3]int{1, 1, 1}, [3]int{256, 1, 1}, size, []uint64{addr}))
	b.check(s.CopyOut(host, addr))
	for i := range words {
		if got := binary.LittleEndian.Uint32(host[4*i:]); got != uint32(words-1-i) {
			b.Fatalf("word %d is %d", i, got)
		}
	}
	b.want(f.SetShared(d.Info().SharedPerBlock+1), driver.InvalidValue)
}

// badPTX wants the compiler's words, with the line or the instruction.
func (b *bed) badPTX() {
	_, err := b.cards[0].Load(strings.Replace(axpy, "fma.rn.f32", "fmaaa.rn.f32", 1))
	b.want(err, driver.InvalidPTX)
	if err != nil && !strings.Contains(err.Error(), "fmaaa") {
		b.Errorf("%v does not name the instruction", err)
	}
	b.check(b.cards[0].Synchronize())
}

func (b *bed) copyPeer() {
	from, to := b.cards[0], b.cards[1]
	src, dst, out := b.alloc(from, 5), b.alloc(to, 5), make([]byte, 5)
	sent, got, ready := get(from.NewStream()), get(to.NewStream()), get(from.NewEvent())
	b.check(sent.CopyIn(src, b.pin("abcde")))
	b.check(sent.Record(ready))
	b.check(got.Set(dst, '-', 5))
	b.check(got.Wait(ready))
	b.check(to.CopyPeer(dst+1, to, src, from, 3, got))
	b.check(got.CopyOut(out, dst))
	if !bytes.Equal(out, []byte("-abc-")) {
		b.Errorf("the other card has %q", out)
	}
}

func (b *bed) enablePeer() {
	from, to := b.cards[0], b.cards[1]
	if b.drv.Count() < 2 || !to.CanAccessPeer(from) {
		if err := to.EnablePeer(from); err == nil {
			b.Error("access to a card that cannot be addressed was given")
		}
		return
	}
	if err := to.EnablePeer(from); err != nil && !errors.Is(err, driver.PeerAlreadyEnabled) { // a context is one for all tests
		b.Fatal(err)
	}
	src, dst, out := b.alloc(from, 4), b.alloc(to, 4), make([]byte, 4)
	s := get(from.NewStream())
	b.check(s.CopyIn(src, []byte("abcd")))
	b.check(s.Synchronize())
	s = get(to.NewStream())
	b.check(s.Copy(dst, src, 4))
	b.check(s.CopyOut(out, dst))
	if string(out) != "abcd" {
		b.Errorf("%q", out)
	}
}

// goroutines calls both cards in turn from many goroutines, which change threads as they like.
func (b *bed) goroutines() {
	var wg sync.WaitGroup
	var locks [2]sync.Mutex
	for i := range 8 {
		wg.Go(func() {
			locks[i%2].Lock()
			defer locks[i%2].Unlock()
			b.axpy(b.cards[i%2])
		})
	}
	wg.Wait()
}
