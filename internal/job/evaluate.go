package job

import (
	"fmt"
	"math"

	"lomo/internal/config"
	"lomo/internal/data"
	"lomo/internal/device"
	"lomo/internal/eval"
	"lomo/internal/report"
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
	LenGiven    bool // SequenceLen was asked for; else it is lowered to what the model knows
	Stride      int  // texts longer than SequenceLen go through a window that moves on by so many tokens; 0: they are cut
	// ChatTemplate is the key of this name, for perplexity.
	ChatTemplate string
	Runtime
}

// Note hears what the user should know.
type Note func(format string, args ...any)

// Perplexity is the result of an evaluation on text.
type Perplexity struct {
	Loss       report.Number `json:"loss"`
	Perplexity report.Number `json:"perplexity"` // null beyond what a float64 holds
	Tokens     int           `json:"tokens"`
	Remarks    data.Notes    `json:"remarks,omitempty"`
}

// TaskScore is the result of an evaluation on a task.
type TaskScore struct {
	Task    string     `json:"task"`
	Metric  string     `json:"metric"`
	Value   float64    `json:"value"`
	N       int        `json:"n"`
	Ties    int        `json:"ties,omitempty"` // questions whose likeliest choices are equally likely: the first was taken
	Remarks data.Notes `json:"remarks,omitempty"`
}

// length is the longest sequence that is scored.
func (o *EvalOptions) length(m *Model, note Note) (int, error) {
	m.note(note)
	if !o.LenGiven {
		return min(o.SequenceLen, m.Config.Reach()), nil
	}
	return o.SequenceLen, checkLength(m.Config, "sequence_len", o.SequenceLen, note)
}

// EvalText is the perplexity of a model on a data set.
func EvalText(o EvalOptions, note Note) (Perplexity, error) {
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
		m.noteTokenizer(tok, note)
	}
	def := config.Default()
	opts := dataOptions(&def, m.Config)
	if opts.SequenceLen, err = o.length(m, note); err != nil {
		return Perplexity{}, err
	}
	if o.Stride > opts.SequenceLen {
		return Perplexity{}, &UsageError{hint("take half of it, or as little as time allows", "--stride %d is more than the %d tokens of a sequence: the tokens between would be left out", o.Stride, opts.SequenceLen)}
	}
	opts.MicroBatch, opts.Packing, opts.Shuffle, opts.Stride = o.BatchSize, false, false, o.Stride
	if opts.ChatTemplate, err = ChatTemplate(tok, o.ChatTemplate); err != nil {
		return Perplexity{}, err
	}
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
	l.noteRounding(l.DType, note)
	p := Perplexity{Remarks: ds.Notes()}
	err = l.Each(func(r *Rank) error {
		m, err := r.Sweep.Evaluate(data.Batches(ds, opts))
		if r.Number == 0 {
			p.Loss, p.Perplexity, p.Tokens = report.Number(m.Loss), report.Number(m.Perplexity), m.Tokens
		}
		return err
	})
	if loss := float64(p.Loss); err == nil && (math.IsNaN(loss) || math.IsInf(loss, 0)) {
		err = fmt.Errorf("the loss over %d tokens is %w: %v", p.Tokens, device.ErrNotFinite, loss)
	}
	return p, l.explain(err)
}

// EvalTask is the accuracy of a model on a multiple-choice task.
func EvalTask(o EvalOptions, note Note) (TaskScore, error) {
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
	m.noteTokenizer(tok, note)
	length, err := o.length(m, note)
	if err != nil {
		return score, err
	}
	maxLen := length
	if tok.EOS() >= 0 && length >= m.Config.Reach() { // the end token comes after the cut
		maxLen = length - 1
	}
	questions, places, remarks, err := taskQuestions(o, tok, m.Config.VocabSize, maxLen)
	if err != nil {
		return score, err
	}
	l, err := LoadModel(o.Model, o.Runtime, maxLen+1)
	if err != nil {
		return score, err
	}
	defer l.Close()
	l.noteRounding(l.DType, note)
	score.N, score.Remarks = len(questions), remarks
	err = l.Each(func(r *Rank) error {
		a, err := eval.Answer(r.Sweep, questions, o.Score == "mean", o.BatchSize)
		if r.Number == 0 && err == nil {
			score.Value, score.Ties = a.Accuracy(), len(a.Ties)
			for _, i := range a.Ties {
				score.Remarks.Add("questions with several likeliest choices, of which the first was taken", places[i], "")
			}
		}
		return err
	})
	return score, l.explain(err)
}

// taskQuestions tokenises the questions of a task's file; places are their lines. A question with a choice that does not fit is
// left out.
func taskQuestions(o EvalOptions, tok *tokenizer.Tokenizer, vocabulary, maxLen int) (questions []eval.Question, places []string, remarks data.Notes, err error) {
	examples, err := tasks.Load(o.Task, o.Data)
	if err != nil {
		return nil, nil, nil, err
	}
	if o.MaxExamples > 0 && o.MaxExamples < len(examples) {
		examples = examples[:o.MaxExamples]
	}
	for _, e := range examples {
		q, place, cut, fits := eval.Question{Gold: e.Gold}, e.Place, false, true
		for _, c := range e.Choices {
			t, err := tasks.Tokenise(tok, e.Prompt, c, maxLen)
			if err != nil {
				return nil, nil, nil, fmt.Errorf("%s: %w", place, err)
			}
			if err := outside(tok, t.IDs, vocabulary, place); err != nil {
				return nil, nil, nil, err
			}
			q.Choices = append(q.Choices, eval.Sequence{IDs: t.IDs, Mask: t.Scored})
			cut, fits = cut || t.Cut > 0, fits && t.Fits
		}
		switch {
		case !fits:
			remarks.Add(fmt.Sprintf("questions left out, of which a choice is longer than %d tokens", maxLen), place, "")
			continue
		case cut:
			remarks.Add(fmt.Sprintf("prompts cut at their beginning to %d tokens", maxLen), place, "")
		}
		questions, places = append(questions, q), append(places, place)
	}
	if len(questions) == 0 {
		return nil, nil, nil, hint("raise --sequence-len", "%s: no question is left: their choices are longer than %d tokens", o.Data, maxLen)
	}
	return questions, places, remarks, nil
}
