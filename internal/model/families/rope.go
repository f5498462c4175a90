package families

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"lomo/internal/model"
)

// rope reads the rotary settings with the precedence of transformers: the dictionary is rope_scaling where it is not empty, else
// rope_parameters; θ is the dictionary's, else the top level's, else the family's; a top-level original_max_position_embeddings wins over
// the dictionary's. Spellings that say something else than what is used are noted.
func rope(c *model.Config, r *reader, f Family) {
	theta := cmp.Or(f.Theta, 10000)
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
	if used == nil || !used.has("partial_rotary_factor") {
		partial(c, r, f)
	} else {
		otherPart(c, r, used, f)
	}
	if used != nil {
		ropeDict(c, r, used, f, true)
		r.adopt(used)
	}
	if other != nil && r.err == nil {
		otherRope(c, r, used, other, f, theta)
	}
	if r.err == nil && !(c.RopeTheta > 0) {
		r.fail(&ConfigError{Msg: fmt.Sprintf("rope_theta is %v, want a number above 0", c.RopeTheta), Advice: again})
	} else if s := c.RopeScaling; s != nil && s.Type == "yarn" && !(c.RopeTheta > 1) {
		r.fail(&ConfigError{Msg: fmt.Sprintf("rope_theta is %v, scaling of type yarn wants a number above 1", c.RopeTheta), Advice: again})
	}
}

// otherPart notes a partial_rotary_factor of the top level that says something else than the dictionary's, which is used.
func otherPart(c *model.Config, r, used *reader, f Family) {
	const key = "partial_rotary_factor"
	if !slices.Contains(f.Reads, key) || !r.given(key) { // of other families mathematics looks at it
		return
	}
	if top, inner := r.float(key, 1), used.floatOrNull(key, 1); r.err == nil && used.err == nil && top != inner {
		note(c, "%s%s %v is used, as transformers does; %s says %v", used.prefix, key, inner, key, top)
	}
}

// adopt takes over the failure of a nested reader.
func (r *reader) adopt(d *reader) {
	if d.err != nil {
		r.fail(d.err)
	}
}

// otherRope notes what the dictionary says that is not used.
func otherRope(c *model.Config, r, used, other *reader, f Family, theta float64) {
	alt := &model.Config{MaxPositions: c.MaxPositions, HeadDim: c.HeadDim, RopeTheta: theta}
	if r.has("rope_theta") && !other.has("rope_theta") {
		alt.RopeTheta = c.RopeTheta
	}
	ropeDict(alt, r, other, f, false)
	if other.err == nil && alt.RopeTheta == c.RopeTheta && alt.RotaryDim == c.RotaryDim && reflect.DeepEqual(alt.RopeScaling, c.RopeScaling) {
		return
	}
	note(c, "rope_scaling is used, as transformers does: %s (rope_theta %v); rope_parameters says otherwise: %s",
		shown(used), c.RopeTheta, shown(other))
}

func shown(d *reader) string {
	text, _ := json.Marshal(d.raw) // of values that were JSON before
	return valueOf(text)
}

// ropeKeys is what each kind of scaling reads of its dictionary, beside its name and rope_theta.
var ropeKeys = map[string][]string{
	"default": {}, "linear": {"factor"}, "dynamic": {"factor"}, "proportional": {"factor", "partial_rotary_factor"},
	"llama3":   {"factor", "low_freq_factor", "high_freq_factor", original},
	"yarn":     {"factor", "attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate", original},
	"longrope": {"factor", "attention_factor", "short_factor", "long_factor", original},
}

const original = "original_max_position_embeddings"

