//go:build cuda

package cudakern

import (
	"errors"
	"fmt"
	"sync"

	"gorgonia.org/cu"

	"lomo/internal/cudakern/driver"
)

// Available reports whether this program was built with CUDA.
const Available = true

// ErrNotBuilt is what a build without CUDA says.
var ErrNotBuilt = errors.New("this build of lomo has no CUDA")

// realDriver is the one of the machine.
type realDriver struct {
	library        string
	version, count int
}

// installed opens the driver at the first call: a run on the CPU never touches the cards.
var installed = sync.OnceValues(func() (driver.Driver, error) {
	found, outcome, code := openLibrary()
	switch outcome {
	case libraryOpen:
	case noCard:
		return nil, fmt.Errorf("the NVIDIA driver %s finds no card it can use: %s (%s): see nvidia-smi and CUDA_VISIBLE_DEVICES, or set device: cpu", found, code.Text(), code.Name())
	default:
		return nil, fmt.Errorf("no NVIDIA driver on this machine (%s): install it, or set device: cpu", found)
	}
	d := &realDriver{library: found, version: cu.Version()}
	var err error
	if d.count, err = cu.NumDevices(); err != nil {
		return nil, callError("cuDeviceGetCount", -1, err)
	}
	return d, nil
})

func (d *realDriver) Version() int { return d.version }
func (d *realDriver) Count() int   { return d.count }

// Library is the file the driver was loaded from, as it was asked for.
func (d *realDriver) Library() string { return d.library }

// Open retains the card's primary context, the one that NCCL and cuBLAS use too.
func (d *realDriver) Open(i int) (driver.Device, error) {
	dev, err := cu.GetDevice(i)
	if err != nil {
		return nil, callError("cuDeviceGet", i, err)
	}
	// Waits sleep: eight ranks that spin would take the cores that feed them. A context that exists already keeps its own way.
	_ = dev.SetPrimaryCtxFlags(cu.SchedBlockingSync)
	ctx, err := dev.RetainPrimaryCtx()
	if err != nil {
		return nil, callError("cuDevicePrimaryCtxRetain", i, err)
	}
	c := &realCard{dev: dev, ctx: ctx, index: i}
	if c.info, err = c.readInfo(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// callError is err, which cu made of a CUresult, as a driver's error; card is -1 where none is meant.
func callError(call string, card int, err error) error {
	if err == nil {
		return nil
	}
	return codeError(call, card, resultCode(err))
}

func codeError(call string, card int, code driver.Code) error {
	if code == 0 {
		return nil
	}
	e := &driver.Error{Call: call, Card: card, Code: code}
	if !code.Known() {
		e.Detail = errorText(code)
	}
	return e
}
