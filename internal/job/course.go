package job

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"lomo/internal/config"
	"lomo/internal/data"
	"lomo/internal/fault"
	"lomo/internal/optim"
	"lomo/internal/train"
)

// Course is the length of a run and the rates along it, as they are known before the first step.
type Course struct {
	From      int // steps that were taken before
	Epoch     int // steps of the first epoch
	Rate      optim.Schedule
	Sequences int // of a step
	batches   int // of the first epoch
	data      *dataset
}

// Fewer steps than fewSteps hardly teach a model anything, and the loss of fewer held-out samples than fewHeldOut moves by chance.
const (
	fewSteps   = 10
	fewHeldOut = 20
)

// course fills in s.Course for the steps of s.
func (s *Summary) course(o *train.Options, c *config.Config, ds *dataset) {
	s.Accumulation = o.Accumulation
	each := o.Accumulation * c.Devices
	s.Course = Course{From: s.Course.From, data: ds, batches: s.Course.batches, Sequences: o.MicroBatch * each, Epoch: (s.Course.batches + each - 1) / each,
		Rate: optim.Schedule{Kind: o.Scheduler, LR: o.LearningRate, Total: s.Steps, Warmup: optim.WarmupSteps(o.WarmupRatio, o.WarmupSteps, s.Steps)}}
}

// steps counts the steps of a number of epochs with other settings of the data; 0 where there would be none.
func (s *Summary) steps(opts data.Options, epochs float64, sequences int) int {
	n, _ := train.TotalSteps(data.NewLoader(s.Course.data.train, opts), epochs, max(1, sequences/opts.MicroBatch))
	return n
}

// Lines says how long the run is and why, and which of its steps have rate 0.
func (s *Summary) Lines() []string {
	k := s.Course
	if k.data == nil {
		return nil
	}
	epochs := float64(s.Steps) / float64(k.Epoch)
	length := fmt.Sprintf("%s epochs", short(epochs))
	switch {
	case s.Steps == k.Epoch:
		length = "1 epoch"
	case epochs < 1:
		length = short(epochs) + " of an epoch"
	}
	out := []string{fmt.Sprintf("%s of %s: %s", length, fault.Number(k.Epoch, "step"), s.fill())}
	if from := k.Rate.Moves(0); from > 0 && from < s.Steps && k.From == 0 {
		line := "step 1 has rate 0: warm-up starts there"
		if k.Rate.Warmup < s.Steps {
			line += fmt.Sprintf(", and step %d is the first at learning_rate", k.Rate.Warmup+1)
		}
		out = append(out, line)
	}
	if last := s.Steps - 1; last > 0 && float32(k.Rate.At(last)) == 0 && k.Rate.Moves(0) < last {
		out = append(out, fmt.Sprintf("step %d, the last, has rate 0: lr_scheduler: %s ends there", s.Steps, k.Rate.Kind))
	}
	return out
}

// fill says what an epoch and a step hold.
func (s *Summary) fill() string {
	samples := fault.Number(s.Train.Samples, "sample")
	if s.Rows.Rows < s.Train.Samples {
		samples += " packed into " + fault.Number(s.Rows.Rows, "sequence")
	}
	return fmt.Sprintf("%s, a step takes up to %d", samples, s.Course.Sequences)
}

