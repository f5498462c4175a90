package families

import (
	"fmt"

	"lomo/internal/model"
)

// smollm3 is LLaMA with layers that rotate nothing, which may have a window.
var smollm3 = Family{Class: "smollm3", Defaults: Defaults{Vocab: 128256, Hidden: 2048, Intermediate: 11008, Layers: 36, Heads: 16, KVHeads: 4, Positions: 32768,
	Theta: 2e6, Tied: true, Padding: 128004},
	Reads: []string{"no_rope_layers", "no_rope_layer_interval", "attention_bias", "mlp_bias"},
	Read: func(c *model.Config, r *reader, d Defaults) {
		noRope(c, r)
		biases(c, r)
		windows(c, r, used(r, window(r, d.Window)), func(layer int) bool { return !c.Rotates(layer) })
	},
	Layers: Llama}

// noRope reads which layers rotate nothing: those with a 0 in no_rope_layers, else every n-th.
func noRope(c *model.Config, r *reader) {
	if !listed(c, r) {
		return
	}
	c.NoRope = make([]bool, c.NumHiddenLayers)
	if !r.given("no_rope_layers") {
		n := r.int("no_rope_layer_interval", 4)
		if n < 1 && r.err == nil {
			r.fail(&ConfigError{Msg: fmt.Sprintf("no_rope_layer_interval is %d, want a whole number from 1", n), Advice: again})
		}
		for i := range c.NoRope {
			c.NoRope[i] = r.err == nil && (i+1)%n == 0
		}
		return
	}
	list, ok := r.value("no_rope_layers").([]any)
	if !ok || len(list) < c.NumHiddenLayers {
		r.fail(&ConfigError{Msg: fmt.Sprintf("no_rope_layers is %s, want a list of a number for each of the %d layers", valueOf(r.raw["no_rope_layers"]), c.NumHiddenLayers), Advice: again})
		return
	}
	for i := range c.NoRope {
		switch list[i] {
		case 0.0, false:
			c.NoRope[i] = true
		case 1.0, true:
		default:
			r.fail(&ConfigError{Msg: fmt.Sprintf("no_rope_layers: layer %d is %v, want 1 with rotation or 0 without", i, list[i]), Advice: again})
		}
	}
}
