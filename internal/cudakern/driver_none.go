//go:build !cuda

package cudakern

import (
	"errors"

	"lomo/internal/cudakern/driver"
)

// Available reports whether this program was built with CUDA.
const Available = false

// ErrNotBuilt says that this program cannot drive a GPU, and what to do.
var ErrNotBuilt = errors.New("this build of lomo has no CUDA")

func installed() (driver.Driver, error) { return nil, ErrNotBuilt }
