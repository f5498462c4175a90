package export

import (
	"slices"
	"strings"
	"testing"

	"lomo/internal/checkpoint/gguf"
	"lomo/internal/checkpoint/gguf/arch"
	"lomo/internal/grad"
	"lomo/internal/model"
	"lomo/internal/model/families"
)

// planOf is the plan of a llama of these sizes without its tokenizer.
func planOf(t *testing.T, dtype, config string) *Plan {
	t.Helper()
	c, err := families.Parse([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	d, err := ParseDType(dtype)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := arch.ForFamily(c.ModelType)
	p := &Plan{m: Model{Config: c, Params: model.NewNetwork(c).Params()}, arch: a, dtype: d, source: map[string]*grad.Param{}, extra: map[string][]float32{}}
	if err := p.placeTensors(); err != nil {
		t.Fatal(err)
	}
	return p
}

const wide = `{"model_type":"llama","vocab_size":300,"hidden_size":512,"intermediate_size":768,"num_hidden_layers":16,"num_attention_heads":8,"num_key_value_heads":4,"max_position_embeddings":64,"tie_word_embeddings":TIED}`

// TestTypes: q4_k is llama.cpp's Q4_K_M: Q6_K for the head, and for values and down projections of blocks 0, 1, 4, 7, 10, 13, 14 and 15 of 16.
func TestTypes(t *testing.T) {
	for _, tied := range []string{"true", "false"} {
		p := planOf(t, "q4_k", strings.Replace(wide, "TIED", tied, 1))
		var six []string
		for _, w := range p.tensors {
			switch {
			case len(w.Shape) == 1 && w.Type != gguf.F32, len(w.Shape) > 1 && w.Type != gguf.Q4_K && w.Type != gguf.Q6_K:
				t.Errorf("%s is %v", w.Name, w.Type)
			case w.Type == gguf.Q6_K:
				six = append(six, w.Name)
			}
		}
		want := []string{"output.weight"}
		if tied == "true" {
			want = []string{"token_embd.weight"}
		}
		for _, layer := range []string{"0", "1", "4", "7", "10", "13", "14", "15"} {
			want = append(want, "blk."+layer+".attn_v.weight", "blk."+layer+".ffn_down.weight")
		}
		slices.Sort(want)
		slices.Sort(six)
		if !slices.Equal(six, want) {
			t.Errorf("tied %s: Q6_K are %v, want %v", tied, six, want)
		}
	}
	for dtype, head := range map[string]gguf.Type{"q8_0": gguf.Q8_0, "q4_0": gguf.Q6_K, "q6_k": gguf.Q6_K, "f16": gguf.F16, "f32": gguf.F32, "bf16": gguf.BF16} {
		p := planOf(t, dtype, strings.Replace(wide, "TIED", "false", 1))
		for _, w := range p.tensors {
			want := p.dtype.kind
			if w.Name == "output.weight" {
				want = head
			}
			if len(w.Shape) > 1 && w.Type != want {
				t.Errorf("%s: %s is %v, want %v", dtype, w.Name, w.Type, want)
			}
		}
	}
}

// TestNarrower: rows that are no multiple of 256 take a type of 32, those that are none of 32 F16, and it is said how many.
func TestNarrower(t *testing.T) {
	narrow := `{"model_type":"llama","vocab_size":300,"hidden_size":COLS,"intermediate_size":512,"num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":1,"max_position_embeddings":64}`
	for _, c := range []struct {
		dtype, cols string
		want        gguf.Type
	}{{"q4_k", "96", gguf.Q5_0}, {"q6_k", "96", gguf.Q8_0}, {"q8_0", "96", gguf.Q8_0}, {"q4_k", "100", gguf.F16}, {"q8_0", "100", gguf.F16}, {"q4_0", "100", gguf.F16}, {"q4_k", "256", gguf.Q4_K}} {
		p := planOf(t, c.dtype, strings.Replace(narrow, "COLS", c.cols, 1))
		for _, w := range p.tensors {
			if w.Name == "blk.0.attn_q.weight" && w.Type != c.want {
				t.Errorf("%s of %s columns: %v, want %v", c.dtype, c.cols, w.Type, c.want)
			}
		}
		said := len(p.Notes) == 1 && strings.Contains(p.Notes[0], "because rows are no multiple of the type's block, first ")
		if fell := c.want != p.dtype.kind; said != fell {
			t.Errorf("%s of %s columns: %q", c.dtype, c.cols, p.Notes)
		}
	}
}

// TestPieces: pieces cover every row once and do not cut attention heads.
func TestPieces(t *testing.T) {
	defer func(n int) { pieceElements = n }(pieceElements)
	for _, n := range []int{1, 700, 5000, 1 << 20} {
		pieceElements = n
		p := planOf(t, "f32", strings.Replace(wide, "TIED", "false", 1))
		next := map[string]int{}
		for _, at := range p.pieces() {
			if at.r0 != next[at.t.Name] || at.r1 <= at.r0 {
				t.Fatalf("%s: rows %d to %d after %d", at.t.Name, at.r0, at.r1, next[at.t.Name])
			}
			next[at.t.Name] = at.r1
			if strings.Contains(at.t.Name, "attn_q") && (at.r0%64 != 0 || at.r1%64 != 0) {
				t.Errorf("%s: rows %d to %d cut a head of 64", at.t.Name, at.r0, at.r1)
			}
		}
		for _, w := range p.tensors {
			if next[w.Name] != w.Rows() {
				t.Errorf("%s: %d rows of %d", w.Name, next[w.Name], w.Rows())
			}
		}
	}
}

// TestDTypes: names in either case, llama.cpp's for q4_k, and the nearest of what is not known.
func TestDTypes(t *testing.T) {
	for name, want := range map[string]string{"F16": "f16", "q4_k": "q4_k", "Q4_K_M": "q4_k", "bf16": "bf16"} {
		if d, err := ParseDType(name); err != nil || d.Name != want {
			t.Errorf("%s: %v, %v", name, d.Name, err)
		}
	}
	for _, name := range []string{"", "q5_k", "int8", "fp16x"} {
		if _, err := ParseDType(name); err == nil || !strings.Contains(err.Error(), "is not one of f32, f16, bf16") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestToMeta: rows go where llama.cpp's converter puts them: view(heads, 2, d/2).swapaxes(1, 2).
func TestToMeta(t *testing.T) {
	src := []float32{0, 1, 2, 3, 10, 11, 12, 13}
	dst := make([]float32, len(src))
	toMeta(dst, src, 4, 1)
	if want := []float32{0, 2, 1, 3, 10, 12, 11, 13}; !slices.Equal(dst, want) {
		t.Errorf("%v, want %v", dst, want)
	}
}
