package report

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// Step is one logged step, a line of metrics.jsonl (design.md 4).
type Step struct {
	Step       int     `json:"step"`
	Epoch      Number  `json:"epoch"`
	Loss       Number  `json:"loss"` // mean over the step's trained tokens, before the update
	LR         Number  `json:"lr"`
	GradNorm   *Number `json:"grad_norm,omitempty"` // nil: not known
	Tokens     int     `json:"tokens"`              // trained on in this step
	SeenTokens int64   `json:"seen_tokens"`         // trained on so far
	TokS       Number  `json:"tok_s"`               // all tokens, also those not trained on
	StepMS     Number  `json:"step_ms"`
	MemBytes   int64   `json:"mem_bytes"`     // resident now
	PeakBytes  int64   `json:"peak_bytes"`    // resident at most so far
	MFU        *Number `json:"mfu,omitempty"` // share of the machine's peak; nil: not known
	Skipped    bool    `json:"skipped,omitempty"`

	ProcessS   Number  `json:"-"`                     // of elapsed_s, those of this process
	Total      int     `json:"total_steps,omitempty"` // of the run
	ElapsedS   Number  `json:"elapsed_s,omitempty"`   // since the run began, over all its processes; 0: a file of an older version
	RemainingS *Number `json:"remaining_s,omitempty"` // of what is left to do; nil: not known yet
}

// Eval is one evaluation, also a line of metrics.jsonl.
type Eval struct {
	Step       int    `json:"step"`
	Loss       Number `json:"eval_loss"`
	Perplexity Number `json:"perplexity"`
	Tokens     int    `json:"eval_tokens"`
}

// Number is a float64 that JSON writes as null when it is not finite, and reads back as NaN.
type Number float64

// MarshalJSON writes the shortest digits that read back the same.
func (n Number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON reads a number or null.
func (n *Number) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*n = Number(math.NaN())
		return nil
	}
	return json.Unmarshal(text, (*float64)(n))
}

// Metrics appends to a metrics.jsonl. Each line is written at once, so a kill costs at most the line in work.
type Metrics struct{ f *os.File }

// OpenMetrics opens the metrics of a run that has finished done steps: lines of later steps, and what follows a torn
// line, are cut off, because the resumed run writes them again; so is the evaluation of the last step, when done is the
// total, since that is made after the last checkpoint. With done 0 the file starts empty.
func OpenMetrics(path string, done, total int) (*Metrics, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	keep := int64(0)
	if done > 0 {
		keep, err = kept(f, done, done == total)
	}
	if err == nil {
		err = f.Truncate(keep)
	}
	if err == nil {
		_, err = f.Seek(keep, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &Metrics{f}, nil
}

// kept is the length of the leading whole lines of steps up to done, in bytes; last leaves out the evaluation of done.
func kept(r io.Reader, done int, last bool) (int64, error) {
	var n int64
	for in := bufio.NewReader(r); ; {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return n, nil // a line without its end is torn
		}
		if err != nil {
			return n, err
		}
		var x struct {
			Step *int            `json:"step"`
			Eval json.RawMessage `json:"eval_loss"` // null where it is not finite
		}
		if json.Unmarshal(line, &x) != nil || x.Step == nil || *x.Step > done || last && *x.Step == done && x.Eval != nil {
			return n, nil
		}
		n += int64(len(line))
	}
}

// Step writes one step, Eval one evaluation.
func (m *Metrics) Step(s Step) error { return m.write(s) }
func (m *Metrics) Eval(e Eval) error { return m.write(e) }

func (m *Metrics) write(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	_, err = m.f.Write(append(line, '\n'))
	return err
}

// Close closes the file.
func (m *Metrics) Close() error { return m.f.Close() }

// History is what a metrics.jsonl holds.
type History struct {
	Steps []Step
	Evals []Eval
}

// ReadMetrics reads a whole metrics.jsonl. A torn last line is left out; any other line that is not JSON is an error.
func ReadMetrics(path string) (h History, err error) {
	err = scanMetrics(path, func(s Step) { h.Steps = append(h.Steps, s) }, func(e Eval) { h.Evals = append(h.Evals, e) })
	return h, err
}
