package families

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"lomo/internal/model"
)

// ropeByLayerType reads rotary settings of layers with a window apart from those of the others, as transformers does for Gemma 3. rope_parameters holds
// a dictionary for each type of layer; rope_scaling is older and stands over that of the layers without a window. What neither says of θ stands in
// rope_theta and, for layers with a window, in rope_local_base_freq.
func ropeByLayerType(c *model.Config, r *reader, f Family) {
	scaling, params := r.dict("rope_scaling"), r.dict("rope_parameters")
	full, local := &reader{prefix: "rope_scaling."}, (*reader)(nil)
	if params != nil {
		for _, key := range slices.Sorted(maps.Keys(params.raw)) {
			if key != "full_attention" && key != "sliding_attention" {
				r.fail(&ConfigError{Msg: fmt.Sprintf("rope_parameters.%s: rotary settings stand under full_attention and sliding_attention in a %s", key, c.ModelType), Advice: again})
			}
		}
		local = params.dict("sliding_attention")
		if d := params.dict("full_attention"); d != nil {
			full = d
		}
		r.adopt(params)
	}
	if r.err != nil {
		return
	}
	if scaling != nil {
		if scaling.given("type") && !scaling.given("rope_type") {
			r.fail(&ConfigError{Msg: fmt.Sprintf("rope_scaling.rope_type is missing: transformers does not read rope_scaling.type (%s) of a %s", valueOf(scaling.raw["type"]), c.ModelType),
				Advice: "set rope_type in its place"})
			return
		}
		full = over(c, full, scaling)
	}
	c.RopeTheta = cmp.Or(f.Theta, 10000)
	if r.has("rope_theta") && !full.has("rope_theta") {
		c.RopeTheta = r.float("rope_theta", 0)
	}
	ropeDict(c, r, full, f, true)
	r.adopt(full)
	c.LocalTheta = localTheta(c, r, local, f)
	if !(c.RopeTheta > 0) || !(c.LocalTheta > 0) {
		r.fail(&ConfigError{Msg: fmt.Sprintf("rope_theta is %v and that of layers with a window %v, want numbers above 0", c.RopeTheta, c.LocalTheta), Advice: again})
	}
}

// over is d with the keys of scaling over its own.
func over(c *model.Config, d, scaling *reader) *reader {
	raw := maps.Clone(d.raw)
	if raw == nil {
		return scaling
	}
	for key, v := range scaling.raw {
		if old, ok := raw[key]; ok && string(old) != string(v) {
			note(c, "%s%s %s is used, as transformers does; %s%s says %s", scaling.prefix, key, valueOf(v), d.prefix, key, valueOf(old))
		}
		raw[key] = v
	}
	return &reader{raw: raw, prefix: scaling.prefix}
}

// localTheta is θ of the layers with a window, whose frequencies are not scaled.
func localTheta(c *model.Config, r, d *reader, f Family) float64 {
	const old = "rope_local_base_freq"
	theta := cmp.Or(f.LocalTheta, 10000)
	if slices.Contains(f.Reads, old) {
		theta = r.float(old, theta)
	}
	if d == nil {
		return theta
	}
	alone := &model.Config{MaxPositions: c.MaxPositions, HeadDim: c.HeadDim, RopeTheta: theta}
	ropeDict(alone, &reader{}, d, f, false)
	if alone.RopeScaling != nil {
		d.fail(&ConfigError{Msg: fmt.Sprintf("%srope_type is %q: this build scales no frequencies of layers with a window", d.prefix, alone.RopeScaling.Type)})
	}
	if r.has(old) && alone.RopeTheta != theta {
		note(c, "%srope_theta %v is used, as transformers does; %s says %v", d.prefix, alone.RopeTheta, old, theta)
	}
	r.adopt(d)
	return alone.RopeTheta
}
