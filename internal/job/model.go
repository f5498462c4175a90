// Package job puts the parts of a command together: it opens a model and its tokenizer, makes data, plans the memory,
// opens a device and runs. The command line above it parses and prints; the packages below do the work.
package job

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"lomo/internal/checkpoint"
	"lomo/internal/fault"
	"lomo/internal/grad"
	"lomo/internal/hub"
	"lomo/internal/model"
	"lomo/internal/model/families"
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
	Given  string // how the user named it: Path, or the name of a model in the hub's cache
	Source checkpoint.Source
	Config *model.Config
	Net    *model.Network
}

// OpenModel opens a Hugging Face folder, also in the hub's cache, a folder of Meta's or a GGUF file and checks every name and shape
// against its configuration.
func OpenModel(given string) (*Model, error) {
	path, cached, err := Locate(given)
	if err != nil {
		return nil, fmt.Errorf("model %w", err)
	}
	m, err := openModel(path)
	if err != nil && cached {
		return nil, advise(fmt.Sprintf("`lomo pull %s` completes what is in the hub's cache", given), err)
	}
	if m != nil {
		m.Given = given
	}
	return m, err
}

// Locate is where a model's files are: in the hub's cache when path is a name on the hub, and no file or folder is called so.
func Locate(path string) (at string, cached bool, err error) { return hub.Locate(path, os.Getenv) }

func openModel(path string) (*Model, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, hint("model takes a Hugging Face folder, a folder with consolidated.*.pth and params.json, or a .gguf file; `lomo new` makes a random one", "model %s: %w", path, errors.Unwrap(err))
	}
	if _, err := os.ReadDir(path); errors.Is(err, fs.ErrPermission) {
		return nil, hint(allow, "model %s: this user may not read it", path)
	}
	path, err := hub.Resolve(path)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if err := unfinished(path); err != nil {
		return nil, err
	}
	src, err := checkpoint.Open(path)
	if denied := (*fs.PathError)(nil); errors.As(err, &denied) && errors.Is(err, fs.ErrPermission) {
		return nil, hint(allow, "model: %s: this user may not read it", denied.Path)
	}
	if err != nil {
		return nil, advise(copyAgain, fmt.Errorf("model: %w", err))
	}
	cfg, err := families.Parse(src.Config())
	if err != nil {
		src.Close()
		return nil, advise("this build trains models of the llama family, as their config.json describes them", fmt.Errorf("model %s: %w", path, err))
	}
	if n := len(src.Tensors()); cfg.NumHiddenLayers > n { // before a table of so many is made
		src.Close()
		return nil, hint(otherModel, "model %s: num_hidden_layers is %d, and the files hold %d tensors", path, cfg.NumHiddenLayers, n)
	}
	m := &Model{Path: path, Source: src, Config: cfg, Net: model.NewNetwork(cfg)}
	if err := m.check(); err != nil {
		src.Close()
		return nil, advise(copyAgain, fmt.Errorf("model %s: %w", path, err))
	}
	return m, nil
}

const allow = "allow it with chmod, or copy the model to a place of your own"

const copyAgain = "copy or download the model again: lomo reads Hugging Face folders, Meta's consolidated.*.pth with params.json, and .gguf files"

// otherModel is the way out of weights and a configuration that disagree.
const otherModel = "the weights and config.json describe different models: download both from one place"

// check compares the tensors of the file with those the configuration asks for.
func (m *Model) check() error {
	have := map[string]checkpoint.Info{}
	for _, t := range m.Source.Tensors() {
		have[t.Name] = t
	}
	var missing, wrong, odd []string
	for _, p := range m.Net.Params() {
		t, ok := have[p.Name]
		switch {
		case !ok:
			missing = append(missing, p.Name)
			continue
		case !slices.Equal(t.Shape, p.Shape):
			wrong = append(wrong, fmt.Sprintf("%q: shape %v, want %v (%s)", p.Name, t.Shape, p.Shape, m.why(p)))
		case !t.DType.IsFloat():
			odd = append(odd, fmt.Sprintf("%q: dtype %v, want a float type", p.Name, t.DType))
		}
		delete(have, p.Name)
	}
	rest := m.rest(have)
	switch {
	case len(missing) > 0 && len(rest) > 0:
		return hint(otherModel, "%s %q missing, and %s %q not part of this %s model", fault.Count(len(missing), "tensor"), missing[0], fault.Count(len(rest), "tensor"), fault.Line(rest[0]),
			m.Config.ModelType)
	case len(missing) == 1 && missing[0] == headName:
		return hint("set tie_word_embeddings: true in config.json if the head is the embedding; a model saved without its head (AutoModel) must be saved again with it (AutoModelForCausalLM)",
			"tensor %q is missing, and tie_word_embeddings is false", headName)
	case len(missing) > 0:
		return hint("the file and config.json describe different models, or a shard is missing", "%s %q missing (num_hidden_layers is %d)", fault.Count(len(missing), "tensor"), missing[0], m.Config.NumHiddenLayers)
	case len(wrong) > 0:
		return hint(otherModel, "%s %s", fault.Count(len(wrong), "tensor"), wrong[0])
	case len(odd) > 0:
		return hint("take the model's files in bf16, f16 or f32: training needs all bits of the weights", "%s %s", fault.Count(len(odd), "tensor"), odd[0])
	case len(rest) > 0:
		return m.refuseRest(rest)
	}
	return nil
}

const headName = "lm_head.weight"

