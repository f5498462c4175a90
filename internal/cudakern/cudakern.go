// Package cudakern is the device seam on one NVIDIA GPU, over the CUDA driver as package driver describes it: the real one in a
// build with the tag cuda, a simulated one in tests. Kernels are CUDA C++ (kernels/), compiled ahead of time to the
// PTX that this package embeds (ptx/); the driver makes machine code of it when a card is opened.
//
// One goroutine at a time may use a Device, and one locked to its thread where the driver is the real one. Launches
// return at once; the card works in their order. What an operation must refuse (a gradient that is not finite) is found
// on the card: the check sets the stop word, and every kernel behind it returns without having written anything.
package cudakern

import (
	"fmt"

	"lomo/internal/cudakern/driver"
	"lomo/internal/device"
)

var _ device.Device = (*Device)(nil)

// Options are what a card needs to know beside the work it gets.
type Options struct {
	Capacity int64 // bytes the arena may hand out; 0: what the card has free, less reserveBytes

	// PoisonReleased fills memory with NaN once the arena has released it, so that tests see stale reads.
	PoisonReleased bool
}

// WorkspaceBytes is what a device takes on its card beside the arena, in the same allocation: the stop word and the partial sums of
// one operation.
const WorkspaceBytes = stopBytes + scratchBytes

const (
	stopBytes    = 256
	scratchBytes = 16 << 20
	reserveBytes = 512 << 20 // left to the driver when the capacity is not given: code, local memory, streams
)

// Installed is the driver of this machine: an error in a build without CUDA, and where there is no driver.
func Installed() (driver.Driver, error) { return installed() }

// Open opens card number index of the driver for the calling goroutine, which must be locked to its thread.
func Open(drv driver.Driver, index int, o Options) (*Device, error) {
	if n := drv.Count(); index < 0 || index >= n {
		return nil, fmt.Errorf("GPU %d: this machine has %d usable (nvidia-smi -L lists them; CUDA_VISIBLE_DEVICES hides some)", index, n)
	}
	card, err := drv.Open(index)
	if err != nil {
		return nil, fmt.Errorf("open GPU %d: %w", index, err)
	}
	d, err := newDevice(card, o)
	if err != nil {
		card.Close() //nolint:errcheck // the first error is the one to tell
		return nil, err
	}
	return d, nil
}
