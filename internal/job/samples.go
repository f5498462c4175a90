package job

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"lomo/internal/checkpoint"
	"lomo/internal/config"
	"lomo/internal/data"
	"lomo/internal/device"
	"lomo/internal/infer"
	"lomo/internal/model"
	"lomo/internal/store"
	"lomo/internal/tensor"
	"lomo/internal/tokenizer"
	"lomo/internal/train"
)

// Sample is what a model answers to a prompt of the data, beside what the data says.
type Sample struct {
	Prompt, Reference, Text string
	Tokens                  int
	Cut                     string // why the text ends before its end, "" where it does not
}

const (
	sampleTokens = 48               // of an answer, at most
	samplePrompt = 256              // tokens of a prompt, at most: a longer one loses its beginning
	sampleTime   = 10 * time.Second // for a prompt and its answer: a large model on a slow machine is cut short
	sampleSearch = 1000             // records that are looked through for short prompts
)

// question is a prompt and what follows it in the data.
type question struct {
	prompt, answer []int32
	cut            int // tokens of the prompt's beginning that were left out
}

// sampler puts a run's questions to its model, before the first step and after the last. It works in the arena of the run, in room that a step uses
// otherwise; where the plan leaves too little of it, there are no samples, and the report says so.
type sampler struct {
	ctx       context.Context
	c         *config.Config
	cfg       *model.Config
	dtype     tensor.DType
	path      string               // of the model, for its tokenizer
	tok       *tokenizer.Tokenizer // nil once it was used: it is large, and not part of the plan
	stops     []int32
	questions []question
	rep       Reporter
	why       string // there are no samples
}

// newSampler chooses the questions: the first records of the held-out data, else of the training data.
func newSampler(ctx context.Context, c *config.Config, o *train.Options, m *Model, tok *tokenizer.Tokenizer, ds *dataset, rep Reporter) *sampler {
	s := &sampler{ctx: ctx, c: c, cfg: m.Config, dtype: o.DType, path: m.Path, tok: tok, rep: rep}
	switch {
	case c.SamplePrompts == 0:
		s.why = "No answers: sample_prompts is 0."
	case c.Device != "cpu":
		s.why = "No answers: they are generated in runs on the CPU only; `lomo generate` and `lomo chat` ask the trained model."
	case c.Devices > 1:
		s.why = "No answers: they are generated in runs of one rank only; `lomo generate` and `lomo chat` ask the trained model."
	case c.Offload != "none":
		s.why = fmt.Sprintf("No answers: with offload: %s the weights would pass by once for each token; `lomo generate` and `lomo chat` ask the trained model.", c.Offload)
	case tok == nil:
		s.why = "No answers: the model has no tokenizer."
	}
	if s.why != "" {
		s.tok = nil
		return s
	}
	from := ds.val
	if from.Len() == 0 {
		from = ds.train
	}
	if s.questions = questions(from, c.SamplePrompts); len(s.questions) == 0 {
		s.why = "No answers: no record of the data has a part before the one that is learned."
	}
	s.stops = tok.EOSIDs()
	if stops, err := tok.ChatStops(c.ChatTemplate); err == nil {
		s.stops = stops
	}
	return s
}

// questions are the first n records that are short and differ in prompt and answer; where there are too few of them, other
// prompts with an answer that was taken already, and long ones too.
func questions(ds *data.Dataset, n int) []question {
	var short, alike, long []question
	seen, answered := map[string]bool{}, map[string]bool{}
	for i := range min(ds.Len(), sampleSearch) {
		q, ok := questionOf(ds.Example(i))
		key := fmt.Sprint(q.prompt)
		if !ok || seen[key] {
			continue
		}
		seen[key] = true
		answer := fmt.Sprint(q.answer)
		switch {
		case q.cut == 0 && answered[answer]: // the same fact in other words shows less than another fact
			if len(alike) < n {
				alike = append(alike, q)
			}
		case q.cut == 0:
			answered[answer] = true
			if short = append(short, q); len(short) == n {
				return short
			}
		case len(long) < n:
			long = append(long, q)
		}
	}
	all := slices.Concat(short, alike, long)
	return all[:min(n, len(all))]
}

