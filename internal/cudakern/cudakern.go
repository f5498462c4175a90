// Package cudakern is the device seam on one NVIDIA GPU. This build has no CUDA: the kernels and the driver binding are
// not part of lomo yet, so Open says so and what to do instead.
package cudakern

import (
	"errors"

	"lomo/internal/device"
)

// Available reports whether this program was built with CUDA.
const Available = false

// ErrNotBuilt says that this program cannot drive a GPU.
var ErrNotBuilt = errors.New("this build of lomo has no CUDA; set device: cpu, which trains the same models")

// Open always fails in this build.
func Open() (device.Device, error) { return nil, ErrNotBuilt }
