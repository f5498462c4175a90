package families

import (
	"fmt"

	"lomo/internal/model"
)

// maxLayers is more than any model has.
const maxLayers = 1 << 16

// listed reports whether a list of a value for each layer may be made: it must not take what a number in a file says.
func listed(c *model.Config, r *reader) bool {
	if c.NumHiddenLayers > maxLayers {
		r.fail(&ConfigError{Msg: fmt.Sprintf("num_hidden_layers is %d, want 1 to %d", c.NumHiddenLayers, maxLayers), Advice: again})
	}
	return c.NumHiddenLayers <= maxLayers
}

// window reads sliding_window: how many tokens up to itself a token sees; 0: all.
func window(r *reader, absent int) int {
	w := r.intOrNull("sliding_window", 0)
	if !r.has("sliding_window") {
		w = absent
	}
	if r.given("sliding_window") && r.err == nil && w < 1 {
		r.fail(&ConfigError{Msg: fmt.Sprintf("sliding_window is %s, want a number of tokens, or null for none", r.raw["sliding_window"]), Advice: again})
	}
	return w
}

// windows gives the layers that slides names the window w, and the others none. Where layer_types is given it must list one kind a layer, and
// has the word.
func windows(c *model.Config, r *reader, w int, slides func(layer int) bool) {
	list, ok := r.value("layer_types").([]any)
	if !ok && r.given("layer_types") {
		r.fail(&ConfigError{Msg: fmt.Sprintf("layer_types is %s, want a list of one kind for each layer", valueOf(r.raw["layer_types"])), Advice: again})
		return
	}
	if ok && len(list) != c.NumHiddenLayers {
		r.fail(&ConfigError{Msg: fmt.Sprintf("layer_types lists %d layers, num_hidden_layers is %d", len(list), c.NumHiddenLayers), Advice: again})
		return
	}
	if w == 0 && !ok || !listed(c, r) {
		return
	}
	all := make([]int, c.NumHiddenLayers)
	any := false
	for i := range all {
		is := slides(i)
		if ok {
			switch is = list[i] == "sliding_attention"; {
			case is && w == 0:
				r.fail(&ConfigError{Msg: fmt.Sprintf("layer_types: layer %d is sliding_attention, and the model has no sliding_window", i), Advice: again})
			case !is && list[i] != "full_attention" && list[i] != "attention":
				r.fail(&ConfigError{Msg: fmt.Sprintf("layer_types: layer %d is %v: layers of other kinds are of another family", i, list[i]), Advice: otherFamily})
			}
		}
		if is && w > 0 {
			all[i], any = w, true
		}
	}
	if any {
		c.Windows = all
	}
}

// used is w where use_sliding_window says so.
func used(r *reader, w int) int {
	if r.given("use_sliding_window") && r.bool("use_sliding_window", false) {
		return w
	}
	return 0
}