// questionOf splits a record before its last learned part. Of a text that is learned from its beginning the first third is the prompt.
func questionOf(e data.Example) (q question, ok bool) {
	end := len(e.Labels)
	for end > 0 && e.Labels[end-1] < 0 {
		end--
	}
	begin := end
	for begin > 0 && e.Labels[begin-1] >= 0 {
		begin--
	}
	if begin <= 1 { // the first token has nothing before it
		begin = min(end/3, samplePrompt/4)
	}
	if begin < 1 || begin >= end {
		return q, false
	}
	q.cut = max(0, begin-samplePrompt)
	q.prompt = e.IDs[q.cut:begin]
	q.answer = e.IDs[begin:min(end, begin+4*sampleTokens)]
	return q, true
}

// ask is called before the first step and after the last.
func (s *sampler) ask(step int, d device.Device, net *model.Network, st store.Store) error {
	if s.why != "" {
		return s.rep.Sampled(step, nil, s.why)
	}
	if s.tok == nil {
		var err error
		if s.tok, err = OpenTokenizer(s.path); err != nil {
			return s.rep.Sampled(step, nil, fmt.Sprintf("No answers after the run: %v", err))
		}
	}
	defer func() {
		s.rep.Doing(train.Activity{Step: step})
		s.tok = nil
		debug.FreeOSMemory() // the tokenizer is not part of the plan
	}()
	var out []Sample
	for i, q := range s.questions {
		s.rep.Doing(train.Activity{Task: train.Answering, Step: step, Done: int64(i), Of: int64(len(s.questions))})
		one, err := s.answer(q, d, net, st)
		if full := (*device.OutOfMemoryError)(nil); errors.As(err, &full) {
			s.why = fmt.Sprintf("No answers: they take more memory than a step of this run does, so than its plan (%s wanted for %s, %s left).",
				checkpoint.FormatSize(full.Want), full.Owner, checkpoint.FormatSize(full.Capacity-full.Used))
			return s.rep.Sampled(step, nil, s.why)
		}
		if err != nil {
			return fmt.Errorf("sample_prompts: prompt %d: %w", i+1, err)
		}
		if s.ctx.Err() != nil {
			break
		}
		out = append(out, one)
	}
	return s.rep.Sampled(step, out, "")
}

// answer continues one prompt with the likeliest tokens.
func (s *sampler) answer(q question, d device.Device, net *model.Network, st store.Store) (Sample, error) {
	out := Sample{Prompt: s.tok.Decode(q.prompt, true), Reference: s.tok.Decode(q.answer, true)}
	if q.cut > 0 {
		out.Prompt = fmt.Sprintf("[%d tokens before this are left out] ", q.cut) + out.Prompt
	}
	mark := d.Memory().Mark()
	defer d.Memory().Release(mark)
	room := reach(s.cfg, len(q.prompt), sampleTokens)
	if room <= len(q.prompt) {
		out.Cut = "not answered: the prompt fills the positions of the model"
		return out, nil
	}
	session, err := infer.NewSession(d, net, st, room, s.dtype)
	if err != nil {
		return out, err
	}
	start := time.Now()
	late := func() bool { return time.Since(start) > sampleTime || s.ctx.Err() != nil }
	piece := s.piece(net)
	for rest := q.prompt; len(rest) > piece; rest = rest[piece:] { // Generate takes what is left
		if _, err := session.Append(rest[:piece]); err != nil {
			return out, err
		}
		if late() {
			out.Cut = fmt.Sprintf("not answered: the prompt alone took longer than %v", sampleTime)
			return out, nil
		}
	}
	ids, end, err := infer.Generate(session, q.prompt, infer.Request{
		Sampler: infer.Sampler{Known: s.tok.Known(s.cfg.VocabSize)}, Limit: room - len(q.prompt), Ends: s.stops, Go: func() bool { return !late() }})
	if err != nil && d.Sync() == nil { // such as logits that are not finite: the run itself has its own word on that
		out.Cut = fmt.Sprintf("not answered: %v", err)
		return out, nil
	}
	if err != nil {
		return out, err
	}
	out.Text, out.Tokens = s.tok.Decode(ids, true), len(ids)
	switch end {
	case infer.Interrupted:
		out.Cut = fmt.Sprintf("cut after %v: %d tokens", sampleTime, len(ids))
	case infer.Length, infer.Full:
		out.Cut = fmt.Sprintf("cut after %d tokens", len(ids))
	}
	return out, nil
}

// piece is how many tokens of a prompt go through the model between two looks at the clock: all of it, unless the model is large.
func (s *sampler) piece(net *model.Network) int {
	const work = 2e11 // operations, a second or two of a small machine
	return min(samplePrompt, max(8, int(work/(2*float64(net.NumParams())))))
}
