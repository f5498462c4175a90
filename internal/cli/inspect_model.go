package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"lomo/internal/checkpoint"
	"lomo/internal/job"
	"lomo/internal/report"
	"lomo/internal/tokenizer"
	"lomo/internal/train"
)

// modelFacts is a model as `lomo inspect --json` prints it.
type modelFacts struct {
	Kind      string          `json:"kind"` // model or checkpoint
	Path      string          `json:"path"`
	Params    int64           `json:"params"`
	Bytes     map[string]int  `json:"bytes"` // of tensors by dtype, as they are decoded
	Config    json.RawMessage `json:"config"`
	State     *train.State    `json:"state,omitempty"` // of a checkpoint
	Tokenizer *tokenizerFacts `json:"tokenizer,omitempty"`
	Tensors   []tensorFacts   `json:"tensors,omitempty"`
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
	for _, t := range m.Source.Tensors() {
		n := t.DType.Size()
		for _, d := range t.Shape {
			n *= d
		}
		f.Bytes[t.DType.String()] += n
		if o.Tensors {
			f.Tensors = append(f.Tensors, tensorFacts{t.Name, t.DType.String(), t.Shape})
		}
	}
	if st, err := train.ReadState(o.Path); err == nil {
		f.Kind, f.State = "checkpoint", &st
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	tok, err := m.Tokenizer()
	if err == nil {
		f.Tokenizer = describeTokenizer(tok)
	}
	if o.JSON {
		return json.NewEncoder(s.Out).Encode(f)
	}
	printModel(s, m, &f)
	if err != nil {
		fmt.Fprintf(s.Out, "tokenizer: %v\n", err)
	}
	return nil
}

func printModel(s *Streams, m *job.Model, f *modelFacts) {
	c := m.Config
	fmt.Fprintf(s.Out, "%s: %s of %s weights\n", f.Path, f.Kind, report.Count(float64(f.Params)))
	fmt.Fprintf(s.Out, "%d blocks, hidden %d, intermediate %d, %d query and %d key-value heads of %d, vocabulary %d, %d positions, ",
		c.NumHiddenLayers, c.HiddenSize, c.IntermediateSize, c.NumAttentionHeads, c.NumKeyValueHeads, c.HeadDim, c.VocabSize, c.MaxPositions)
	if c.TieWordEmbeddings {
		fmt.Fprintln(s.Out, "head tied to the embedding")
	} else {
		fmt.Fprintln(s.Out, "head of its own")
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
	for _, t := range f.Tensors {
		fmt.Fprintf(s.Out, "%-60s %-5s %v\n", t.Name, t.DType, t.Shape)
	}
}

// tokenizerFacts is a tokenizer as `lomo inspect --json` prints it; −1 stands for a token there is not.
type tokenizerFacts struct {
	Vocab        int     `json:"vocab_size"`
	BOS          int32   `json:"bos_token_id"`
	EOS          []int32 `json:"eos_token_ids"`
	PAD          int32   `json:"pad_token_id"`
	UNK          int32   `json:"unk_token_id"`
	ChatTemplate bool    `json:"chat_template"`

	name func(int32) string
}

func describeTokenizer(t *tokenizer.Tokenizer) *tokenizerFacts {
	return &tokenizerFacts{Vocab: t.VocabSize(), BOS: t.BOS(), EOS: t.EOSIDs(), PAD: t.PAD(), UNK: t.UNK(), ChatTemplate: t.HasChatTemplate(), name: t.Token}
}

func (f *tokenizerFacts) print(s *Streams) {
	show := func(id int32) string {
		if id < 0 {
			return "none"
		}
		return fmt.Sprintf("%d %q", id, f.name(id))
	}
	fmt.Fprintf(s.Out, "tokenizer: %d tokens; bos %s, pad %s, unk %s", f.Vocab, show(f.BOS), show(f.PAD), show(f.UNK))
	for _, id := range f.EOS {
		fmt.Fprintf(s.Out, ", eos %s", show(id))
	}
	if f.ChatTemplate {
		fmt.Fprintln(s.Out, "; with a chat template")
	} else {
		fmt.Fprintln(s.Out, "; without a chat template")
	}
}

func inspectTokenizer(s *Streams, o *inspectOptions) error {
	tok, err := tokenizer.Open(o.Path)
	if err != nil {
		return fmt.Errorf("%s: %w", o.Path, err)
	}
	f := describeTokenizer(tok)
	if o.JSON {
		return json.NewEncoder(s.Out).Encode(f)
	}
	f.print(s)
	return nil
}

// runFacts is a run's folder that holds no trained model yet.
type runFacts struct {
	Kind        string            `json:"kind"`
	Path        string            `json:"path"`
	Checkpoints []checkpointFacts `json:"checkpoints"`
	Steps       int               `json:"logged_steps"`
	Loss        report.Number     `json:"loss"` // of the last logged step
}

type checkpointFacts struct {
	Path    string `json:"path"`
	Problem string `json:"problem,omitempty"` // why it cannot be continued from
}

func inspectRun(s *Streams, o *inspectOptions) error {
	f := runFacts{Kind: "run", Path: o.Path}
	dirs, err := filepath.Glob(filepath.Join(o.Path, "checkpoint-*"))
	if err != nil {
		return err
	}
	for _, d := range dirs {
		c := checkpointFacts{Path: d}
		if err := checkpoint.Complete(d); err != nil {
			c.Problem = err.Error()
		}
		f.Checkpoints = append(f.Checkpoints, c)
	}
	h, err := report.ReadMetrics(filepath.Join(o.Path, "metrics.jsonl"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if f.Steps = len(h.Steps); f.Steps > 0 {
		f.Loss = h.Steps[f.Steps-1].Loss
	}
	if o.JSON {
		return json.NewEncoder(s.Out).Encode(f)
	}
	fmt.Fprintf(s.Out, "%s: a run without a trained model yet, %d logged steps\n", f.Path, f.Steps)
	if f.Steps > 0 {
		fmt.Fprintf(s.Out, "last loss %.4f\n", f.Loss)
	}
	for _, c := range f.Checkpoints {
		if c.Problem == "" {
			c.Problem = "complete"
		}
		fmt.Fprintf(s.Out, "%s: %s\n", c.Path, c.Problem)
	}
	return nil
}
