// Package meta reads the checkpoints that Meta publishes (formats.md 4): params.json and consolidated.NN.pth, each of which
// holds a part of every matrix, cut by rows or by columns. It shows them as one model under Hugging Face names and shapes; what
// is read of it is read from the parts directly, so that a rank's rows cost no more than their own bytes.
package meta

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"lomo/internal/checkpoint/torch"
	"lomo/internal/fault"
	"lomo/internal/hub"
	"lomo/internal/tensor"
)

// Model is an open checkpoint. Its methods may be called from several goroutines at once.
type Model struct {
	Tensors []Tensor
	Config  []byte // config.json, made from params.json and the shapes

	parts []*torch.File
}

// Tensor is one joined tensor, in Meta's order of rows.
type Tensor struct {
	Name  string // Hugging Face's
	DType tensor.DType
	Shape []int
	Head  int // rows of an attention head of a query or key matrix, whose rows Hugging Face orders otherwise; else 0

	join  join
	parts []part
}

// part is a piece of a tensor, in one of the files.
type part struct {
	file *torch.File
	t    *torch.Tensor
}

type join uint8

const (
	copies  join = iota // every part holds the same: part 0 counts
	rows                // parts follow each other
	columns             // each row is cut
	either              // the embedding: columns up to Llama 2, rows in Llama 3
)

// meaning is what a name of Meta's stands for.
type meaning struct {
	hf   string
	join join
}

// names maps what stands before ".weight".
var names = map[string]meaning{
	"tok_embeddings": {"model.embed_tokens", either},
	"norm":           {"model.norm", copies},
	"output":         {"lm_head", rows},
}

// layerNames maps what stands between "layers.N." and ".weight".
var layerNames = map[string]meaning{
	"attention.wq":    {"self_attn.q_proj", rows},
	"attention.wk":    {"self_attn.k_proj", rows},
	"attention.wv":    {"self_attn.v_proj", rows},
	"attention.wo":    {"self_attn.o_proj", columns},
	"feed_forward.w1": {"mlp.gate_proj", rows},
	"feed_forward.w3": {"mlp.up_proj", rows},
	"feed_forward.w2": {"mlp.down_proj", columns},
	"attention_norm":  {"input_layernorm", copies},
	"ffn_norm":        {"post_attention_layernorm", copies},
}

// onePlace is the way out of parts that do not fit together.
const onePlace = "download all parts and params.json again, from one place"

// Glob matches the parts.
const Glob = "consolidated.*.pth"

// Open reads params.json and the tables of all parts in dir. No weight is read.
func Open(dir string) (_ *Model, err error) {
	m := &Model{}
	defer func() {
		if err != nil {
			m.Close()
		}
	}()
	p, err := readParams(filepath.Join(dir, "params.json"))
	if err != nil {
		return nil, err
	}
	paths, err := partPaths(dir)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		f, err := torch.Open(path)
		if err != nil {
			return nil, err
		}
		m.parts = append(m.parts, f)
	}
	if err := m.join(p); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	m.Config, err = p.configJSON(m)
	if err != nil {
		err = fmt.Errorf("%s: %w", filepath.Join(dir, "params.json"), err)
	}
	return m, err
}

// partPaths is consolidated.00.pth … without a gap.
func partPaths(dir string) ([]string, error) {
	paths := hub.Glob(dir, Glob)
	if len(paths) == 0 {
		return nil, fmt.Errorf("%s: no %s", dir, Glob)
	}
	slices.Sort(paths)
	for i, path := range paths {
		if want := fmt.Sprintf("consolidated.%02d.pth", i); filepath.Base(path) != want {
			return nil, fault.Refuse("download what is missing into the folder", "%s: part %d is missing: found %s, want %s", dir, i, filepath.Base(path), want)
		}
	}
	return paths, nil
}

// hfName translates a name; "" is one that is no weight.
func hfName(name string) (hf string, j join, err error) {
	if name == "rope.freqs" || strings.HasSuffix(name, ".inner_attention.rope.freqs") {
		return "", copies, nil
	}
	stem, ok := strings.CutSuffix(name, ".weight")
	n, known := names[stem]
	prefix := ""
	if rest, layer := strings.CutPrefix(stem, "layers."); layer {
		number, after, _ := strings.Cut(rest, ".")
		if i, err := strconv.Atoi(number); err != nil || strconv.Itoa(i) != number || i < 0 {
			ok = false
		}
		prefix = "model.layers." + number + "."
		n, known = layerNames[after]
	}
	if !ok || !known {
		return "", copies, fault.Refuse("this build trains llama models without further parts", "tensor %q is not part of a llama model: it would be lost", name)
	}
	return prefix + n.hf + ".weight", n.join, nil
}

// join finds the parts of every tensor of part 0 and checks that they fit together.
func (m *Model) join(p *params) error {
	tables := make([]map[string]*torch.Tensor, len(m.parts))
	for i, f := range m.parts {
		tables[i] = map[string]*torch.Tensor{}
		for j := range f.Tensors {
			tables[i][f.Tensors[j].Name] = &f.Tensors[j]
		}
		if len(f.Tensors) != len(m.parts[0].Tensors) {
			return fault.Refuse(onePlace, "part %d holds %d tensors, part 0 holds %d", i, len(f.Tensors), len(m.parts[0].Tensors))
		}
	}
	for _, first := range m.parts[0].Tensors {
		hf, j, err := hfName(first.Name)
		if err != nil {
			return err
		}
		if hf == "" {
			continue
		}
		t := Tensor{Name: hf, DType: first.DType, join: j}
		for i, table := range tables {
			piece := table[first.Name]
			if piece == nil {
				return fault.Refuse(onePlace, "part %d: tensor %q is missing", i, first.Name)
			}
			t.parts = append(t.parts, part{m.parts[i], piece})
		}
		if err := t.fit(p); err != nil {
			return fmt.Errorf("tensor %q: %w", first.Name, err)
		}
		m.Tensors = append(m.Tensors, t)
	}
	return nil
}

// fit decides how the parts join, and the whole's shape.
func (t *Tensor) fit(p *params) error {
	first := t.parts[0].t
	t.Shape = slices.Clone(first.Shape)
	if want := map[bool]int{true: 1, false: 2}[t.join == copies]; len(first.Shape) != want {
		return fault.Refuse(onePlace, "shape %v, want %d dimensions", first.Shape, want)
	}
	if t.join == either {
		if t.join = columns; first.Shape[1] == p.Dim {
			t.join = rows
		}
	}
	if t.join == copies {
		t.parts = t.parts[:1]
		return nil
	}
	along := 0
	if t.join == columns {
		along = 1
	}
	for i, q := range t.parts[1:] {
		if q.t.DType != t.DType || len(q.t.Shape) != 2 || q.t.Shape[1-along] != first.Shape[1-along] {
			return fault.Refuse(onePlace, "part %d is %v%v, part 0 %v%v", i+1, q.t.DType, q.t.Shape, t.DType, first.Shape)
		}
		t.Shape[along] += q.t.Shape[along]
	}
	if strings.HasSuffix(t.Name, "q_proj.weight") || strings.HasSuffix(t.Name, "k_proj.weight") {
		if t.Head = p.Dim / p.Heads; t.Head%2 != 0 || t.Shape[0]%t.Head != 0 {
			return fault.Refuse(onePlace, "%d rows are not heads of %d (dim %d, n_heads %d)", t.Shape[0], t.Head, p.Dim, p.Heads)
		}
	}
	return nil
}

// Close releases the files.
func (m *Model) Close() error {
	var errs []error
	for _, f := range m.parts {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
