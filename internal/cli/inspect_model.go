package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lomo/internal/checkpoint"
	"lomo/internal/fault"
	"lomo/internal/job"
	"lomo/internal/model"
	"lomo/internal/report"
	"lomo/internal/train"
)

// modelFacts is a model as `lomo inspect --json` prints it.
type modelFacts struct {
	Kind      string          `json:"kind"` // model or checkpoint
	Path      string          `json:"path"`
	Params    int64           `json:"params"`
	Active    int64           `json:"active_params,omitempty"` // of a mixture: those that work on one token
	Bytes     map[string]int  `json:"bytes"`                   // of tensors by their type in the file
	Config    json.RawMessage `json:"config"`
	State     *train.State    `json:"state,omitempty"` // of a checkpoint
	Tokenizer *tokenizerFacts `json:"tokenizer,omitempty"`
	Tensors   []tensorFacts   `json:"tensors,omitempty"`
	Run       *runFacts       `json:"run,omitempty"`      // of the run that trained it
	Problems  []string        `json:"problems,omitempty"` // parts that cannot be used

	missing string
}

type tensorFacts struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []int  `json:"shape"`
}

func inspectModel(s *Streams, o *inspectOptions) error {
	m, err := job.OpenModel(o.Path)
	if err != nil {
		return err
	}
	defer m.Close()
	f := modelFacts{Kind: "model", Path: o.Path, Params: m.Net.NumParams(), Bytes: map[string]int{}, Config: m.Source.Config()}
	if a := m.Net.Active(); a < f.Params {
		f.Active = a
	}
	for _, t := range m.Source.Tensors() {
		dtype, n := inFile(m, t)
		f.Bytes[dtype] += n
		if o.Tensors {
			f.Tensors = append(f.Tensors, tensorFacts{t.Name, dtype, t.Shape})
		}
	}
	if f.State, err = stateOf(o.Path); err != nil {
		return err
	}
	if f.State != nil {
		f.Kind = "checkpoint"
	}
	tok, broken := m.Tokenizer()
	switch {
	case broken != nil && lacksTokenizer(m):
		broken = nil
		f.missing = "no tokenizer: data of type tokenized is all that can be used with it"
	case broken != nil:
		f.Problems = append(f.Problems, broken.Error())
	default:
		f.Tokenizer = describeTokenizer(tok)
		if s := tok.Beyond(m.Config.VocabSize); s != "" {
			f.Tokenizer.Notes = append(f.Tokenizer.Notes, s)
		}
	}
	if f.State == nil && isRun(m.Path) {
		f.Run = describeRun(o.Path)
	}
	if o.JSON {
		err = json.NewEncoder(s.Out).Encode(f)
	} else {
		printModel(s, m, &f)
	}
	if err != nil {
		return err
	}
	if broken != nil {
		return broken
	}
	if f.Run != nil {
		f.Problems = append(f.Problems, f.Run.Problems...)
	}
	return unusable(o.Path, f.Problems)
}

// inFile is the type and the bytes that a tensor has in the file, which for quantised ones are not those that it decodes to.
func inFile(m *job.Model, t checkpoint.Info) (dtype string, bytes int) {
	rows, n := 1, t.DType.Size()
	for i, d := range t.Shape {
		if n *= d; i == 0 {
			rows = d
		}
	}
	f, ok := m.Source.(interface {
		FileType(name string) string
		FileBytes(name string, r0, r1 int) int64
	})
	if !ok {
		return t.DType.String(), n
	}
	return f.FileType(t.Name), int(f.FileBytes(t.Name, 0, rows))
}

// lacksTokenizer tells a model whose files have no tokenizer from one whose tokenizer is broken.
func lacksTokenizer(m *job.Model) bool {
	for _, name := range []string{"tokenizer.json", "tokenizer.model", "tekken.json", "vocab.json"} {
		if _, err := os.Lstat(filepath.Join(m.Path, name)); err == nil {
			return false
		}
	}
	at, err := os.Stat(m.Path)
	return err == nil && at.IsDir()
}

// stateOf is the state of the run that a checkpoint folder belongs to; nil for any other model.
func stateOf(path string) (*train.State, error) {
	if at, err := os.Stat(path); err != nil || !at.IsDir() {
		return nil, err
	}
	st, err := train.ReadState(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return &st, err
}

func printModel(s *Streams, m *job.Model, f *modelFacts) {
	c := m.Config
	fmt.Fprintf(s.Out, "%s: %s of %s\n", f.Path, f.Kind, strings.TrimSuffix(weights(f.Params, f.Active), ","))
	fmt.Fprintf(s.Out, "%d blocks, hidden %d, intermediate %d, %d query and %d key-value heads of %d, vocabulary %d, %d positions, ",
		c.NumHiddenLayers, c.HiddenSize, c.IntermediateSize, c.NumAttentionHeads, c.NumKeyValueHeads, c.HeadDim, c.VocabSize, c.Positions())
	if c.TieWordEmbeddings {
		fmt.Fprintln(s.Out, "head tied to the embedding")
	} else {
		fmt.Fprintln(s.Out, "head of its own")
	}
	if c.NumExperts > 0 {
		fmt.Fprintf(s.Out, "mixtures of %d experts of %d, %d to a token", c.NumExperts, c.ExpertSize, c.ExpertsPerToken)
		if n := denseBlocks(c); n > 0 {
			fmt.Fprintf(s.Out, ", but in %d of the blocks", n)
		}
		fmt.Fprintln(s.Out)
	}
	if n, key := c.Exact(); n > 0 {
		fmt.Fprintf(s.Out, "sequences of up to %d tokens (%s)\n", n, key)
	}
	for _, w := range c.WindowSizes() {
		n := 0
		for i := range c.NumHiddenLayers {
			if c.Window(i) == w {
				n++
			}
		}
		fmt.Fprintf(s.Out, "a window of %d tokens in %d of %s\n", w, n, fault.Number(c.NumHiddenLayers, "block"))
	}
	if c.PaddingRow >= 0 {
		fmt.Fprintf(s.Out, "padding token %d: lookups of it are not learned\n", c.PaddingRow)
	}
	for _, n := range c.Notes {
		fmt.Fprintln(s.Out, n)
	}
	for _, dtype := range slices.Sorted(maps.Keys(f.Bytes)) {
		fmt.Fprintf(s.Out, "%s: %s\n", dtype, report.Bytes(int64(f.Bytes[dtype])))
	}
	if f.State != nil {
		fmt.Fprintf(s.Out, "after step %d of %d, %s tokens trained on, made on %s\n", f.State.Step, f.State.Total, report.Count(float64(f.State.SeenTokens)), f.State.Device)
	}
	if f.Tokenizer != nil {
		f.Tokenizer.print(s)
	}
	if f.missing != "" {
		fmt.Fprintln(s.Out, f.missing)
	}
	for _, p := range f.Problems {
		fmt.Fprintln(s.Out, p)
	}
	if f.Run != nil {
		f.Run.print(s)
	}
	for _, t := range f.Tensors {
		fmt.Fprintf(s.Out, "%-60s %-5s %v\n", t.Name, t.DType, t.Shape)
	}
}

// weights says how many weights a model has, and of a mixture how many of them work on one token.
func weights(all, active int64) string {
	text := report.Count(float64(all)) + " weights"
	if active > 0 && active < all {
		text += ", " + report.Count(float64(active)) + " of them at work on a token,"
	}
	return text
}

// denseBlocks is how many blocks of a mixture have one MLP.
func denseBlocks(c *model.Config) (n int) {
	for _, dense := range c.Dense {
		if dense {
			n++
		}
	}
	return n
}
