// Package job puts the parts of a command together: it opens a model and its tokenizer, makes data, plans the memory,
// opens a device and runs. The command line above it parses and prints; the packages below do the work.
package job

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"lomo/internal/checkpoint"
	"lomo/internal/grad"
	"lomo/internal/model"
	"lomo/internal/tokenizer"
)

// HintError is an error with advice for the user.
type HintError struct {
	Err    error
	Advice string
}

func (e *HintError) Error() string { return e.Err.Error() }
func (e *HintError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *HintError) Hint() string { return e.Advice }

func hint(advice, format string, args ...any) error {
	return &HintError{fmt.Errorf(format, args...), advice}
}

// UsageError marks an error as one of configuration: exit code 2.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// Model is an opened model whose header has been checked; no weight has been read.
type Model struct {
	Path   string
	Source checkpoint.Source
	Config *model.Config
	Net    *model.Network
}

// OpenModel opens a Hugging Face folder or a GGUF file and checks every name and shape against its configuration.
func OpenModel(path string) (*Model, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, hint("model takes a Hugging Face folder or a .gguf file; `lomo new` makes a random one", "model %s: %w", path, errors.Unwrap(err))
	}
	src, err := checkpoint.Open(path)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", path, err)
	}
	cfg, err := model.ParseConfig(src.Config())
	if err != nil {
		src.Close()
		return nil, fmt.Errorf("model %s: %w", path, err)
	}
	m := &Model{Path: path, Source: src, Config: cfg, Net: model.NewNetwork(cfg)}
	if err := m.check(); err != nil {
		src.Close()
		return nil, fmt.Errorf("model %s: %w", path, err)
	}
	return m, nil
}

// check compares the tensors of the file with those the configuration asks for.
func (m *Model) check() error {
	have := map[string]checkpoint.Info{}
	for _, t := range m.Source.Tensors() {
		have[t.Name] = t
	}
	for _, p := range m.Net.Params() {
		t, ok := have[p.Name]
		if !ok {
			return hint("the file and config.json describe different models, or a shard is missing", "tensor %q is missing", p.Name)
		}
		if !slices.Equal(t.Shape, p.Shape) {
			return hint("the file and config.json describe different models", "tensor %q: shape %v, want %v (%s)", p.Name, t.Shape, p.Shape, m.why(p))
		}
		if !t.DType.IsFloat() {
			return fmt.Errorf("tensor %q: dtype %v, want a float type", p.Name, t.DType)
		}
		delete(have, p.Name)
	}
	return m.checkRest(have)
}

// checkRest refuses tensors that training would lose.
func (m *Model) checkRest(rest map[string]checkpoint.Info) error {
	for name := range rest {
		switch {
		case strings.HasSuffix(name, ".rotary_emb.inv_freq"): // old files hold the rotary table; it is computed
		case name == "lm_head.weight" && m.Config.TieWordEmbeddings: // a copy of the embedding
		case strings.HasSuffix(name, ".bias"):
			return fmt.Errorf("tensor %q: biases are not supported by this build", name)
		default:
			return hint("is this a model with adapters, of another family, or not a language model?", "tensor %q is not part of a llama model", name)
		}
	}
	return nil
}

// why names the configuration behind a shape.
func (m *Model) why(p *grad.Param) string {
	c := m.Config
	switch {
	case strings.Contains(p.Name, "self_attn"):
		return fmt.Sprintf("hidden_size %d, %d query and %d key-value heads of %d", c.HiddenSize, c.NumAttentionHeads, c.NumKeyValueHeads, c.HeadDim)
	case strings.Contains(p.Name, "mlp."):
		return fmt.Sprintf("hidden_size %d, intermediate_size %d", c.HiddenSize, c.IntermediateSize)
	case strings.Contains(p.Name, "norm"):
		return fmt.Sprintf("hidden_size %d", c.HiddenSize)
	}
	return fmt.Sprintf("vocab_size %d, hidden_size %d", c.VocabSize, c.HiddenSize)
}

// Tokenizer opens the model's tokenizer and checks that the model has a row for each of its tokens.
func (m *Model) Tokenizer() (*tokenizer.Tokenizer, error) {
	tok, err := tokenizer.Open(m.Path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer of %s: %w", m.Path, err)
	}
	if n := tok.VocabSize(); n > m.Config.VocabSize {
		return nil, hint("this tokenizer belongs to another model", "tokenizer of %s: %d tokens, the model has %d (vocab_size)", m.Path, n, m.Config.VocabSize)
	}
	return tok, nil
}

// Close releases the model's files.
func (m *Model) Close() error { return m.Source.Close() }
