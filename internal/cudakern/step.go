package cudakern

import (
	"math"

	"lomo/internal/device"
)

// stepArgs is a device.Step as the kernels take it, in the order of STEP_PARAMS (kernels/common.cuh). What is off has the value that changes
// nothing, exactly. The sum of squares is not among them.
func stepArgs(s device.Step) []any {
	scale, clip, keep := float32(1), float32(math.Inf(1)), float32(1)
	if s.Scale != 0 {
		scale = s.Scale
	}
	if s.Clip > 0 {
		clip = s.Clip
	}
	if s.Decay > 0 {
		keep = float32(1 - float64(s.LR)*float64(s.Decay)) // rounded once
	}
	return []any{scale, clip, s.Coef, keep, s.LR, s.Round == device.Stochastic, s.Seed, s.Tensor, s.Number, s.Base}
}
