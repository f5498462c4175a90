package model

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// rope reads the rotary settings with the precedence of transformers: the dictionary is rope_scaling where it is not empty, else
// rope_parameters; θ is the dictionary's, else the top level's, else 10000; a top-level original_max_position_embeddings wins over
// the dictionary's. Spellings that say something else than what is used are noted.
func (c *Config) rope(r *reader) {
	scaling, params := r.dict("rope_scaling"), r.dict("rope_parameters")
	used, other := scaling, params
	if scaling == nil {
		used, other = params, nil
	}
	if r.err != nil {
		return
	}
	c.RopeTheta = 10000
	if r.has("rope_theta") && (used == nil || !used.has("rope_theta")) {
		c.RopeTheta = r.float("rope_theta", 0)
	}
	if used != nil {
		c.ropeDict(r, used, true)
		r.adopt(used)
	}
	if other != nil && r.err == nil {
		c.otherRope(r, used, other)
	}
	if r.err == nil && !(c.RopeTheta > 0) {
		r.fail(&ConfigError{Msg: fmt.Sprintf("rope_theta is %v, want a number above 0", c.RopeTheta)})
	}
}

// adopt takes over the failure of a nested reader.
func (r *reader) adopt(d *reader) {
	if d.err != nil {
		r.fail(d.err)
	}
}

// otherRope notes what the dictionary says that is not used.
func (c *Config) otherRope(r, used, other *reader) {
	alt := &Config{MaxPositions: c.MaxPositions, HeadDim: c.HeadDim, RopeTheta: 10000}
	if r.has("rope_theta") && !other.has("rope_theta") {
		alt.RopeTheta = c.RopeTheta
	}
	alt.ropeDict(r, other, false)
	if other.err == nil && alt.RopeTheta == c.RopeTheta && reflect.DeepEqual(alt.RopeScaling, c.RopeScaling) {
		return
	}
	c.note("rope_scaling is used, as transformers does: %s (rope_theta %v); rope_parameters says otherwise: %s",
		shown(used), c.RopeTheta, shown(other))
}

func shown(d *reader) string {
	text, _ := json.Marshal(d.raw) // of values that were JSON before
	return valueOf(text)
}

// ropeDict reads one dictionary.
func (c *Config) ropeDict(r, d *reader, notes bool) {
	note := func(format string, args ...any) {
		if notes {
			c.note(format, args...)
		}
	}
	for key := range d.raw {
		if _, nested := d.value(key).(map[string]any); nested {
			d.fail(&ConfigError{Msg: fmt.Sprintf("%s%s is an object: rotary settings that differ by layer type are of another family", d.prefix, key)})
			return
		}
	}
	if d.has("rope_theta") {
		c.RopeTheta = d.float("rope_theta", 0)
		if top := r.value("rope_theta"); r.given("rope_theta") && top != c.RopeTheta {
			note("%srope_theta %v is used, as transformers does; rope_theta says %v", d.prefix, c.RopeTheta, top)
		}
	}
	kind := d.text("type", "default")
	if d.has("rope_type") {
		kind = d.text("rope_type", "")
		if old := d.textOrNull("type"); old != "" && old != kind {
			note("%srope_type %s is used, as transformers does; type says %s", d.prefix, kind, old)
		}
	}
	if f := d.value("partial_rotary_factor"); f != nil && f != 1.0 {
		d.fail(&ConfigError{Msg: fmt.Sprintf("%spartial_rotary_factor is %v: heads that are rotated in part are of another family", d.prefix, f)})
	}
	if d.err != nil {
		return
	}
	s := &RopeScaling{Type: kind}
	switch kind {
	case "default":
		return
	case "linear", "dynamic", "llama3":
	case "yarn", "longrope", "su", "proportional", "mrope":
		d.fail(&ConfigError{Msg: fmt.Sprintf("%srope_type is %q: this build computes default, linear, llama3, and dynamic within the known positions", d.prefix, kind),
			Advice: "models with other rotary scaling are not trained by this build"})
		return
	default:
		d.fail(&ConfigError{Msg: fmt.Sprintf("%srope_type is %q, which transformers does not know; this build computes default, linear, llama3 and dynamic", d.prefix, kind)})
		return
	}
	s.Factor = d.required("factor", kind)
	if kind == "llama3" {
		s.LowFreqFactor, s.HighFreqFactor = d.required("low_freq_factor", kind), d.required("high_freq_factor", kind)
		s.OriginalPosition = float64(c.MaxPositions)
		if d.given("original_max_position_embeddings") {
			s.OriginalPosition = d.float("original_max_position_embeddings", 0)
		}
		if r.given("original_max_position_embeddings") {
			top := r.float("original_max_position_embeddings", 0)
			if d.given("original_max_position_embeddings") && top != s.OriginalPosition {
				note("original_max_position_embeddings %v is used, as transformers does; %soriginal_max_position_embeddings says %v", top, d.prefix, s.OriginalPosition)
			}
			s.OriginalPosition = top
		}
	}
	if a := d.value("alpha"); kind == "dynamic" && a != nil {
		d.fail(&ConfigError{Msg: fmt.Sprintf("%salpha is %v: dynamic scaling with alpha is of another family", d.prefix, a)})
	}
	switch {
	case d.err != nil:
	case !(s.Factor > 0):
		d.fail(&ConfigError{Msg: fmt.Sprintf("%sfactor is %v, want a number above 0", d.prefix, s.Factor)})
	case kind == "llama3" && !(s.LowFreqFactor > 0 && s.HighFreqFactor > s.LowFreqFactor && s.OriginalPosition > 0):
		d.fail(&ConfigError{Msg: fmt.Sprintf("%slow_freq_factor %v, high_freq_factor %v, original_max_position_embeddings %v: llama3 scaling wants 0 < low < high and a positive length",
			d.prefix, s.LowFreqFactor, s.HighFreqFactor, s.OriginalPosition)})
	}
	c.RopeScaling = s
}

// required is a number that a kind of scaling cannot do without.
func (r *reader) required(key, kind string) float64 {
	if !r.given(key) {
		r.fail(&ConfigError{Msg: fmt.Sprintf("%s%s is missing: scaling of type %s needs it", r.prefix, key, kind)})
		return 0
	}
	return r.float(key, 0)
}
