package families

import "lomo/internal/model"

// llama computes no window: transformers does not know one here, so that what is longer than a sliding_window in the file is refused.
var llama = Family{Class: "llama", Defaults: Defaults{Intermediate: 11008, Positions: 2048}, Reads: []string{"attention_bias", "mlp_bias"},
	Read: func(c *model.Config, r *reader, d Defaults) {
		biases(c, r)
		w := window(r, 0)
		if r.given("use_sliding_window") && !r.bool("use_sliding_window", true) {
			w = 0
		}
		windows(c, r, w, func(int) bool { return true })
		if c.Windows != nil {
			c.Windows, c.SlidingWindow = nil, w
		}
	}, Layers: Llama}

// biases reads which linear layers have one.
func biases(c *model.Config, r *reader) {
	c.QKVBias = r.bool("attention_bias", false)
	c.OutBias, c.MLPBias = c.QKVBias, r.bool("mlp_bias", false)
}

// Llama is a block of the LLaMA family: h = x + attention(norm(x)), y = h + mlp(norm(h)); y is returned.
func Llama(b *model.Builder, x model.Slot) model.Slot {
	q, k, v := qkv(b, b.Norm("input_layernorm", x))
	h := output(b, attention(b, q, k, v), x)
	return mlp(b, b.Norm("post_attention_layernorm", h), h)
}

// qkv is the linear layers of attention.
func qkv(b *model.Builder, n model.Slot) (q, k, v model.Slot) {
	c := b.Cfg
	q = b.Linear("self_attn.q_proj", n, c.QSize(), c.QKVBias)
	k = b.Linear("self_attn.k_proj", n, c.KVSize(), c.QKVBias)
	v = b.Linear("self_attn.v_proj", n, c.KVSize(), c.QKVBias)
	return q, k, v
}

func attention(b *model.Builder, q, k, v model.Slot) model.Slot {
	b.Rotate(q, k)
	return b.Attention(q, k, v)
}

// output adds attention to the residual stream.
func output(b *model.Builder, att, x model.Slot) model.Slot {
	return branch(b, "self_attn.o_proj", att, x, b.Cfg.OutBias)
}

// mlp adds down(silu(gate(n)) ⊙ up(n)) to the residual stream h.
func mlp(b *model.Builder, n, h model.Slot) model.Slot {
	return branch(b, "mlp.down_proj", hiddenOf(b, n), h, b.Cfg.MLPBias)
}

// hiddenOf is silu(gate(n)) ⊙ up(n).
func hiddenOf(b *model.Builder, n model.Slot) model.Slot { return b.SwiGLU(gateAndUp(b, n)) }

func gateAndUp(b *model.Builder, n model.Slot) (gate, up model.Slot) {
	gate = b.Linear("mlp.gate_proj", n, b.Cfg.IntermediateSize, b.Cfg.MLPBias)
	up = b.Linear("mlp.up_proj", n, b.Cfg.IntermediateSize, b.Cfg.MLPBias)
	return gate, up
}

// branch ends a branch of the block: its last linear layer, whose result goes into the residual stream.
func branch(b *model.Builder, name string, from, stream model.Slot, bias bool) model.Slot {
	if s := b.Cfg.ResidualScale; s != 0 && s != 1 {
		return b.Join(b.Linear(name, from, b.Cfg.HiddenSize, bias), stream, float32(s))
	}
	return b.Add(name, from, stream, bias)
}
