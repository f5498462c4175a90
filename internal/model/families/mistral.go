package families

import (
	"fmt"
	"slices"

	"lomo/internal/model"
)

var mistralDefaults = Defaults{Intermediate: 14336, KVHeads: 8, Positions: 131072, Window: 4096}

// mistral is LLaMA with a window in all layers.
var mistral = Family{Class: "mistral", Defaults: mistralDefaults, Read: everyLayer, Layers: Llama}

// everyLayer reads the window of families that have it in all layers: transformers does not read layer_types of them.
func everyLayer(c *model.Config, r *reader, d Defaults) { everyLayerHas(c, r, window(r, d.Window)) }

// everyLayerHas gives all layers the window w, and refuses a layer_types that says otherwise.
func everyLayerHas(c *model.Config, r *reader, w int) {
	windows(c, r, w, func(int) bool { return true })
	if w > 0 && (c.Windows == nil || slices.Contains(c.Windows, 0)) {
		err := &ConfigError{Msg: fmt.Sprintf("layer_types has layers without a window: %s has the same in all layers", c.ModelType), Advice: again}
		if c.ModelType == "mistral" {
			err.Advice = "set model_type to \"ministral\" where that is meant"
		}
		r.fail(err)
	}
}

// ministral has it in the layers that layer_types names.
var ministral = Family{Class: "ministral", Defaults: mistralDefaults, Read: func(c *model.Config, r *reader, d Defaults) {
	windows(c, r, window(r, d.Window), func(int) bool { return true })
}, Layers: Llama}
