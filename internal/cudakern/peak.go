package cudakern

import (
	"fmt"

	"lomo/internal/cudakern/driver"
	"lomo/internal/tensor"
)

// Info is what the card says of itself.
func (d *Device) Info() driver.Info { return d.info }

// PeakFLOPS is what the card does at most in products of two factors of dt with float32 sums, floating-point operations a second, at the clock it states:
// multiprocessors x clock x operations a clock, the last from NVIDIA's white papers of the architectures. Cards of the professional series do twice
// the BF16 figure of a GeForce of the same compute capability.
func (d *Device) PeakFLOPS(dt tensor.DType) float64 {
	perClock := 256.0 // 128 multiply-adds
	switch at := d.info.Major*10 + d.info.Minor; {
	case dt == tensor.BF16 && at == 80:
		perClock = 2048
	case dt == tensor.BF16 && at >= 90:
		perClock = 4096
	case dt == tensor.BF16:
		perClock = 512
	case at == 80:
		perClock = 128
	}
	return float64(d.info.Multiprocessors) * float64(d.info.ClockKHz) * 1e3 * perClock
}

// Bandwidth is what the card's memory moves at most, bytes a second: its clock, two transfers a clock, its bus. It is not measured.
func (d *Device) Bandwidth(int64) (copying, triad float64, err error) {
	b := float64(d.info.MemoryClockKHz) * 1e3 * 2 * float64(d.info.BusBits) / 8
	return b, b, nil
}

// rounds is how often a copy is timed; the fastest counts.
const rounds = 5

// HostBandwidth measures copies of so many bytes from pinned host memory to the card and back, bytes a second.
func (d *Device) HostBandwidth(bytes int64) (in, out float64, err error) {
	defer d.arena.Release(d.arena.Mark())
	t, err := d.Scratch("measurement", "copied", tensor.U8, int(bytes))
	if err != nil {
		return 0, 0, err
	}
	host, err := d.card.AllocHost(bytes)
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", d.label(), err)
	}
	defer d.card.FreeHost(host) //nolint:errcheck // after a measurement
	if in, err = d.fastest(bytes, func() error { return d.stream.CopyIn(t.Addr, host) }); err != nil {
		return 0, 0, err
	}
	out, err = d.fastest(bytes, func() error { return d.stream.CopyOut(host, t.Addr) })
	return in, out, err
}

// PeerBandwidth measures copies of so many bytes to another card, bytes a second, and says whether they went directly: the cards can address each other, and
// EnablePeer was called.
func (d *Device) PeerBandwidth(to *Device, bytes int64) (rate float64, direct bool, err error) {
	defer d.arena.Release(d.arena.Mark())
	defer to.arena.Release(to.arena.Mark())
	src, err := d.Scratch("measurement", "sent", tensor.U8, int(bytes))
	if err != nil {
		return 0, false, err
	}
	dst, err := to.Alloc("measurement", "received", tensor.U8, int(bytes))
	if err != nil {
		return 0, false, err
	}
	d.Zero(src)
	if err := to.Sync(); err != nil { // its zeros come first
		return 0, false, err
	}
	rate, err = d.fastest(bytes, func() error { return d.card.CopyPeer(dst.Addr, to.card, src.Addr, d.card, bytes, d.stream.Stream) })
	return rate, d.card.CanAccessPeer(to.card), err
}

// fastest is the rate of a copy on the device's stream by the card's own clock.
func (d *Device) fastest(bytes int64, copying func() error) (float64, error) {
	from, err := d.card.NewEvent()
	if err != nil {
		return 0, err
	}
	to, err := d.card.NewEvent()
	if err != nil {
		return 0, err
	}
	best := 0.0
	for range rounds {
		for _, step := range []func() error{func() error { return d.stream.Record(from) }, copying, func() error { return d.stream.Record(to) }, to.Synchronize} {
			if err := step(); err != nil {
				return 0, fmt.Errorf("%s: %w", d.label(), err)
			}
		}
		ms, err := to.Since(from)
		if err != nil {
			return 0, err
		}
		best = max(best, float64(bytes)/(max(ms, 1e-6)/1e3))
	}
	return best, nil
}
