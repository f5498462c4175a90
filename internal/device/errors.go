package device

import (
	"errors"
	"fmt"
	"strings"
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
	return fmt.Sprintf("%s: out of memory: tensor %q (%s) wants %s, %s of %s are in use", e.Device, e.Tensor, e.Owner, size(e.Want), size(e.Used), size(e.Capacity))
}

func size(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// Detail is the table, a line each.
func (e *OutOfMemoryError) Detail() []string {
	return strings.Split(strings.TrimRight(e.Table, "\n"), "\n")
}