// rest are the tensors that training would lose, in the order of their names.
func (m *Model) rest(have map[string]checkpoint.Info) (names []string) {
	for name := range have {
		switch {
		case strings.HasSuffix(name, ".rotary_emb.inv_freq"): // old files hold the rotary table; it is computed
		case name == headName && m.Config.TieWordEmbeddings: // a copy of the embedding
		default:
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// refuseRest says what kind of model has such tensors.
func (m *Model) refuseRest(rest []string) error {
	first := fault.Line(rest[0])
	for _, name := range rest {
		if n := layerOf(name); n >= m.Config.NumHiddenLayers {
			return hint(otherModel, "%s %q beyond those of config.json (num_hidden_layers is %d)", fault.Count(len(rest), "tensor"), first, m.Config.NumHiddenLayers)
		}
		if strings.HasSuffix(name, ".bias") {
			return hint("models of some families have biases where attention_bias or mlp_bias in config.json is true; else the model is of another family than its model_type says",
				"%s %q: a bias that this %s model does not have", fault.Count(len(rest), "tensor"), fault.Line(name), m.Config.ModelType)
		}
	}
	return hint("is this a model with adapters, of another family, or not a language model?", "%s %q not part of this %s model", fault.Count(len(rest), "tensor"), first,
		m.Config.ModelType)
}

// layerOf is the number of the block that a tensor belongs to, -1 for none.
func layerOf(name string) int {
	rest, ok := strings.CutPrefix(name, "model.layers.")
	number, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(number)
	if !ok || err != nil {
		return -1
	}
	return n
}

// tiedChunk is how many elements checkTied compares at a time. Tests make it small.
var tiedChunk = 1 << 18

// checkTied compares a head that is stored beside the embedding it is tied to. It reads both, and nothing where there is
// no such head.
func (m *Model) checkTied() error {
	const head = headName
	has := slices.ContainsFunc(m.Source.Tensors(), func(t checkpoint.Info) bool { return t.Name == head })
	if !m.Config.TieWordEmbeddings || !has {
		return nil
	}
	rows, cols := m.Net.Embed.Shape[0], m.Net.Embed.Shape[1]
	step := max(1, tiedChunk/cols)
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
	case p.Expert:
		return fmt.Sprintf("hidden_size %d, experts of %d", c.HiddenSize, c.ExpertSize)
	case strings.HasSuffix(p.Name, ".gate.weight"):
		return fmt.Sprintf("num_experts %d, hidden_size %d", c.NumExperts, c.HiddenSize)
	case strings.Contains(p.Name, "mlp."):
		return fmt.Sprintf("hidden_size %d, intermediate_size %d", c.HiddenSize, c.IntermediateSize)
	case strings.Contains(p.Name, "norm"):
		return fmt.Sprintf("hidden_size %d", c.HiddenSize)
	}
	return fmt.Sprintf("vocab_size %d, hidden_size %d", c.VocabSize, c.HiddenSize)
}

// Tokenizer opens the model's tokenizer. It may have more tokens than the model has rows: what matters is whether a text has one, and is checked there.
func (m *Model) Tokenizer() (*tokenizer.Tokenizer, error) {
	return OpenTokenizer(m.Path)
}

// OpenTokenizer opens the tokenizer of a folder or file. An error names it once.
func OpenTokenizer(path string) (*tokenizer.Tokenizer, error) {
	path, _, err := Locate(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer of %w", err)
	}
	tok, err := tokenizer.Open(path)
	if err == nil {
		return tok, nil
	}
	if run := unfinished(path); run != nil {
		return nil, run
	}
	if denied := (*fs.PathError)(nil); errors.As(err, &denied) && errors.Is(err, fs.ErrPermission) {
		return nil, hint(allow, "tokenizer: %s: this user may not read it", denied.Path)
	}
	if strings.Contains(err.Error(), path) {
		err = fmt.Errorf("tokenizer: %w", err)
	} else {
		err = fmt.Errorf("tokenizer of %s: %w", path, err)
	}
	return nil, advise("copy tokenizer.json and tokenizer_config.json from the model that this one was made from", err)
}

// noteTokenizer says what a user should know of a model's tokenizer.
func (m *Model) noteTokenizer(tok *tokenizer.Tokenizer, note Note) {
	for _, n := range tok.Notes() {
		note("lomo: warning: tokenizer: %s", n)
	}
	if s := tok.Beyond(m.Config.VocabSize); s != "" {
		note("lomo: warning: %s\n%s", s, tokenizer.NoRow)
	}
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

// significant is how many bits of a number each type keeps.
var significant = map[tensor.DType]int{tensor.BF16: 8, tensor.F16: 11, tensor.F32: 24, tensor.F64: 53}

// noteRounding says that weights lose bits as they are read.
func (m *Model) noteRounding(to tensor.DType, note Note) {
	from := to
	for _, t := range m.Source.Tensors() {
		if len(t.Shape) > 1 && significant[t.DType] > significant[from] { // norms of f32 beside matrices of bf16 are usual
			from = t.DType
		}
	}
	if from == to {
		return
	}
	advice := "; dtype: f32 keeps them as they are"
	if to == tensor.F32 {
		advice = ""
	}
	note("%s: weights are rounded from %v to %v as they are read%s", m.Path, from, to, advice)
}

// note says how the model's configuration was read, where the user should know.
func (m *Model) note(note Note) {
	if m.Given != m.Path && hub.Looks(m.Given) {
		note("model %s: from the hub's cache, %s", m.Given, m.Path)
	}
	for _, n := range m.Config.Notes {
		note("%s: %s", m.Path, n)
	}
}

// Close releases the model's files.
func (m *Model) Close() error { return m.Source.Close() }
