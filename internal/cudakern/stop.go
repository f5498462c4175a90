package cudakern

import (
	"encoding/binary"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// stopWord is the word every kernel reads first: 0 while all is well, else the number of the check that failed, and then the
// kernel returns at once. So a step need not wait for the host to look at a gradient, and still nothing is written behind a bad one.
type stopWord struct {
	addr   uint64
	host   []byte // pinned, for reading it
	checks []check
	number map[check]uint32
}

// unwantedSum is where, behind the word, a sum goes that is only made for its check.
const unwantedSum = 64

// check is an operation that may fail on the card, and the tensor it would name.
type check struct{ op, tensor string }

func (d *Device) openStop() error {
	host, err := d.card.AllocHost(8)
	if err != nil {
		return err
	}
	d.stop = stopWord{addr: d.arena.base, host: host, number: map[check]uint32{}}
	return d.stream.Set(d.stop.addr, 0, stopBytes)
}

func (d *Device) closeStop() error {
	if d.stop.host == nil {
		return nil
	}
	host := d.stop.host
	d.stop.host = nil
	return d.card.FreeHost(host)
}

// failure is what a check of op writes into the stop word, whose address comes with it, when the gradient of t is not finite.
func (d *Device) failure(op string, t tensor.Tensor) (addr uint64, number uint32) {
	c := check{op, t.Name}
	n, ok := d.stop.number[c]
	if !ok {
		d.stop.checks = append(d.stop.checks, c)
		n = uint32(len(d.stop.checks))
		d.stop.number[c] = n
	}
	return d.stop.addr, n
}

// readStop makes a failure found on the card the device's own.
func (d *Device) readStop() {
	if d.err != nil || d.stop.host == nil {
		return
	}
	d.fail(d.stream.CopyOut(d.stop.host[:4], d.stop.addr))
	d.fail(d.stream.Synchronize())
	if n := binary.LittleEndian.Uint32(d.stop.host); d.err == nil && n != 0 {
		c := d.stop.checks[n-1]
		d.err = &device.NonFiniteError{Op: c.op, Tensor: c.tensor}
	}
}
