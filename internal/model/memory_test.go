package model_test

import (
	"fmt"
	"slices"
	"testing"

	"lomo/internal/model"
	"lomo/internal/model/families"
	"lomo/internal/tensor"
)

// shapes are blocks whose gradients find room in different places: in the MLP's activations, in part of them, in none.
var shapes = []model.Config{
	{HiddenSize: 64, IntermediateSize: 176, NumAttentionHeads: 4, NumKeyValueHeads: 2, HeadDim: 16, Layers: families.Llama},
	{HiddenSize: 64, IntermediateSize: 96, NumAttentionHeads: 4, NumKeyValueHeads: 4, HeadDim: 64, Layers: families.Llama},
	{HiddenSize: 256, IntermediateSize: 32, NumAttentionHeads: 8, NumKeyValueHeads: 8, HeadDim: 32, Layers: families.Llama},
	{HiddenSize: 40, IntermediateSize: 8, NumAttentionHeads: 5, NumKeyValueHeads: 1, HeadDim: 8, Layers: families.Llama},
	{HiddenSize: 4096, IntermediateSize: 11008, NumAttentionHeads: 32, NumKeyValueHeads: 32, HeadDim: 128, Layers: families.Llama},
	{HiddenSize: 576, IntermediateSize: 1536, NumAttentionHeads: 9, NumKeyValueHeads: 3, HeadDim: 64, Layers: families.Llama},
}

// Whatever shares memory with what, nothing is overwritten before the layer that reads it.
func TestGradientsOverwriteNothing(t *testing.T) {
	all := shapes
	for _, kind := range families.Names() {
		keys := ""
		if kind == "granitemoehybrid" { // whose defaults are a mixture's
			keys = `, "num_local_experts": 0, "layer_types": ["attention", "attention", "attention", "attention", "attention"]`
		}
		c, err := families.Parse(fmt.Appendf(nil, `{"model_type": %q, "num_hidden_layers": 5%s}`, kind, keys))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, *c)
	}
	for i, c := range all {
		for _, act := range []tensor.DType{tensor.F32, tensor.BF16} {
			for mode := range 8 {
				over, share, held := mode&1 > 0, mode&2 > 0, mode&4 > 0
				if share && held { // held factors are all micro-batches'
					continue
				}
				t.Run(fmt.Sprintf("shape %d, %v, over=%v, share=%v, held=%v", i, act, over, share, held), func(t *testing.T) {
					model.Walk(t, model.NewBlock(&c, min(3, c.NumHiddenLayers)), act, over, share, held)
				})
			}
		}
	}
}

// A block of LLaMA takes for gradients what its largest one takes, when the MLP's activations have room for attention's.
func TestGradientsTakeLittle(t *testing.T) {
	for _, e := range []struct {
		shape int
		want  []int64 // bytes a row, BF16
	}{{0, []int64{352}}, {4, []int64{22016}}, {5, []int64{3072}}, {1, []int64{512, 512, 512, 512}}} {
		got := model.OwnBytes(model.NewBlock(&shapes[e.shape], 0), tensor.BF16)
		if !slices.Equal(got, e.want) {
			t.Errorf("shape %d: %v bytes a row, want %v", e.shape, got, e.want)
		}
	}
}

// The table of parameters has the order of a Hugging Face state dict: noise is drawn by it.
func TestOrderOfParameters(t *testing.T) {
	c := shapes[0]
	c.NumHiddenLayers, c.VocabSize = 1, 8
	var got []string
	for i, p := range model.NewNetwork(&c).Params() {
		if p.ID != uint32(i) {
			t.Errorf("%s has the number %d, want %d", p.Name, p.ID, i)
		}
		got = append(got, p.Name)
	}
	const in = "model.layers.0."
	want := []string{"model.embed_tokens.weight", in + "self_attn.q_proj.weight", in + "self_attn.k_proj.weight", in + "self_attn.v_proj.weight",
		in + "self_attn.o_proj.weight", in + "mlp.gate_proj.weight", in + "mlp.up_proj.weight", in + "mlp.down_proj.weight",
		in + "input_layernorm.weight", in + "post_attention_layernorm.weight", "model.norm.weight", "lm_head.weight"}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
