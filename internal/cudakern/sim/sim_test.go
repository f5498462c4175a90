package sim

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"lomo/internal/cudakern/driver"
)

// bed is a machine with some cards open.
type bed struct {
	*Machine
	t     *testing.T
	cards []driver.Device
}

func newBed(t *testing.T, cards int, o Options) *bed {
	t.Helper()
	b := &bed{Machine: New(o), t: t}
	for i := range cards {
		b.cards = append(b.cards, must(b.Open(i)))
	}
	t.Cleanup(func() { check(t, b.Close()) })
	return b
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantError says whether err has the code and says why.
func wantError(t *testing.T, err error, code driver.Code, why string) {
	t.Helper()
	if !errors.Is(err, code) || !strings.Contains(err.Error(), why) {
		t.Errorf("got %v, want %s about %q", err, code.Name(), why)
	}
}

// pinned is host memory with contents.
func (b *bed) pinned(contents string) []byte {
	p := must(b.cards[0].AllocHost(int64(len(contents))))
	copy(p, contents)
	return p
}

// orders are the seeds each test of order runs with: as late as possible, and drawn.
var orders = []uint64{0, 1, 2, 3, 4, 5, 6, 7}

// TestEventsOrderStreams copies a to b on one stream and, on another that waits for it, b to the host. Every order must give
// the bytes; without the wait, some order must not.
func TestEventsOrderStreams(t *testing.T) {
	for _, wait := range []bool{true, false} {
		t.Run(fmt.Sprintf("wait=%v", wait), func(t *testing.T) {
			wrong := 0
			for _, o := range orders {
				b := newBed(t, 1, Options{Order: o})
				d := b.cards[0]
				first, second, ev := must(d.NewStream()), must(d.NewStream()), must(d.NewEvent())
				addr, src, dst := must(d.Alloc(4)), b.pinned("abcd"), b.pinned("....")
				check(t, first.CopyIn(addr, src))
				check(t, first.Record(ev))
				if wait {
					check(t, second.Wait(ev))
				}
				check(t, second.CopyOut(dst, addr))
				check(t, second.Synchronize())
				if string(dst) != "abcd" {
					wrong++
					if !bytes.Equal(dst, []byte{255, 255, 255, 255}) {
						t.Errorf("order %d: read %q, want the bytes or NaN", o, dst)
					}
				}
			}
			if wait != (wrong == 0) {
				t.Errorf("%d of %d orders went wrong", wrong, len(orders))
			}
		})
	}
}

// TestOverwrittenTooEarly has a buffer in turn: the next copy into it must wait for the reader. The reader is the late one.
func TestOverwrittenTooEarly(t *testing.T) {
	for _, wait := range []bool{true, false} {
		t.Run(fmt.Sprintf("wait=%v", wait), func(t *testing.T) {
			wrong := 0
			for _, o := range orders {
				b := newBed(t, 1, Options{Order: o})
				d := b.cards[0]
				gather, compute := must(d.NewStream()), must(d.NewStream())
				filled, read := must(d.NewEvent()), must(d.NewEvent())
				buffer, dst := must(d.Alloc(4)), b.pinned("....")
				check(t, gather.CopyIn(buffer, b.pinned("old.")))
				check(t, gather.Record(filled))
				check(t, compute.Wait(filled))
				check(t, compute.CopyOut(dst, buffer))
				check(t, compute.Record(read))
				if wait {
					check(t, gather.Wait(read))
				}
				check(t, gather.CopyIn(buffer, b.pinned("new.")))
				check(t, gather.Synchronize())
				check(t, compute.Synchronize())
				if string(dst) != "old." {
					wrong++
				}
			}
			if wait != (wrong == 0) {
				t.Errorf("%d of %d orders went wrong", wrong, len(orders))
			}
		})
	}
}

// TestPinnedIsReadLate writes host memory again before its copy was waited for.
func TestPinnedIsReadLate(t *testing.T) {
	b := newBed(t, 1, Options{})
	d := b.cards[0]
	s, addr := must(d.NewStream()), must(d.Alloc(4))
	src, out := b.pinned("abcd"), make([]byte, 4)
	check(t, s.CopyIn(addr, src))
	copy(src, "WXYZ")
	check(t, s.CopyOut(out, addr))
	if string(out) != "WXYZ" {
		t.Errorf("pinned memory: the card has %q", out)
	}
	plain := []byte("abcd")
	check(t, s.CopyIn(addr, plain))
	copy(plain, "WXYZ")
	check(t, s.CopyOut(out, addr))
	if string(out) != "abcd" {
		t.Errorf("ordinary memory: the card has %q", out)
	}
	if got := b.Traffic(); got.In[0] != 8 || got.Out[0] != 8 {
		t.Errorf("traffic %+v, want 8 bytes in and 8 out", got)
	}
}

// TestBadAddresses has each kind of address that is no good.
func TestBadAddresses(t *testing.T) {
	for _, c := range []struct {
		name, why string
		addr      func(b *bed, a uint64) uint64
	}{
		{"past the end", "end 1 bytes behind the 64 bytes", func(_ *bed, a uint64) uint64 { return a + 61 }},
		{"behind", "behind the 64 bytes", func(_ *bed, a uint64) uint64 { return a + 64 }},
		{"before", "before the 64 bytes", func(_ *bed, a uint64) uint64 { return a - 4 }},
		{"after free", "were freed", func(b *bed, a uint64) uint64 { check(b.t, b.cards[0].Free(a)); return a }},
		{"of another card", "is card 1's", func(b *bed, _ uint64) uint64 { return must(b.cards[1].Alloc(64)) }},
		{"of the host", "is no card's", func(b *bed, _ uint64) uint64 { return uint64(address(b.pinned("abcd"))) &^ (0xffff << 40) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, 2, Options{})
			d := b.cards[0]
			s := must(d.NewStream())
			addr := c.addr(b, must(d.Alloc(64)))
			check(t, s.CopyIn(addr, []byte("abcd"))) // queued
			wantError(t, s.Synchronize(), driver.IllegalAddress, c.why)
			_, err := d.Alloc(64)
			wantError(t, err, driver.IllegalAddress, c.why)
			wantError(t, d.Synchronize(), driver.IllegalAddress, c.why)
			check(t, b.cards[1].Synchronize())
		})
	}
}

