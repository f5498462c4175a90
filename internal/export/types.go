package export

import (
	"fmt"
	"slices"
	"strings"

	"lomo/internal/checkpoint/gguf"
	"lomo/internal/fault"
	"lomo/internal/grad"
	"lomo/internal/suggest"
)

// DType is how the matrices of a file are stored. Norms and biases are always F32.
type DType struct {
	Name  string
	kind  gguf.Type
	file  uint32 // general.file_type
	wide  gguf.Type
	mixed bool // some matrices are wide as well, as in llama.cpp's Q4_K_M
}

// dtypes by name. The head, or the embedding where it is the head too, is wide.
var dtypes = []DType{
	{Name: "f32", kind: gguf.F32, file: 0, wide: gguf.F32},
	{Name: "f16", kind: gguf.F16, file: 1, wide: gguf.F16},
	{Name: "bf16", kind: gguf.BF16, file: 32, wide: gguf.BF16},
	{Name: "q8_0", kind: gguf.Q8_0, file: 7, wide: gguf.Q8_0},
	{Name: "q4_0", kind: gguf.Q4_0, file: 2, wide: gguf.Q6_K},
	{Name: "q4_k", kind: gguf.Q4_K, file: 15, wide: gguf.Q6_K, mixed: true},
	{Name: "q6_k", kind: gguf.Q6_K, file: 18, wide: gguf.Q6_K},
}

// DTypes are the names that ParseDType knows.
func DTypes() (names []string) {
	for _, d := range dtypes {
		names = append(names, d.Name)
	}
	return names
}

// ParseDType reads a name, in either case of letters; Q4_K_M is llama.cpp's for what q4_k writes.
func ParseDType(name string) (DType, error) {
	want := strings.ToLower(name)
	if want == "q4_k_m" {
		want = "q4_k"
	}
	i := slices.IndexFunc(dtypes, func(d DType) bool { return d.Name == want })
	if i < 0 {
		hint := ""
		if near := suggest.Nearest(want, DTypes()); near != "" {
			hint = "did you mean " + near + "?"
		}
		return DType{}, fault.Refuse(hint, "dtype %q is not one of %s", name, strings.Join(DTypes(), ", "))
	}
	return dtypes[i], nil
}

// Quantized reports whether the matrices lose bits of 16.
func (d DType) Quantized() bool { return d.kind.Quantized() }

// typeOf is the type of a tensor, before its shape is looked at.
func (p *Plan) typeOf(name string, shape []int) gguf.Type {
	if len(shape) < 2 {
		return gguf.F32
	}
	c := p.m.Config
	head := name == "output.weight" || c.TieWordEmbeddings && name == "token_embd.weight"
	switch {
	case head && p.dtype.Quantized() && shape[len(shape)-1]%blockOf(p.dtype.kind) != 0:
		return gguf.Q8_0
	case head:
		return p.dtype.wide
	case p.dtype.mixed && p.sensitive(name):
		return p.dtype.wide
	}
	return p.dtype.kind
}

func blockOf(t gguf.Type) int {
	n, _ := t.Block()
	return n
}

// sensitive tells the matrices whose rounding costs most: values and down projections of the first and the last eighth of the blocks and
// of every third between, as in llama.cpp's Q4_K_M.
func (p *Plan) sensitive(name string) bool {
	var layer int
	var part string
	if _, err := fmt.Sscanf(strings.ReplaceAll(name, ".", " "), "blk %d %s", &layer, &part); err != nil {
		return false
	}
	n := p.m.Config.NumHiddenLayers
	return slices.Contains([]string{"attn_v", "attn_qkv", "ffn_down"}, part) && (layer < n/8 || layer >= 7*n/8 || (layer-n/8)%3 == 2)
}

// narrower are the types of 32 elements that rows take which are no multiple of 256.
var narrower = map[gguf.Type]gguf.Type{gguf.Q4_K: gguf.Q5_0, gguf.Q6_K: gguf.Q8_0}

// placeTensors lists the tensors of the file in the order of the parameters.
func (p *Plan) placeTensors() error {
	if p.arch.OwnHead && p.m.Config.TieWordEmbeddings {
		return fault.Refuse(toFolder, "tie_word_embeddings is true, and llama.cpp loads models of the architecture %s only with a head of their own", p.arch.Name)
	}
	fell, first, to := 0, "", gguf.F32
	for _, param := range p.m.Params {
		name, known := p.arch.GGUF(param.Name)
		if !known {
			return fault.Refuse(toFolder, "tensor %q has no place in the architecture %s of GGUF files", param.Name, p.arch.Name)
		}
		want := p.typeOf(name, param.Shape)
		t := gguf.Tensor{Name: name, Type: want, Shape: slices.Clone(param.Shape)}
		cols := param.Shape[len(param.Shape)-1]
		if less, ok := narrower[t.Type]; ok && cols%blockOf(t.Type) != 0 {
			t.Type = less
		}
		if cols%blockOf(t.Type) != 0 {
			t.Type = gguf.F16
		}
		if t.Type != want {
			if fell++; fell == 1 {
				first, to = name, t.Type
			}
		}
		p.tensors = append(p.tensors, t)
		p.source[name] = param
	}
	if fell > 0 {
		p.note("%s in a wider type than asked for, because rows are no multiple of the type's block, first %s in %v", fault.Number(fell, "tensor"), first, to)
	}
	return nil
}

// metaRows is how many rows an attention head of a parameter has that lie in Meta's order, 0 for others.
func (p *Plan) metaRows(param *grad.Param) int {
	if p.arch.Heads(param.Name) == "" {
		return 0
	}
	return p.m.Config.HeadDim
}
