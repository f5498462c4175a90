package checkpoint

import (
	"fmt"
	"strconv"
	"strings"

	"lomo/internal/checkpoint/gguf"
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
	g := &ggufSource{table: table{path: path, tensors: map[string]*stored{}}, file: file}
	for _, t := range file.Tensors {
		name, err := hfName(t.Name)
		if err != nil {
			return nil, err
		}
		if name == "" {
			continue
		}
		s := fromGGUF(file, t, name)
		if s.head, err = m.headOf(name, s.rows); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		g.add(s)
	}
	g.config, err = m.configJSON()
	return g, err
}

func fromGGUF(file *gguf.File, t gguf.Tensor, name string) *stored {
	rows, cols := dims(t.Shape)
	block, size := t.Type.Block()
	return &stored{
		info: Info{name, ggufDType(t.Type), t.Shape}, rows: rows, cols: cols,
		block: block, size: size, exact: !t.Type.Quantized(),
		read:   func(off int64, dst []byte) error { return file.ReadRaw(t, off, dst) },
		decode: func(dst []float32, src []byte) error { return gguf.Dequantize(t.Type, dst, src) },
		file:   file.Handle(), position: t.Offset,
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
func hfName(name string) (string, error) {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 || name[dot:] != ".weight" && name[dot:] != ".bias" {
		return "", unknownTensor(name)
	}
	stem, suffix := name[:dot], name[dot:]
	if hf, ok := ggufNames[stem]; ok {
		return join(hf, suffix), nil
	}
	rest, ok := strings.CutPrefix(stem, "blk.")
	number, part, ok2 := strings.Cut(rest, ".")
	layer, err := strconv.Atoi(number)
	hf, ok3 := ggufBlockNames[part]
	if !ok || !ok2 || !ok3 || err != nil || strconv.Itoa(layer) != number || layer < 0 {
		return "", unknownTensor(name)
	}
	if hf == "" {
		return "", nil
	}
	return fmt.Sprintf("model.layers.%d.%s%s", layer, hf, suffix), nil
}

func join(hf, suffix string) string {
	if hf == "" {
		return ""
	}
	return hf + suffix
}

func unknownTensor(name string) error {
	return fmt.Errorf("tensor %q is not part of a llama model: it would be lost", name)
}
