package model

import (
	"fmt"
	"slices"
	"testing"

	"lomo/internal/tensor"
)

// shapes are blocks whose gradients find room in different places: in the MLP's activations, in part of them, in none.
var shapes = []Config{
	{HiddenSize: 64, IntermediateSize: 176, NumAttentionHeads: 4, NumKeyValueHeads: 2, HeadDim: 16},
	{HiddenSize: 64, IntermediateSize: 96, NumAttentionHeads: 4, NumKeyValueHeads: 4, HeadDim: 64},
	{HiddenSize: 256, IntermediateSize: 32, NumAttentionHeads: 8, NumKeyValueHeads: 8, HeadDim: 32},
	{HiddenSize: 40, IntermediateSize: 8, NumAttentionHeads: 5, NumKeyValueHeads: 1, HeadDim: 8},
	{HiddenSize: 4096, IntermediateSize: 11008, NumAttentionHeads: 32, NumKeyValueHeads: 32, HeadDim: 128},
	{HiddenSize: 576, IntermediateSize: 1536, NumAttentionHeads: 9, NumKeyValueHeads: 3, HeadDim: 64},
}

// Whatever shares memory with what, nothing is overwritten before the layer that reads it: the test goes through the backward pass
// and notes who wrote each byte of a row last.
func TestGradientsOverwriteNothing(t *testing.T) {
	for i, c := range shapes {
		for _, act := range []tensor.DType{tensor.F32, tensor.BF16} {
			for mode := range 8 {
				over, share, held := mode&1 > 0, mode&2 > 0, mode&4 > 0
				if share && held { // held factors are all micro-batches'
					continue
				}
				b, _ := newBlock(&c, 0)
				t.Run(fmt.Sprintf("shape %d, %v, over=%v, share=%v, held=%v", i, act, over, share, held), func(t *testing.T) {
					walk(t, b, act, over, share, held)
				})
			}
		}
	}
}

func walk(t *testing.T, b *Block, act tensor.DType, over, share, held bool) {
	at, own := b.places(act, over, share, held)
	type part struct {
		room     string
		off, end int64
	}
	width := func(s Slot) int64 { return int64(b.slots[s].cols * act.Size()) }
	activation := func(s Slot) part { return part{fmt.Sprint("activation ", s), 0, width(s)} }
	gradient := func(s Slot) part {
		n := int64(b.slots[s].cols * b.slots[s].gradient(act).Size())
		switch p := at[s]; p.kind {
		case apart:
			return part{fmt.Sprint("apart ", s), 0, n}
		case ofItsOwn:
			if n > own[p.room].bytes {
				t.Errorf("the gradient of %s takes %d bytes a row of %d", b.slots[s].name, n, own[p.room].bytes)
			}
			return part{fmt.Sprint("own ", p.room), 0, n}
		case within:
			if p.off+n > width(Slot(p.room)) || p.off%64 != 0 {
				t.Errorf("the gradient of %s lies at %d to %d of %s, which has %d", b.slots[s].name, p.off, p.off+n, b.slots[p.room].name, width(Slot(p.room)))
			}
			return part{fmt.Sprint("activation ", p.room), p.off, p.off + n}
		}
		if !over || !b.over[s] {
			t.Errorf("the gradient of %s has no place", b.slots[s].name)
		}
		return activation(s)
	}
	type mark struct {
		what string
		part
	}
	var memory []mark
	write := func(what string, p part) {
		memory = slices.DeleteFunc(memory, func(m mark) bool { return m.room == p.room && m.off < p.end && p.off < m.end })
		memory = append(memory, mark{what, p})
	}
	read := func(what string, p part) {
		if !slices.Contains(memory, mark{what, p}) {
			t.Errorf("%s is read and was overwritten", what)
		}
	}
	for _, s := range b.own() {
		if !b.slots[s].f32 {
			write("the activation "+b.slots[s].name, activation(s))
		}
	}
	for i := len(b.layers) - 1; i >= 0; i-- {
		w := b.layers[i].wires()
		for _, s := range w.reads {
			if s != 0 && !b.slots[s].f32 {
				read("the activation "+b.slots[s].name, activation(s))
			}
		}
		for _, s := range w.to {
			if !b.slots[s].residual {
				read("the gradient of "+b.slots[s].name, gradient(s))
			}
		}
		for _, s := range w.from {
			if !b.slots[s].residual {
				write("the gradient of "+b.slots[s].name, gradient(s))
			}
		}
		for _, s := range w.reads { // a layer may write while it reads, but for gradients over their activations
			if s != 0 && !b.slots[s].f32 && !(over && w.over && slices.Contains(w.from, s)) {
				read("the activation "+b.slots[s].name, activation(s))
			}
		}
		for _, s := range w.to {
			if !b.slots[s].residual {
				read("the gradient of "+b.slots[s].name, gradient(s))
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
		b, _ := newBlock(&shapes[e.shape], 0)
		_, own := b.places(tensor.BF16, true, true, false)
		var got []int64
		for _, r := range own {
			got = append(got, r.bytes)
		}
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
	for i, p := range NewNetwork(&c).Params() {
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
