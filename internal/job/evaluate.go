package job

import (
	"fmt"

	"lomo/internal/comm"
	"lomo/internal/config"
	"lomo/internal/data"
	"lomo/internal/device"
	"lomo/internal/eval"
	"lomo/internal/model"
	"lomo/internal/store"
	"lomo/internal/tasks"
	"lomo/internal/tensor"
	"lomo/internal/tokenizer"
	"lomo/internal/train"
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
	DType       string // bf16 or f32; "": as the model is stored
	Threads     int
	MemoryLimit string
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

// Loaded is a model on the host with its weights read, ready to be used.
type Loaded struct {
	*Model
	Device device.Device
	Sweep  *train.Sweep
	DType  tensor.DType
}

// storedDType is the dtype asked for, or when none is the one the model's matrices are stored in.
func storedDType(name string, m *Model) (tensor.DType, error) {
	if name == "" {
		for _, t := range m.Source.Tensors() {
			if t.Name == m.Net.Embed.Name && t.DType != tensor.F32 {
				return tensor.BF16, nil
			}
		}
		return tensor.F32, nil
	}
	dt, err := tensor.ParseDType(name)
	if err != nil || dt != tensor.F32 && dt != tensor.BF16 {
		return dt, &UsageError{fmt.Errorf("dtype %q: want bf16 or f32", name)}
	}
	return dt, nil
}

// LoadModel opens a model and reads its weights; positions bounds the sequences it will be used on.
func LoadModel(path, dtype string, threads, positions int) (*Loaded, error) {
	m, err := OpenModel(path)
	if err != nil {
		return nil, err
	}
	l := &Loaded{Model: m}
	if l.DType, err = storedDType(dtype, m); err == nil {
		err = l.load(threads, positions)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func (l *Loaded) load(threads, positions int) (err error) {
	if l.Device, err = openCPU(threads, 0); err != nil {
		return err
	}
	st, err := store.NewResident(l.Device, l.Net.Params(), l.DType)
	if err != nil {
		return err
	}
	rope, err := model.NewRope(l.Device, l.Config, min(positions, l.Config.MaxPositions))
	if err != nil {
		return err
	}
	l.Sweep = &train.Sweep{D: l.Device, Net: l.Net, Store: st, Rope: rope, Act: l.DType, Recompute: true, Comm: comm.Single()}
	if err := l.checkTied(); err != nil {
		return err
	}
	return st.Load(l.Source)
}

// Close releases device and files.
func (l *Loaded) Close() error {
	if l.Device != nil {
		l.Device.Close()
	}
	return l.Model.Close()
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
	l, err := LoadModel(o.Model, o.DType, o.Threads, opts.SequenceLen)
	if err != nil {
		return Perplexity{}, err
	}
	defer l.Close()
	r, err := l.Sweep.Evaluate(data.Batches(ds, opts))
	return Perplexity{r.Loss, r.Perplexity, r.Tokens}, err
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
	l, err := LoadModel(o.Model, o.DType, o.Threads, maxLen+1)
	if err != nil {
		return score, err
	}
	defer l.Close()
	score.N = len(questions)
	score.Value, _, err = eval.Accuracy(l.Sweep, questions, o.Score == "mean", o.BatchSize)
	return score, err
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
