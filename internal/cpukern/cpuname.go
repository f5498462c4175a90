package cpukern

import "github.com/klauspost/cpuid/v2"

// CPU is the processor's own name, "" where it does not say.
func CPU() string { return cpuid.CPU.BrandName }
