package families

import (
	"fmt"

	"lomo/internal/model"
)

// granite is LLaMA with multipliers.
var granite = Family{Class: "granite", Defaults: Defaults{Intermediate: 11008, Positions: 2048},
	Reads: []string{"attention_bias", "mlp_bias", "embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling"},
	Read: func(c *model.Config, r *reader, d Defaults) {
		biases(c, r)
		multipliers(c, r)
	}, Layers: Llama}

// multipliers reads granite's.
func multipliers(c *model.Config, r *reader) {
	divided := 1.0
	for _, m := range []struct {
		key string
		to  *float64
	}{{"embedding_multiplier", &c.EmbedScale}, {"residual_multiplier", &c.ResidualScale}, {"attention_multiplier", &c.ScoreScale}, {"logits_scaling", &divided}} {
		if *m.to = r.float(m.key, 1); !(*m.to > 0) && r.err == nil {
			r.fail(&ConfigError{Msg: fmt.Sprintf("%s is %v, want a number above 0", m.key, *m.to), Advice: again})
		}
	}
	c.LogitScale = 1 / divided
}
