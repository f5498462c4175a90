//go:build !cuda

package cudakern

// openMovers finds nothing that moves bytes between cards in a build without CUDA.
func openMovers([]*Device) ([]mover, error) { return nil, nil }

// NCCL is what a group of cards would try: nothing in a build without CUDA.
func NCCL() (name string, err error) { return "", ErrNotBuilt }