// TestFreeDoesNotWait frees memory that queued work touches.
func TestFreeDoesNotWait(t *testing.T) {
	b := newBed(t, 1, Options{})
	d := b.cards[0]
	s, addr := must(d.NewStream()), must(d.Alloc(4))
	check(t, s.CopyIn(addr, b.pinned("abcd")))
	check(t, d.Free(addr))
	wantError(t, s.Synchronize(), driver.IllegalAddress, "were freed")

	b = newBed(t, 1, Options{})
	d = b.cards[0]
	s, addr = must(d.NewStream()), must(d.Alloc(4))
	host := b.pinned("abcd")
	check(t, s.CopyIn(addr, host))
	check(t, d.FreeHost(host))
	wantError(t, s.Synchronize(), driver.IllegalAddress, "pinned memory it reads was freed")
}

func TestLimit(t *testing.T) {
	b := newBed(t, 2, Options{})
	d := b.cards[0]
	free, total, err := d.Memory()
	check(t, err)
	if total != 24e9 || free != total-contextBytes {
		t.Errorf("%d of %d bytes are free", free, total)
	}
	arena := must(d.Alloc(23e9))
	_, err = d.Alloc(1e9)
	wantError(t, err, driver.OutOfMemory, "1000000000 bytes wanted")
	must(b.cards[1].Alloc(1e9)) // another card, another memory
	check(t, d.Free(arena))
	must(d.Alloc(1e9)) // and a refusal does not stick
	wantError(t, d.Free(arena), driver.InvalidValue, "were freed")
}

// TestLargeArenaCostsNothing zeroes 23 GB and writes its last bytes: host memory is used for these only.
func TestLargeArenaCostsNothing(t *testing.T) {
	b := newBed(t, 1, Options{Resident: 1 << 20})
	d := b.cards[0]
	const size = 23e9 - 5
	s, arena := must(d.NewStream()), must(d.Alloc(size))
	check(t, s.Set(arena, 0, size))
	check(t, s.CopyIn(arena+size-4, []byte("abcd")))
	got := make([]byte, 8)
	check(t, s.CopyOut(got, arena+size-8))
	if string(got) != "\x00\x00\x00\x00abcd" {
		t.Errorf("the arena ends with %q", got)
	}
	b = newBed(t, 1, Options{Resident: 1 << 20})
	s = must(b.cards[0].NewStream())
	check(t, s.Set(must(b.cards[0].Alloc(1<<21)), 1, 1<<21))
	wantError(t, s.Synchronize(), driver.IllegalAddress, "host memory")
}

