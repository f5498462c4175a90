// Package export writes a model as a GGUF file that llama.cpp, and the programs made of it, run as lomo does: the metadata of its
// architecture and tokenizer, and the tensors one after the other, encoded as the file is written. What such a file cannot say is
// refused before anything is written, or noted where it concerns rare texts only.
package export

import (
	"fmt"
	"slices"

	"lomo/internal/checkpoint"
	"lomo/internal/checkpoint/gguf"
	"lomo/internal/checkpoint/gguf/arch"
	"lomo/internal/fault"
	"lomo/internal/grad"
	"lomo/internal/model"
	"lomo/internal/tokenizer"
)

// Model is what is written.
type Model struct {
	Name      string // general.name
	Config    *model.Config
	Params    []*grad.Param
	Source    checkpoint.Source
	Tokenizer *tokenizer.Tokenizer
}

// Plan is a GGUF file that has not been written yet.
type Plan struct {
	Notes []string // what the file cannot say
	Bytes int64    // of all its tensors

	m       Model
	arch    *arch.Arch
	dtype   DType
	kv      []gguf.KV
	tensors []gguf.Tensor
	source  map[string]*grad.Param // by the tensors' names in the file
	extra   map[string][]float32   // tensors that are part of config.json elsewhere
}

// New plans the file of m with matrices of dtype, or refuses it.
func New(m Model, dtype DType) (*Plan, error) {
	a, ok := arch.ForFamily(m.Config.ModelType)
	if !ok {
		return nil, fault.Refuse(toFolder, "models of model_type %q have no architecture in GGUF files that this build writes", m.Config.ModelType)
	}
	p := &Plan{m: m, arch: a, dtype: dtype, source: map[string]*grad.Param{}, extra: map[string][]float32{}}
	if err := p.placeTensors(); err != nil {
		return nil, err
	}
	if err := p.metadata(); err != nil {
		return nil, err
	}
	if m.Tokenizer == nil {
		return nil, fault.Refuse("put the model's tokenizer.json beside its weights, or write a folder: --to safetensors", "the model has no tokenizer, which a GGUF file must hold")
	}
	kv, notes, err := m.Tokenizer.GGUF(m.Config.VocabSize)
	if err != nil {
		return nil, err
	}
	p.kv, p.Notes = append(p.kv, kv...), append(p.Notes, notes...)
	if err := p.readAgain(); err != nil {
		return nil, err
	}
	for _, t := range p.tensors {
		p.Bytes += t.Bytes()
	}
	return p, nil
}

// toFolder is the way out of a model that GGUF cannot describe.
const toFolder = "write a folder instead, which every family has: --to safetensors"

// Types counts the tensors of each type by its name.
func (p *Plan) Types() map[string]int {
	n := map[string]int{}
	for _, t := range p.tensors {
		n[t.Type.String()]++
	}
	return n
}

// Size is the bytes of the files.
func (p *Plan) Size() (int64, error) {
	_, size, err := gguf.Layout(p.kv, slices.Clone(p.tensors))
	return size, err
}

// Paths are the files that Write makes.
func (p *Plan) Paths(path string, maxShard int64) []string {
	return checkpoint.GGUFParts(path, p.tensors, maxShard)
}

func (p *Plan) put(key string, value any) { p.kv = append(p.kv, gguf.KV{Key: key, Value: value}) }

// own puts a key of the architecture.
func (p *Plan) own(key string, value any) { p.put(p.arch.Key(key), value) }

func (p *Plan) note(format string, args ...any) {
	p.Notes = append(p.Notes, fmt.Sprintf(format, args...))
}
