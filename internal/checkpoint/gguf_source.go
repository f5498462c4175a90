package checkpoint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"lomo/internal/checkpoint/gguf"
	"lomo/internal/fault"
	"lomo/internal/tensor"
)

// ggufSource is a llama model in a GGUF file under its Hugging Face names, shapes and row order.
type ggufSource struct {
	table
	file   *gguf.File
	config []byte
}

func (g *ggufSource) Config() []byte              { return g.config }
func (g *ggufSource) AuxFiles() map[string]string { return nil }
func (g *ggufSource) Close() error                { return g.file.Close() }

func openGGUF(path string) (Source, error) {
	file, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	g, err := newGGUFSource(file, path)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return g, nil
}

func newGGUFSource(file *gguf.File, path string) (*ggufSource, error) {
	m, err := readGGUFModel(file)
	if err != nil {
		return nil, err
	}
	if err := file.Readable(); err != nil {
		return nil, err
	}
	g := &ggufSource{table: table{path: path, tensors: map[string]*stored{}}, file: file}
	var unknown []string
	for _, t := range file.Tensors {
		if name, fused := fusedName(t.Name); fused {
			if err := g.addFused(m, t, name); err != nil {
				return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
			}
			continue
		}
		name, known := hfName(t.Name)
		switch {
		case !known:
			unknown = append(unknown, t.Name)
		case name != "":
			s := fromGGUF(file, t, name, 0, t.Rows())
			if s.head, err = m.headOf(name, s.rows); err != nil {
				return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
			}
			g.add(s)
		}
	}
	if len(unknown) > 0 {
		return nil, fault.Refuse("this build trains llama models without further parts: "+useFolder, "%s %q not part of a llama model, would be lost",
			fault.Count(len(unknown), "tensor"), fault.Line(unknown[0]))
	}
	g.config, err = m.configJSON()
	return g, err
}

// useFolder is the way out of a GGUF file that cannot be trained.
const useFolder = "take the model's Hugging Face folder, or another GGUF file made from it"

// fusedName translates the name of a matrix, or bias, that holds query, key and value below each other; the part is a %s.
func fusedName(name string) (format string, fused bool) {
	number, suffix, ok := strings.Cut(strings.TrimPrefix(name, "blk."), ".attn_qkv.")
	if !ok || suffix != "weight" && suffix != "bias" {
		return "", false
	}
	hf, known := hfName("blk." + number + ".attn_q." + suffix)
	return strings.Replace(hf, "q_proj", "%s_proj", 1), known
}

// addFused adds the three parts of a fused matrix.
func (g *ggufSource) addFused(m *ggufModel, t gguf.Tensor, format string) error {
	q, kv := m.heads*m.headDim, m.kvHeads*m.headDim
	if t.Rows() != q+2*kv {
		return fault.Refuse(useFolder, "%d rows, want %d: %d query, %d key and %d value heads of %d", t.Rows(), q+2*kv, m.heads, m.kvHeads, m.kvHeads, m.headDim)
	}
	for _, part := range []struct {
		letter       string
		from, to, hd int
	}{{"q", 0, q, m.headDim}, {"k", q, q + kv, m.headDim}, {"v", q + kv, q + 2*kv, 0}} {
		s := fromGGUF(g.file, t, fmt.Sprintf(format, part.letter), part.from, part.to)
		s.head = part.hd
		g.add(s)
	}
	return nil
}

// fromGGUF is the rows [r0, r1) of a tensor.
func fromGGUF(file *gguf.File, t gguf.Tensor, name string, r0, r1 int) *stored {
	shape := slices.Clone(t.Shape)
	shape[0] = r1 - r0
	rows, cols := dims(shape)
	block, size := t.Type.Block()
	start := int64(r0) * t.RowBytes()
	return &stored{
		info: Info{name, ggufDType(t.Type), shape}, rows: rows, cols: cols,
		block: block, size: size, exact: !t.Type.Quantized(),
		read:   func(off int64, dst []byte) error { return file.ReadRaw(t, start+off, dst) },
		decode: func(dst []float32, src []byte) error { return gguf.Dequantize(t.Type, dst, src) },
		file:   t.Handle(), position: t.Offset + start,
	}
}

// ggufDType is the dtype that a tensor decodes to without loss of what it holds.
func ggufDType(t gguf.Type) tensor.DType {
	switch t {
	case gguf.F16:
		return tensor.F16
	case gguf.BF16:
		return tensor.BF16
	}
	return tensor.F32
}

// ggufNames maps what stands before .weight or .bias.
var ggufNames = map[string]string{
	"token_embd":  "model.embed_tokens",
	"output_norm": "model.norm",
	"output":      "lm_head",
	"rope_freqs":  "", // becomes rope_scaling in the configuration
}

// ggufBlockNames maps what stands between blk.N. and .weight or .bias.
var ggufBlockNames = map[string]string{
	"attn_norm":     "input_layernorm",
	"attn_q":        "self_attn.q_proj",
	"attn_k":        "self_attn.k_proj",
	"attn_v":        "self_attn.v_proj",
	"attn_output":   "self_attn.o_proj",
	"ffn_norm":      "post_attention_layernorm",
	"ffn_gate":      "mlp.gate_proj",
	"ffn_up":        "mlp.up_proj",
	"ffn_down":      "mlp.down_proj",
	"attn_rot_embd": "", // old files: the rotary frequencies, which follow from the configuration
}

// hfName translates a name of the llama layout; "" means that the tensor is not a weight.
func hfName(name string) (hf string, known bool) {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 || name[dot:] != ".weight" && name[dot:] != ".bias" {
		return "", false
	}
	stem, suffix := name[:dot], name[dot:]
	if hf, ok := ggufNames[stem]; ok {
		return join(hf, suffix), true
	}
	rest, ok := strings.CutPrefix(stem, "blk.")
	number, part, ok2 := strings.Cut(rest, ".")
	layer, err := strconv.Atoi(number)
	hf, ok3 := ggufBlockNames[part]
	if !ok || !ok2 || !ok3 || err != nil || strconv.Itoa(layer) != number || layer < 0 {
		return "", false
	}
	if hf == "" {
		return "", true
	}
	return fmt.Sprintf("model.layers.%d.%s%s", layer, hf, suffix), true
}

func join(hf, suffix string) string {
	if hf == "" {
		return ""
	}
	return hf + suffix
}
