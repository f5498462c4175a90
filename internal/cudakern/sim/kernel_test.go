package sim

import (
	"testing"

	"lomo/internal/cudakern/driver"
)

// poke writes a word at an address: out of bounds, misaligned and other cards' addresses are the launch's choice.
const poke = `.version 7.8
.target sm_80
.address_size 64
.visible .entry poke(.param .u64 at, .param .u32 value)
.maxntid 32, 1, 1
{
	.reg .b32 %r<2>;
	.reg .b64 %rd<3>;
	ld.param.u64 %rd1, [at];
	ld.param.u32 %r1, [value];
	cvta.to.global.u64 %rd2, %rd1;
	st.global.u32 [%rd2], %r1;
	ret;
}
`

// pokers is a card with the kernel loaded.
func (b *bed) poker(card int) (driver.Stream, driver.Function) {
	d := b.cards[card]
	return must(d.NewStream()), must(must(d.Load(poke)).Function("poke"))
}

var one = [3]int{1, 1, 1}

func TestKernelFaults(t *testing.T) {
	for _, c := range []struct {
		name, why string
		code      driver.Code
		off       uint64
		card      int // whose memory
	}{
		{"past the end", "end 2 bytes behind", driver.IllegalAddress, 64, 0},
		{"misaligned", "misaligned", driver.MisalignedAddress, 2, 0},
		{"another card's", "no peer access", driver.IllegalAddress, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, 2, Options{})
			s, f := b.poker(0)
			addr := must(b.cards[c.card].Alloc(66))
			check(t, s.Launch(f, one, one, 0, []uint64{addr + c.off, 1}))
			wantError(t, s.Synchronize(), c.code, c.why)
			wantError(t, s.Launch(f, one, one, 0, []uint64{addr, 1}), c.code, c.why)
			check(t, b.cards[1].Synchronize())
		})
	}
}

// TestKernelPeer is the same kernel once peer access was asked for.
func TestKernelPeer(t *testing.T) {
	b := newBed(t, 2, Options{Peers: true})
	s, f := b.poker(0)
	addr := must(b.cards[1].Alloc(64))
	check(t, b.cards[0].EnablePeer(b.cards[1]))
	check(t, s.Launch(f, one, one, 0, []uint64{addr, 0x64636261}))
	check(t, s.Synchronize())
	got := make([]byte, 4)
	check(t, must(b.cards[1].NewStream()).CopyOut(got, addr))
	if string(got) != "abcd" {
		t.Errorf("the other card has %q", got)
	}
}

// TestLaunchRefused is what the driver finds before it queues anything, and forgets.
func TestLaunchRefused(t *testing.T) {
	b := newBed(t, 2, Options{})
	s, f := b.poker(0)
	args := []uint64{must(b.cards[0].Alloc(64)), 1}
	for _, c := range []struct {
		why         string
		grid, block [3]int
		shared      int
		args        []uint64
	}{
		{"grid [0 1 1]", [3]int{0, 1, 1}, one, 0, args},
		{"grid [1 70000 1]", [3]int{1, 70000, 1}, one, 0, args},
		{"block [2048 1 1]", one, [3]int{2048, 1, 1}, 0, args},
		{"compiled for at most [32 1 1]", one, [3]int{64, 1, 1}, 0, args},
		{"49153 bytes of dynamic shared memory", one, one, 48<<10 + 1, args},
		{"1 arguments for 2 parameters", one, one, 0, args[:1]},
	} {
		wantError(t, s.Launch(f, c.grid, c.block, c.shared, c.args), driver.InvalidValue, c.why)
	}
	other, _ := b.poker(1)
	wantError(t, other.Launch(f, one, one, 0, args), driver.InvalidHandle, "not loaded on this card")
	check(t, s.Launch(f, one, one, 0, args))
	check(t, s.Synchronize())
}

// TestLose has a card fall off the bus at its third launch; the others go on.
func TestLose(t *testing.T) {
	b := newBed(t, 2, Options{})
	b.Lose(1, 3)
	for card, want := range []bool{true, false} {
		s, f := b.poker(card)
		addr := must(b.cards[card].Alloc(64))
		for range 3 {
			check(t, s.Launch(f, one, one, 0, []uint64{addr, 1}))
		}
		err := s.Synchronize()
		if want {
			check(t, err)
			continue
		}
		wantError(t, err, driver.Unknown, "fallen off the bus")
		_, _, err = b.cards[card].Memory()
		wantError(t, err, driver.Unknown, "fallen off the bus")
	}
}

// TestPeerOfLostCard copies from a card that is lost: the bus reads ones, and the card that copies knows nothing of it.
func TestPeerOfLostCard(t *testing.T) {
	b := newBed(t, 2, Options{})
	b.Lose(0, 1)
	s, f := b.poker(0)
	addr, here := must(b.cards[0].Alloc(64)), must(b.cards[1].Alloc(64))
	check(t, s.Launch(f, one, one, 0, []uint64{addr, 1}))
	if s.Synchronize() == nil {
		t.Fatal("the card was not lost")
	}
	mine, got := must(b.cards[1].NewStream()), make([]byte, 4)
	check(t, b.cards[1].CopyPeer(here, b.cards[1], addr, b.cards[0], 4, mine))
	check(t, mine.CopyOut(got, here))
	if string(got) != "\xff\xff\xff\xff" {
		t.Errorf("%q came from a lost card", got)
	}
}