// ropeDict reads one dictionary; notes says whether what contradicts it elsewhere is noted.
func ropeDict(c *model.Config, r, d *reader, f Family, notes bool) {
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
	kind := d.ropeKind(f, note)
	if d.err == nil {
		otherKeys(c, d, kind, note)
	}
	if part := d.value("partial_rotary_factor"); part != nil && kind != "proportional" {
		partial(c, d, f)
	}
	if d.err != nil || kind == "default" {
		return
	}
	s := &model.RopeScaling{Type: kind}
	switch kind {
	case "llama3":
		s.OriginalPosition = originalPositions(c, r, d, f, note)
		s.LowFreqFactor, s.HighFreqFactor = d.required("low_freq_factor", kind), d.required("high_freq_factor", kind)
	case "yarn", "longrope":
		if s.OriginalPosition = originalPositions(c, r, d, f, note); !(s.OriginalPosition >= 1 && s.OriginalPosition <= model.MaxDim) {
			d.fail(&ConfigError{Msg: fmt.Sprintf("%s is %v, want 1 to %d", original, s.OriginalPosition, model.MaxDim), Advice: again})
		}
	case "proportional":
		if s.Proportion = d.floatOrNull("partial_rotary_factor", 1); !(s.Proportion >= 0 && s.Proportion <= 1) {
			d.fail(&ConfigError{Msg: fmt.Sprintf("%spartial_rotary_factor is %v, want 0 to 1", d.prefix, s.Proportion), Advice: again})
		}
	}
	factor(c, s, d)
	switch kind {
	case "yarn":
		yarn(s, d)
		if f.Rope != nil && !s.Truncate {
			s.Truncate = true
			note("%struncate is %s and means nothing where settings differ by layer type, as in transformers", d.prefix, valueOf(d.raw["truncate"]))
		}
	case "longrope":
		longRope(c, s, d)
	}
	checkScaling(s, d)
	c.RopeScaling = s
}

// factor reads how much longer texts get. yarn has null, and longrope nothing, for the one that the model's lengths tell.
func factor(c *model.Config, s *model.RopeScaling, d *reader) {
	switch {
	case s.Type == "proportional":
		s.Factor = d.floatOrNull("factor", 1)
	case !d.given("factor") && (s.Type == "longrope" || s.Type == "yarn" && d.has("factor")):
		s.Factor = float64(c.MaxPositions) / s.OriginalPosition
	default:
		s.Factor = d.required("factor", s.Type)
	}
}

// yarn reads which frequencies are divided by the factor, and how much larger cosines and sines get.
func yarn(s *model.RopeScaling, d *reader) {
	s.BetaFast, s.BetaSlow = cmp.Or(d.floatOrNull("beta_fast", 0), 32), cmp.Or(d.floatOrNull("beta_slow", 0), 1)
	if !(s.BetaFast > 0 && s.BetaSlow > 0) {
		d.fail(&ConfigError{Msg: fmt.Sprintf("%sbeta_fast %v, beta_slow %v: yarn scaling wants numbers above 0", d.prefix, s.BetaFast, s.BetaSlow), Advice: again})
	}
	if s.Truncate = !d.has("truncate"); d.given("truncate") { // null is no
		s.Truncate = d.bool("truncate", true)
	}
	larger := func(by float64) float64 {
		if s.Factor <= 1 {
			return 1
		}
		return 0.1*by*math.Log(s.Factor) + 1
	}
	one, all := d.floatOrNull("mscale", 0), d.floatOrNull("mscale_all_dim", 0)
	s.AttentionFactor = larger(1)
	if one != 0 && all != 0 {
		s.AttentionFactor = larger(one) / larger(all)
	}
	attentionFactor(s, d)
}

// longRope reads what frequencies are divided by in short texts and in long ones.
func longRope(c *model.Config, s *model.RopeScaling, d *reader) {
	s.Short, s.Long = divisors(c, d, "short_factor"), divisors(c, d, "long_factor")
	s.AttentionFactor = 1
	if s.Factor > 1 {
		s.AttentionFactor = math.Sqrt(1 + math.Log(s.Factor)/math.Log(s.OriginalPosition))
	}
	attentionFactor(s, d)
}

func attentionFactor(s *model.RopeScaling, d *reader) {
	if s.AttentionFactor = d.floatOrNull("attention_factor", s.AttentionFactor); !(s.AttentionFactor > 0) || math.IsInf(s.AttentionFactor, 0) {
		d.fail(&ConfigError{Msg: fmt.Sprintf("%sattention_factor is %v, want a number above 0", d.prefix, s.AttentionFactor), Advice: again})
	}
}

// divisors is a list of a number for each pair of a head that turns.
func divisors(c *model.Config, d *reader, key string) []float64 {
	pairs := len((&model.Config{HeadDim: c.HeadDim, RotaryDim: c.RotaryDim, RopeTheta: 1}).InvFreq(0))
	if !d.given(key) {
		d.fail(&ConfigError{Msg: fmt.Sprintf("%s%s is missing: scaling of type longrope needs it", d.prefix, key), Advice: again})
		return nil
	}
	list, ok := d.value(key).([]any)
	if !ok || len(list) != pairs {
		d.fail(&ConfigError{Msg: fmt.Sprintf("%s%s is %s, want a list of %d, one for each pair of a head that turns", d.prefix, key, counted(d.raw[key], list), pairs), Advice: again})
		return nil
	}
	out := make([]float64, pairs)
	for i, v := range list {
		x, ok := v.(float64)
		if !ok || !(x > 0) {
			d.fail(&ConfigError{Msg: fmt.Sprintf("%s%s: number %d is %v, want one above 0", d.prefix, key, i+1, v), Advice: again})
		}
		out[i] = x
	}
	return out
}

