// Package job puts the parts of a command together: it opens a model and its tokenizer, makes data, plans the memory,
// opens a device and runs. The command line above it parses and prints; the packages below do the work.
package job

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"lomo/internal/checkpoint"
	"lomo/internal/grad"
	"lomo/internal/model"
	"lomo/internal/tensor"
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

// advise adds advice to an error that brings none of its own.
func advise(advice string, err error) error {
	if h := (interface{ Hint() string })(nil); errors.As(err, &h) && h.Hint() != "" {
		return err
	}
	return &HintError{err, advice}
}

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

// OpenModel opens a Hugging Face folder, a folder of Meta's or a GGUF file and checks every name and shape against its configuration.
func OpenModel(path string) (*Model, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, hint("model takes a Hugging Face folder, a folder with consolidated.*.pth and params.json, or a .gguf file; `lomo new` makes a random one", "model %s: %w", path, errors.Unwrap(err))
	}
	src, err := checkpoint.Open(path)
	if err != nil {
		return nil, advise(copyAgain, fmt.Errorf("model: %w", err))
	}
	cfg, err := model.ParseConfig(src.Config())
	if err != nil {
		src.Close()
		return nil, advise("this build trains models of the llama family, as their config.json describes them", fmt.Errorf("model %s: %w", path, err))
	}
	m := &Model{Path: path, Source: src, Config: cfg, Net: model.NewNetwork(cfg)}
	if err := m.check(); err != nil {
		src.Close()
		return nil, advise(copyAgain, fmt.Errorf("model %s: %w", path, err))
	}
	return m, nil
}

const copyAgain = "copy or download the model again: lomo reads Hugging Face folders (safetensors, pytorch_model.bin), Meta's consolidated.*.pth with params.json, and .gguf files"

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

// checkTied compares a head that is stored beside the embedding it is tied to. It reads both, and nothing where there is
// no such head.
func (m *Model) checkTied() error {
	const head = "lm_head.weight"
	has := slices.ContainsFunc(m.Source.Tensors(), func(t checkpoint.Info) bool { return t.Name == head })
	if !m.Config.TieWordEmbeddings || !has {
		return nil
	}
	rows, cols := m.Net.Embed.Shape[0], m.Net.Embed.Shape[1]
	step := max(1, (1<<18)/cols)
	a, b := make([]byte, 4*step*cols), make([]byte, 4*step*cols)
	for r := 0; r < rows; r += step {
		n := min(step, rows-r)
		x, y := a[:4*n*cols], b[:4*n*cols]
		if err := m.Source.ReadRows(m.Net.Embed.Name, r, r+n, x, tensor.F32); err != nil {
			return err
		}
		if err := m.Source.ReadRows(head, r, r+n, y, tensor.F32); err != nil {
			return hint("tie_word_embeddings is true in config.json, so this tensor must be a copy of the embedding", "model %s: %w", m.Path, err)
		}
		if !bytes.Equal(x, y) {
			return hint("set tie_word_embeddings: false in config.json if the model has a head of its own",
				"model %s: tensor %q differs from %q in rows %d to %d, and tie_word_embeddings is true", m.Path, head, m.Net.Embed.Name, r, r+n-1)
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
		return nil, advise("copy the tokenizer's files again: tokenizer.json, tokenizer_config.json", fmt.Errorf("tokenizer of %s: %w", m.Path, err))
	}
	if n := tok.VocabSize(); n > m.Config.VocabSize {
		return nil, hint("this tokenizer belongs to another model", "tokenizer of %s: %d tokens, the model has %d (vocab_size)", m.Path, n, m.Config.VocabSize)
	}
	return tok, nil
}

// checkLength refuses sequences that are longer than what the model computes exactly, and notes those beyond the positions it knows. name
// is the setting that asks for them.
func checkLength(c *model.Config, name string, length int, note Note) error {
	if n, key := c.Exact(); n > 0 && length > n {
		return &UsageError{hint(fmt.Sprintf("lower %s to %d", name, n), "%s %d: this build computes the model exactly up to %d tokens (%s)", name, length, n, key)}
	}
	if length > c.Positions() {
		note("lomo: warning: %s %d: the model knows %d positions (max_position_embeddings); later ones are new to it", name, length, c.Positions())
	}
	return nil
}

// note says how the model's configuration was read, where the user should know.
func (m *Model) note(note Note) {
	for _, n := range m.Config.Notes {
		note("%s: %s", m.Path, n)
	}
}

// Close releases the model's files.
func (m *Model) Close() error { return m.Source.Close() }
