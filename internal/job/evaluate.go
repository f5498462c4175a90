package job

import (
	"fmt"

	"lomo/internal/config"
	"lomo/internal/data"
	"lomo/internal/eval"
	"lomo/internal/tasks"
	"lomo/internal/tokenizer"
)

// EvalOptions is what `lomo eval` is asked.
type EvalOptions struct {
	Model       string
	Data        string
	Type        string // of Data, for perplexity
	Task        string // rte, boolq, …: multiple choice instead
	Score       string // sum or mean
	MaxExamples int    // 0: all
	BatchSize   int
	SequenceLen int
	Runtime
}

// Perplexity is the result of an evaluation on text.
type Perplexity struct {
	Loss       float64 `json:"loss"`
	Perplexity float64 `json:"perplexity"`
	Tokens     int     `json:"tokens"`
}

// TaskScore is the result of an evaluation on a task.
type TaskScore struct {
	Task   string  `json:"task"`
	Metric string  `json:"metric"`
	Value  float64 `json:"value"`
	N      int     `json:"n"`
}

// EvalText is the perplexity of a model on a data set.
func EvalText(o EvalOptions) (Perplexity, error) {
	m, err := OpenModel(o.Model)
	if err != nil {
		return Perplexity{}, err
	}
	defer m.Close()
	var tok *tokenizer.Tokenizer
	if o.Type != "tokenized" {
		if tok, err = m.Tokenizer(); err != nil {
			return Perplexity{}, err
		}
	}
	def := config.Default()
	opts := dataOptions(&def, m.Config)
	opts.SequenceLen, opts.MicroBatch, opts.Packing, opts.Shuffle = min(o.SequenceLen, m.Config.MaxPositions), o.BatchSize, false, false
	ds, err := data.Load([]data.Source{{Path: o.Data, Type: o.Type, Weight: 1}}, asTokenizer(tok), opts)
	if err != nil {
		return Perplexity{}, err
	}
	if o.MaxExamples > 0 {
		ds = ds.First(o.MaxExamples)
	}
	l, err := LoadModel(o.Model, o.Runtime, opts.SequenceLen)
	if err != nil {
		return Perplexity{}, err
	}
	defer l.Close()
	var p Perplexity
	err = l.Each(func(r *Rank) error {
		m, err := r.Sweep.Evaluate(data.Batches(ds, opts))
		if r.Number == 0 {
			p = Perplexity{m.Loss, m.Perplexity, m.Tokens}
		}
		return err
	})
	return p, l.overLimit(err)
}

// EvalTask is the accuracy of a model on a multiple-choice task.
func EvalTask(o EvalOptions) (TaskScore, error) {
	score := TaskScore{Task: o.Task, Metric: "accuracy"}
	m, err := OpenModel(o.Model)
	if err != nil {
		return score, err
	}
	defer m.Close()
	tok, err := m.Tokenizer()
	if err != nil {
		return score, err
	}
	maxLen := min(o.SequenceLen, m.Config.MaxPositions-1) // the end token comes after the cut
	questions, err := taskQuestions(o, tok, maxLen)
	if err != nil {
		return score, err
	}
	l, err := LoadModel(o.Model, o.Runtime, maxLen+1)
	if err != nil {
		return score, err
	}
	defer l.Close()
	score.N = len(questions)
	err = l.Each(func(r *Rank) error {
		share, _, err := eval.Accuracy(r.Sweep, questions, o.Score == "mean", o.BatchSize)
		if r.Number == 0 {
			score.Value = share
		}
		return err
	})
	return score, l.overLimit(err)
}

func taskQuestions(o EvalOptions, tok *tokenizer.Tokenizer, maxLen int) ([]eval.Question, error) {
	examples, err := tasks.Load(o.Task, o.Data)
	if err != nil {
		return nil, err
	}
	if o.MaxExamples > 0 && o.MaxExamples < len(examples) {
		examples = examples[:o.MaxExamples]
	}
	questions := make([]eval.Question, len(examples))
	for i, e := range examples {
		questions[i].Gold = e.Gold
		for _, c := range e.Choices {
			ids, mask, err := tasks.Tokenise(tok, e.Prompt, c, maxLen)
			if err != nil {
				return nil, fmt.Errorf("%s: example %d: %w", o.Data, i+1, err)
			}
			questions[i].Choices = append(questions[i].Choices, eval.Sequence{IDs: ids, Mask: mask})
		}
	}
	return questions, nil
}