// counted is how long a list is, or the beginning of what is none.
func counted(raw json.RawMessage, list []any) string {
	if list == nil {
		return valueOf(raw)
	}
	return "a list of " + strconv.Itoa(len(list))
}

// partial reads which part of each head turns: int(head_dim·factor) values, as transformers counts them.
func partial(c *model.Config, r *reader, f Family) {
	const key = "partial_rotary_factor"
	part := r.floatOrNull(key, 1)
	switch dim := int(float64(c.HeadDim) * part); {
	case r.err != nil || part == 1:
	case !slices.Contains(f.Reads, key):
		if r.prefix == "" { // mathematics says it
			return
		}
		r.fail(&ConfigError{Msg: fmt.Sprintf("%s%s is %v: heads that are rotated in part are of another family", r.prefix, key, part), Advice: otherFamily})
	case !(part > 0 && part <= 1) || dim < 2:
		r.fail(&ConfigError{Msg: fmt.Sprintf("%s%s is %v: of heads of %d values that is none, or more than all", r.prefix, key, part, c.HeadDim), Advice: again})
	case dim < c.HeadDim:
		c.RotaryDim = dim
	}
}

// otherKeys notes keys of other kinds of scaling, which transformers does not look at, and refuses those of other families.
func otherKeys(c *model.Config, d *reader, kind string, note func(format string, args ...any)) {
	var known []string
	for _, keys := range ropeKeys {
		known = append(known, keys...)
	}
	for _, key := range slices.Sorted(maps.Keys(d.raw)) {
		if rule, ok := rules[key]; ok && key != "partial_rotary_factor" && !rule.neutral(c, d.value(key)) {
			d.fail(&ConfigError{Msg: fmt.Sprintf("%s%s is %s: %s", d.prefix, key, valueOf(d.raw[key]), rule.what), Advice: cmp.Or(rule.advice, otherFamily)})
			return
		}
		if d.given(key) && key != "partial_rotary_factor" && slices.Contains(known, key) && !slices.Contains(ropeKeys[kind], key) {
			note("%s%s is %s and means nothing to scaling of type %s, as in transformers", d.prefix, key, valueOf(d.raw[key]), kind)
		}
	}
}

// ropeKind is the type of scaling under its new name, else under its old one.
func (d *reader) ropeKind(f Family, note func(format string, args ...any)) string {
	kind := "default"
	if !d.has("rope_type") {
		kind = d.text("type", kind)
	} else {
		kind = d.text("rope_type", "")
		if old := d.textOrNull("type"); old != "" && old != kind {
			note("%srope_type %s is used, as transformers does; type says %s", d.prefix, kind, old)
		}
	}
	if f.OnlyLongRope && (kind == "su" || kind == "yarn") {
		kind = "longrope"
	}
	switch _, known := ropeKeys[kind]; {
	case d.err != nil || known && (!f.OnlyLongRope || kind == "default" || kind == "longrope"):
	case known:
		d.fail(&ConfigError{Msg: fmt.Sprintf("%srope_type is %q: models of this family have default or longrope", d.prefix, kind), Advice: otherFamily})
	case slices.Contains([]string{"mrope", "axial", "su"}, kind):
		d.fail(&ConfigError{Msg: fmt.Sprintf("%srope_type is %q, which is of another family", d.prefix, kind), Advice: otherFamily})
	default:
		d.fail(&ConfigError{Msg: fmt.Sprintf("%srope_type is %q, which transformers does not know; this build computes %s", d.prefix, kind, strings.Join(slices.Sorted(maps.Keys(ropeKeys)), ", "))})
	}
	return kind
}

// originalPositions is the length that a model was first trained with: the top level's, else the family's, else the dictionary's, else all positions.
func originalPositions(c *model.Config, r, d *reader, f Family, note func(format string, args ...any)) float64 {
	inner, top := d.given(original), r.given(original)
	switch used := r.floatOrNull(original, float64(f.Original)); {
	case (top || f.Original > 0) && inner && used != d.float(original, 0):
		note("%s %v is used, as transformers does; %s%s says %v", original, used, d.prefix, original, d.float(original, 0))
		return used
	case top || f.Original > 0:
		return used
	case inner:
		return d.float(original, 0)
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
