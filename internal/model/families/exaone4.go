package families

import (
	"fmt"

	"lomo/internal/model"
)

// exaone4 has OLMo 2's norms behind attention and MLP and Qwen 3's over heads. Where layers have a window those without rotate nothing.
var exaone4 = Family{Class: "exaone4", Defaults: Defaults{Vocab: 102400, Intermediate: 16384, KVHeads: 32, Positions: 2048, Window: 4096, Eps: 1e-5, BOS: firstRow, EOS: 2},
	Reads: []string{"sliding_window_pattern"},
	Read: func(c *model.Config, r *reader, d Defaults) {
		every := 4
		if pattern := r.value("sliding_window_pattern"); !r.given("layer_types") && r.given("sliding_window_pattern") {
			if text, ok := pattern.(string); ok {
				r.fail(&ConfigError{Msg: fmt.Sprintf("sliding_window_pattern is %q and layer_types is missing: transformers reads no letters", text), Advice: "set layer_types in config.json"})
				return
			}
			if every = r.int("sliding_window_pattern", every); every < 1 {
				r.fail(&ConfigError{Msg: fmt.Sprintf("sliding_window_pattern is %d, want a whole number from 1", every), Advice: again})
				return
			}
		}
		w := window(r, d.Window)
		windows(c, r, w, func(layer int) bool { return (layer+1)%every != 0 })
		if w > 0 && listed(c, r) {
			c.NoRope = make([]bool, c.NumHiddenLayers)
			for i := range c.NoRope {
				c.NoRope[i] = c.Window(i) == 0
			}
		}
	},
	Layers: func(b *model.Builder, x model.Slot) model.Slot {
		q, k, v := qkv(b, x)
		q, k = b.HeadNorm("self_attn.q_norm", q), b.HeadNorm("self_attn.k_norm", k)
		return normsBehind(b, attention(b, q, k, v), x)
	}}