func TestSet(t *testing.T) {
	b := newBed(t, 1, Options{})
	d := b.cards[0]
	const size = 3*pageBytes + 7
	s, addr := must(d.NewStream()), must(d.Alloc(size))
	want := bytes.Repeat([]byte{0xff}, size)
	for _, c := range []struct {
		off, n int
		value  byte
	}{{5, 2 * pageBytes, 0}, {pageBytes + 3, 9, 7}, {0, pageBytes, 0}, {2*pageBytes + 1, pageBytes, 3}, {size - 1, 1, 0}} {
		check(t, s.Set(addr+uint64(c.off), c.value, int64(c.n)))
		copy(want[c.off:], bytes.Repeat([]byte{c.value}, c.n))
	}
	got := make([]byte, size)
	check(t, s.CopyOut(got, addr))
	if !bytes.Equal(got, want) {
		t.Error("bytes differ")
	}
}

// TestPeers copies between cards and addresses another card's memory.
func TestPeers(t *testing.T) {
	for _, can := range []bool{false, true} {
		t.Run(fmt.Sprintf("peers=%v", can), func(t *testing.T) {
			b := newBed(t, 3, Options{Peers: can})
			from, to := b.cards[1], b.cards[2]
			s, src, dst := must(to.NewStream()), must(from.Alloc(4)), must(to.Alloc(4))
			sent, ready := must(from.NewStream()), must(from.NewEvent())
			check(t, sent.CopyIn(src, b.pinned("abcd")))
			check(t, sent.Record(ready))
			check(t, s.Wait(ready))
			check(t, to.CopyPeer(dst, to, src, from, 4, s))
			got := make([]byte, 4)
			check(t, s.CopyOut(got, dst))
			if string(got) != "abcd" {
				t.Errorf("the other card has %q", got)
			}
			if n := b.Traffic().Sent(1); n != 4 || b.Traffic().Peer[1][2] != 4 || b.Traffic().Sent(2) != 0 {
				t.Errorf("card 1 sent %d bytes: %v", n, b.Traffic().Peer)
			}
			if to.CanAccessPeer(from) != can || to.CanAccessPeer(to) {
				t.Error("CanAccessPeer")
			}
			if err := to.EnablePeer(from); (err == nil) != can {
				t.Fatal(err)
			}
			check(t, s.Copy(dst, src, 4)) // a kernel's way
			err := s.Synchronize()
			if can {
				check(t, err)
				wantError(t, to.EnablePeer(from), driver.PeerAlreadyEnabled, "card 1")
				return
			}
			wantError(t, err, driver.IllegalAddress, "card 2 has no peer access to it")
		})
	}
}

// TestPartlyPinned is a copy whose end sticks out of pinned memory.
func TestPartlyPinned(t *testing.T) {
	b := newBed(t, 1, Options{})
	file := make([]byte, 8)
	b.Pin(file[:4])
	s, addr := must(b.cards[0].NewStream()), must(b.cards[0].Alloc(8))
	wantError(t, s.CopyIn(addr, file), driver.InvalidValue, "only partly")
	check(t, s.CopyIn(addr, file[1:4]))
	check(t, s.Synchronize())
	check(t, b.Unpin(file[:4]))
	check(t, s.CopyIn(addr, file))
}

// TestRefuseAlloc is what a card does whose memory others use.
func TestRefuseAlloc(t *testing.T) {
	b := newBed(t, 2, Options{})
	b.RefuseAlloc(1, 2)
	for i, want := range []bool{true, false, true} {
		if _, err := b.cards[1].Alloc(64); (err == nil) != want {
			t.Errorf("allocation %d: %v", i, err)
		}
	}
	must(b.cards[0].Alloc(64))
}

func TestForeignObjects(t *testing.T) {
	b, other := newBed(t, 2, Options{}), newBed(t, 1, Options{})
	s, ev := must(b.cards[0].NewStream()), must(b.cards[1].NewEvent())
	wantError(t, s.Record(ev), driver.InvalidHandle, "not of this card")
	wantError(t, s.Wait(must(other.cards[0].NewEvent())), driver.InvalidHandle, "not of this machine")
	wantError(t, b.cards[1].CopyPeer(0, b.cards[0], 0, b.cards[1], 4, s), driver.InvalidHandle, "not of this card")
	check(t, s.Wait(ev)) // never recorded: holds nothing back
	check(t, s.Synchronize())
	_, err := b.Open(9)
	wantError(t, err, driver.InvalidDevice, "there are 8")
}

// TestSince measures between reached events only.
func TestSince(t *testing.T) {
	b := newBed(t, 1, Options{})
	s := must(b.cards[0].NewStream())
	from, to := must(b.cards[0].NewEvent()), must(b.cards[0].NewEvent())
	check(t, s.Record(from))
	check(t, s.Record(to))
	_, err := to.Since(from)
	wantError(t, err, driver.NotReady, "not waited for")
	check(t, to.Synchronize())
	if ms, err := to.Since(from); err != nil || ms < 0 {
		t.Errorf("%v ms, %v", ms, err)
	}
}