// short is a number with at most two digits behind the point.
func short(v float64) string {
	if v >= 100 {
		return strconv.FormatFloat(math.Round(v), 'f', -1, 64)
	}
	if v < 0.01 {
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
}

// checkRates refuses a run none of whose steps changes a weight, since the learning rate of all of them is 0. A run that was interrupted before its
// last steps may end with such: then it is said.
func (s *Summary) checkRates(c *config.Loaded, planned int, rep Reporter) error {
	k := s.Course
	if k.From >= s.Steps || k.Rate.Moves(k.From) < s.Steps {
		return nil
	}
	steps := fault.Number(s.Steps, "step")
	switch {
	case float32(c.LearningRate) == 0:
		return &UsageError{hint("leave learning_rate out, which takes the usual one of "+c.Optimizer, "%slearning_rate: %v: every step would have rate 0 and change no weight", blame(c, "learning_rate"), c.LearningRate)}
	case k.From > 0 && planned == s.Steps:
		warn(rep, "the rest of the run, %s, has rate 0 and changes no weight", fault.Number(s.Steps-k.From, "step"))
		return nil
	case k.From > 0:
		return &UsageError{hint("raise num_epochs or max_steps further", "the run goes on after step %d, and every step from there to %d has rate 0: no weight would change", k.From, s.Steps)}
	}
	key, given := "warmup_ratio", fmt.Sprint(c.WarmupRatio)
	if c.WarmupSteps > 0 {
		key, given = "warmup_steps", fmt.Sprint(c.WarmupSteps)
	}
	whose := "the rate of each"
	if s.Steps == 1 {
		whose = "its rate"
	}
	advice := fmt.Sprintf("set %s: 0", key)
	if ways := s.ways(&c.Config); len(ways) > 0 {
		advice += ", or make more steps: " + strings.Join(ways, ", ")
	}
	return &UsageError{hint(advice, "%sthe run has %s (%s), and %s: %s makes %s 0: no weight would change", blame(c, key), steps, s.fill(), key, given, whose)}
}

// blame is the place of a key that was given, as an error begins with it.
func blame(c *config.Loaded, key string) string {
	if !c.Given(key) {
		return ""
	}
	return c.Origin(key) + ": "
}

// ways are settings that make at least fewSteps of a run that has fewer, or as many as they can, with what they make.
func (s *Summary) ways(c *config.Config) (out []string) {
	k, opts := s.Course, s.Course.data.opts
	say := func(n int, format string, args ...any) {
		if n > s.Steps && len(out) < 3 {
			out = append(out, fmt.Sprintf(format, args...)+fmt.Sprintf(" makes %d", n))
		}
	}
	if c.MaxSteps > 0 {
		say(k.Epoch, "num_epochs: 1 in place of max_steps")
		return append([]string{fmt.Sprintf("max_steps: %d", fewSteps)}, out...)
	}
	epochs := math.Ceil(c.NumEpochs) + 1
	for s.steps(opts, epochs, k.Sequences) < fewSteps {
		epochs++
	}
	say(s.steps(opts, epochs, k.Sequences), "num_epochs: %v", epochs)
	if longest := max(s.Train.MaxLen, s.Val.MaxLen); c.Packing && s.Train.Truncated == 0 {
		shorter := opts
		if shorter.SequenceLen = (longest + 15) / 16 * 16; shorter.SequenceLen < opts.SequenceLen {
			say(s.steps(shorter, c.NumEpochs, k.Sequences), "sequence_len: %d", shorter.SequenceLen)
		}
	}
	one := ""
	if s.Accumulation > 1 {
		one = "gradient_accumulation_steps: 1"
		n := s.steps(opts, c.NumEpochs, k.Sequences/s.Accumulation)
		if say(n, "%s", one); n >= fewSteps {
			return out
		}
		one += " with "
	}
	smaller, n := opts, 0
	for smaller.MicroBatch > 1 && n < fewSteps {
		smaller.MicroBatch = (smaller.MicroBatch + 1) / 2
		n = s.steps(smaller, c.NumEpochs, smaller.MicroBatch*c.Devices)
	}
	say(n, "%smicro_batch_size: %d", one, smaller.MicroBatch)
	return out
}

// warn says what may not be meant of the run's length, rates and data.
func (s *Summary) warn(c *config.Config, rep Reporter) {
	k := s.Course
	if !c.SaveFinal && c.SaveSteps == 0 {
		warn(rep, "save_final: false with save_steps: 0: nothing of what the run learns is kept")
		return
	}
	if s.Steps < fewSteps {
		line := fmt.Sprintf("only %s: %s", fault.Number(s.Steps, "step"), s.fill())
		if c.MaxSteps > 0 {
			line = fmt.Sprintf("only %s, as max_steps says", fault.Number(s.Steps, "step"))
		}
		if ways := s.ways(c); len(ways) > 0 {
			line += "; for more: " + strings.Join(ways, ", ")
		}
		warn(rep, "%s", line)
	}
	if peak := k.Rate.Peak(); peak < k.Rate.LR*(1-1e-9) {
		warn(rep, "%s of warm-up in a run of %d: the rate rises to %.2g and does not reach learning_rate: %v; set warmup_steps or warmup_ratio lower", fault.Number(k.Rate.Warmup, "step"), s.Steps, peak, k.Rate.LR)
	}
	warnTwice(c, rep)
	s.warnHeldOut(c, rep)
	if read := s.Train.Samples + s.Train.Skipped; s.Train.Skipped*2 >= read {
		warn(rep, "%d of %s of the training data have nothing to learn and are left out; `lomo inspect FILE --type TYPE --model DIR` shows what is learned", s.Train.Skipped, fault.Number(read, "sample"))
	}
}

// warnTwice says which data are trained on twice an epoch, and which are held out and trained on.
func warnTwice(c *config.Config, rep Reporter) {
	type part struct{ path, split string }
	seen := map[part]bool{}
	for _, d := range c.Datasets {
		p := part{filepath.Clean(d.Path), d.Split}
		if seen[p] {
			warn(rep, "datasets names %s twice: each of its samples is trained on twice an epoch; leave one out, or say it with weight: 2", d.Path)
		}
		seen[p] = true
	}
	for _, d := range c.EvalDatasets {
		if seen[part{filepath.Clean(d.Path), d.Split}] {
			warn(rep, "eval_datasets names %s, which is trained on: its loss falls whether or not the model learns more than these samples; val_set_size: 0.1 holds some of them out", d.Path)
		}
	}
}

// warnHeldOut says that held-out data is too small to measure with, or larger than what is trained on.
func (s *Summary) warnHeldOut(c *config.Config, rep Reporter) {
	held, all := s.Val.Samples, s.Val.Samples+s.Train.Samples
	switch {
	case held > 0 && held < fewHeldOut:
		line := fmt.Sprintf("only %s held out: their loss moves by chance; ", fault.Number(held, "sample"))
		switch {
		case c.ValSetSize > 0 && all >= 5*fewHeldOut:
			line += fmt.Sprintf("val_set_size: %d holds out %d of %d", fewHeldOut, fewHeldOut, all)
		case c.ValSetSize > 0:
			line += fmt.Sprintf("hold out %d or more, when there are more than these %d", fewHeldOut, all)
		default:
			line += fmt.Sprintf("give eval_datasets %d or more", fewHeldOut)
		}
		warn(rep, "%s", line)
	case c.ValSetSize > 0 && held > s.Train.Samples:
		warn(rep, "val_set_size: %v holds out %d of %d samples, more than are trained on; val_set_size: 0.1 holds out %d", c.ValSetSize, held, all, max(1, int(math.Round(0.1*float64(all)))))
	}
}

func warn(rep Reporter, format string, args ...any) { rep.Note("lomo: warning: "+format, args...) }
