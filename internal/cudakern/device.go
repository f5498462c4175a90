package cudakern

import (
	"errors"
	"fmt"

	"lomo/internal/cudakern/driver"
	"lomo/internal/device"
	"lomo/internal/tensor"
)

// Device is one card.
type Device struct {
	card   driver.Device
	info   driver.Info
	stream *stream // computes
	code   code
	arena  memory
	stop   stopWord
	err    error // the first failure the host knows of
	tile   tile  // of matrix products

	library    library // makes plain products; nil: our own kernels do
	libraryErr error   // why one that was found does not

	scratch uint64 // scratchBytes for the partial sums of one operation, see partials
	queues  []*Queue
	pinned  *device.Arena // of pins
	pins    [][]byte

	launched func(kernel string) // tests see which kernels run
}

func newDevice(card driver.Device, o Options) (*Device, error) {
	d := &Device{card: card, info: card.Info(), pinned: device.NewArena("host memory", 0)}
	if d.info.Major < 8 {
		return nil, fmt.Errorf("%s: compute capability %d.%d, the kernels need 8.0 (RTX 30 series, A100 and later)", d.label(), d.info.Major, d.info.Minor)
	}
	var err error
	if d.stream, err = newStream(card); err != nil {
		return nil, fmt.Errorf("%s: stream: %w", d.label(), err)
	}
	if err = d.code.load(card); err != nil {
		return nil, fmt.Errorf("%s: %w", d.label(), err)
	}
	if err = d.arena.open(d.label(), card, o); err != nil {
		return nil, err
	}
	d.scratch = d.arena.base + stopBytes
	if err = d.openStop(); err != nil {
		return nil, errors.Join(err, d.arena.close(card))
	}
	if err = d.findLibrary(); err != nil {
		return nil, errors.Join(err, d.closeStop(), d.arena.close(card))
	}
	return d, nil
}

// Name is the kind of machine, for state files: "cuda NVIDIA GeForce RTX 3090 sm_86", and the library that makes products.
func (d *Device) Name() string {
	name := fmt.Sprintf("cuda %s sm_%d%d", d.info.Name, d.info.Major, d.info.Minor)
	if d.library != nil {
		name += " " + d.library.Name()
	}
	return name
}

// label tells cards of one kind apart in messages.
func (d *Device) label() string { return fmt.Sprintf("GPU %d (%s)", d.info.Index, d.info.Name) }

// Card is the card itself, for what the seam does not have: copies between cards, measurements.
func (d *Device) Card() driver.Device { return d.card }

// Memory is the arena; callers take marks and release through it.
func (d *Device) Memory() *device.Arena { return d.arena.Arena }

// Alloc takes a zeroed tensor from the arena.
func (d *Device) Alloc(owner, name string, dt tensor.DType, shape ...int) (tensor.Tensor, error) {
	t, err := d.take(owner, name, dt, shape)
	if err == nil && t.Bytes() > 0 {
		d.fail(d.stream.Set(t.Addr, 0, t.Bytes()))
	}
	return t, err
}

// Scratch takes a tensor whose contents are undefined (NaN with PoisonReleased).
func (d *Device) Scratch(owner, name string, dt tensor.DType, shape ...int) (tensor.Tensor, error) {
	t, err := d.take(owner, name, dt, shape)
	if err == nil && d.arena.poisonReleased && t.Bytes() > 0 {
		d.fail(d.stream.Set(t.Addr, poisonByte, t.Bytes()))
	}
	return t, err
}

// Sync waits for the work queued so far and reports the first failure.
func (d *Device) Sync() error {
	d.fail(d.stream.Synchronize())
	d.readStop()
	return d.err
}

// Close gives everything on the card back: every tensor of the device becomes invalid.
func (d *Device) Close() error {
	err := d.stream.Stream.Synchronize()
	err = errors.Join(err, d.closeQueues(), d.closeLibrary(), d.closeStop(), d.arena.close(d.card), d.card.Close())
	return err
}

// ready says whether an operation may be launched: not after a failure the host knows of.
func (d *Device) ready() bool {
	d.poison()
	return d.err == nil
}

// fail keeps the driver's first error.
func (d *Device) fail(err error) {
	if err != nil && d.err == nil {
		d.err = fmt.Errorf("%s: %w", d.label(), err)
	}
}

// partials is the scratch for n elements of size bytes each, or a panic: callers cut their work so that it fits.
func (d *Device) partials(n, size int) uint64 {
	if int64(n)*int64(size) > scratchBytes {
		panic(fmt.Sprintf("cudakern: %d partial results of %d bytes, there is room for %d bytes", n, size, scratchBytes))
	}
	return d.scratch
}
