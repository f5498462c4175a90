//go:build !cuda

package cudakern

// openProducts finds no other maker of products in a build without CUDA.
func openProducts(*Device) (library, error) { return nil, nil }
