package families

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"lomo/internal/model"
)

// rope reads the rotary settings with the precedence of transformers: the dictionary is rope_scaling where it is not empty, else
// rope_parameters; θ is the dictionary's, else the top level's, else theta; a top-level original_max_position_embeddings wins over
// the dictionary's. Spellings that say something else than what is used are noted.
func rope(c *model.Config, r *reader, theta float64) {
	scaling, params := r.dict("rope_scaling"), r.dict("rope_parameters")
	used, other := scaling, params
	if scaling == nil {
		used, other = params, nil
	}
	if r.err != nil {
		return
	}
	c.RopeTheta = theta
	if r.has("rope_theta") && (used == nil || !used.has("rope_theta")) {
		c.RopeTheta = r.float("rope_theta", 0)
	}
	if used != nil {
		ropeDict(c, r, used, true)
		r.adopt(used)
	}
	if other != nil && r.err == nil {
		otherRope(c, r, used, other, theta)
	}
	if r.err == nil && !(c.RopeTheta > 0) {
		r.fail(&ConfigError{Msg: fmt.Sprintf("rope_theta is %v, want a number above 0", c.RopeTheta), Advice: again})
	}
}

// adopt takes over the failure of a nested reader.
func (r *reader) adopt(d *reader) {
	if d.err != nil {
		r.fail(d.err)
	}
}

// otherRope notes what the dictionary says that is not used.
func otherRope(c *model.Config, r, used, other *reader, theta float64) {
	alt := &model.Config{MaxPositions: c.MaxPositions, HeadDim: c.HeadDim, RopeTheta: theta}
	if r.has("rope_theta") && !other.has("rope_theta") {
		alt.RopeTheta = c.RopeTheta
	}
	ropeDict(alt, r, other, false)
	if other.err == nil && alt.RopeTheta == c.RopeTheta && reflect.DeepEqual(alt.RopeScaling, c.RopeScaling) {
		return
	}
	note(c, "rope_scaling is used, as transformers does: %s (rope_theta %v); rope_parameters says otherwise: %s",
		shown(used), c.RopeTheta, shown(other))
}

func shown(d *reader) string {
	text, _ := json.Marshal(d.raw) // of values that were JSON before
	return valueOf(text)
}

// ropeDict reads one dictionary; notes says whether what contradicts it elsewhere is noted.
func ropeDict(c *model.Config, r, d *reader, notes bool) {
	note := func(format string, args ...any) {
		if notes {
			note(c, format, args...)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(d.raw)) { // so that the same file always has the same fault
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
	if f := d.value("partial_rotary_factor"); f != nil && f != 1.0 {
		d.fail(&ConfigError{Msg: fmt.Sprintf("%spartial_rotary_factor is %v: heads that are rotated in part are of another family", d.prefix, f)})
	}
	kind := d.ropeKind(note)
	if d.err != nil || kind == "default" {
		return
	}
	s := &model.RopeScaling{Type: kind, Factor: d.required("factor", kind)}
	if kind == "llama3" {
		s.LowFreqFactor, s.HighFreqFactor = d.required("low_freq_factor", kind), d.required("high_freq_factor", kind)
		s.OriginalPosition = originalPositions(c, r, d, note)
	}
	checkScaling(s, d)
	c.RopeScaling = s
}

// ropeKind is the type of scaling under its new name, else under its old one.
func (d *reader) ropeKind(note func(format string, args ...any)) string {
	kind := "default"
	if !d.has("rope_type") {
		kind = d.text("type", kind)
	} else {
		kind = d.text("rope_type", "")
		if old := d.textOrNull("type"); old != "" && old != kind {
			note("%srope_type %s is used, as transformers does; type says %s", d.prefix, kind, old)
		}
	}
	switch {
	case d.err != nil || slices.Contains([]string{"default", "linear", "dynamic", "llama3"}, kind):
	case slices.Contains([]string{"yarn", "longrope", "su", "proportional", "mrope"}, kind):
		d.fail(&ConfigError{Msg: fmt.Sprintf("%srope_type is %q: this build computes default, linear, llama3, and dynamic within the known positions", d.prefix, kind),
			Advice: "take the model as it was before its context was extended, or one with another kind of scaling"})
	default:
		d.fail(&ConfigError{Msg: fmt.Sprintf("%srope_type is %q, which transformers does not know; this build computes default, linear, llama3 and dynamic", d.prefix, kind)})
	}
	return kind
}

// originalPositions is the length that a llama3 model was first trained with: the top level's, else the dictionary's, else all positions.
func originalPositions(c *model.Config, r, d *reader, note func(format string, args ...any)) float64 {
	const key = "original_max_position_embeddings"
	inner, top := d.given(key), r.given(key)
	switch {
	case top && inner && r.float(key, 0) != d.float(key, 0):
		note("%s %v is used, as transformers does; %s%s says %v", key, r.float(key, 0), d.prefix, key, d.float(key, 0))
		fallthrough
	case top:
		return r.float(key, 0)
	case inner:
		return d.float(key, 0)
	}
	return float64(c.MaxPositions)
}

// check refuses values that scale nothing.
func checkScaling(s *model.RopeScaling, d *reader) {
	switch a := d.value("alpha"); {
	case d.err != nil:
	case s.Type == "dynamic" && a != nil:
		d.fail(&ConfigError{Msg: fmt.Sprintf("%salpha is %v: dynamic scaling with alpha is of another family", d.prefix, a)})
	case !(s.Factor > 0):
		d.fail(&ConfigError{Msg: fmt.Sprintf("%sfactor is %v, want a number above 0", d.prefix, s.Factor), Advice: again})
	case s.Type == "llama3" && !(s.LowFreqFactor > 0 && s.HighFreqFactor > s.LowFreqFactor && s.OriginalPosition > 0):
		d.fail(&ConfigError{Msg: fmt.Sprintf("%slow_freq_factor %v, high_freq_factor %v, original_max_position_embeddings %v: llama3 scaling wants 0 < low < high and a positive length",
			d.prefix, s.LowFreqFactor, s.HighFreqFactor, s.OriginalPosition)})
	}
}

// required is a number that a kind of scaling cannot do without.
func (r *reader) required(key, kind string) float64 {
	if !r.given(key) {
		r.fail(&ConfigError{Msg: fmt.Sprintf("%s%s is missing: scaling of type %s needs it", r.prefix, key, kind), Advice: again})
		return 0
	}
	return r.float(key, 0)
}
