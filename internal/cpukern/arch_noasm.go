//go:build !amd64 || noasm

package cpukern

// archKernels: this build has the generic level only.
func archKernels() []*kernels { return nil }
