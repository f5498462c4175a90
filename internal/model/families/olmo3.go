package families

import "lomo/internal/model"

// olmo3 is OLMo 2 with a window in three of four layers, whose rotary frequencies are not scaled.
var olmo3 = Family{Class: "olmo3", Defaults: Defaults{Vocab: 50304, Intermediate: 11008, Positions: 2048, Window: 4096, Theta: 5e5, LocalTheta: 5e5, Padding: 1, Eps: 1e-5, EOS: 50279},
	Reads: []string{"attention_bias"},
	Rope:  ropeByLayerType,
	Read: func(c *model.Config, r *reader, d Defaults) {
		olmo2.Read(c, r, d)
		slidingLayers(c, r, d, func(layer int) bool { return (layer+1)%4 != 0 })
	},
	Layers: olmo2.Layers}
