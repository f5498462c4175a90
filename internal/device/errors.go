package device

import (
	"errors"
	"fmt"
)

// ErrNotFinite says that a loss, a score or a logit is infinite or NaN.
var ErrNotFinite = errors.New("not finite")

// NonFiniteError says that an operation met a gradient that is infinite or NaN, before it wrote the tensor.
type NonFiniteError struct {
	Op, Tensor string
}

func (e *NonFiniteError) Error() string {
	return fmt.Sprintf("%s: the gradient of tensor %q is not finite", e.Op, e.Tensor)
}

// OutOfMemoryError says that a tensor did not fit, with who holds what.
type OutOfMemoryError struct {
	Device, Owner, Tensor string
	Want, Used, Capacity  int64
	Table                 string // owner and bytes, a line each
}

func (e *OutOfMemoryError) Error() string {
	return fmt.Sprintf("%s: out of memory: tensor %q (%s) wants %d bytes, %d of %d are in use\n%s",
		e.Device, e.Tensor, e.Owner, e.Want, e.Used, e.Capacity, e.Table)
}
