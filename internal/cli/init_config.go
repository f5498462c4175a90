package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"lomo/internal/config"
	"lomo/internal/job"
	"lomo/internal/report"
	"lomo/internal/train"
)

// initFile is a configuration as init writes it.
type initFile struct {
	lines  []initLine
	survey *job.Survey
	plan   job.Summary
	talk   []string // what the dry run said
}

// initLine is a key with its value in YAML and its comment; without a key it is an empty line.
type initLine struct{ key, value, comment string }

// What init aims at.
const (
	someSteps    = 60   // a run should have at least so many
	manySteps    = 1000 // of an epoch, from which one epoch is enough
	mostEpochs   = 10
	heldOutFrom  = 200 // samples, from which a part is held out
	longSequence = 2048
)

// settle chooses the settings, and lowers what does not fit memory_limit until it does.
func settle(ctx context.Context, s *Streams, o *initOptions, sets, held []config.Dataset) (*initFile, error) {
	look, err := loadLook(o, sets)
	if err != nil {
		return nil, err
	}
	survey, err := job.NewSurvey(look)
	if err != nil {
		return nil, err
	}
	f := &initFile{survey: survey}
	if o.Type == "" && survey.Stats.Truncated > 0 {
		s.talk().Say("%d of %d samples are longer than %d tokens, which sequence_len cuts", survey.Stats.Truncated, survey.Stats.Samples, look.SequenceLen)
	}
	var tight error
	for _, less := range []int{0, 1, 2, 3} { // ever less memory
		f.lines = choose(o, survey, sets, held, less)
		c, err := load(f.lines)
		if err != nil {
			return nil, err
		}
		r := &plannedRun{s: s, f: f}
		f.talk = nil
		err = job.Train(ctx, c, r, job.TrainOptions{DryRun: true, AnyFolder: true})
		if err == nil {
			return f, nil
		}
		if tight = err; o.given("memory_limit") == "" || job.Exit(err) != 2 {
			return nil, err
		}
	}
	return nil, tight
}

// plannedRun hears the plan of a run.
type plannedRun struct {
	job.Reporter
	s *Streams
	f *initFile
}

func (r *plannedRun) Doing(train.Activity)  {}
func (r *plannedRun) Planned(p job.Summary) { r.f.plan = p }
func (r *plannedRun) Note(format string, args ...any) {
	r.f.talk = append(r.f.talk, fmt.Sprintf(format, args...))
}

// loadLook is the settings with which model and data are looked at.
func loadLook(o *initOptions, sets []config.Dataset) (*config.Loaded, error) {
	lines := []initLine{{key: "sequence_len", value: strconv.Itoa(longSequence)}, {key: "datasets", value: listed(sets)}}
	for _, k := range o.Keys {
		if k.Key != "memory_limit" && k.Key != "sequence_len" {
			lines = append(lines, initLine{key: k.Key, value: yamlOf(k)})
		}
	}
	return load(lines)
}

// load reads the lines as the file that they will be.
func load(lines []initLine) (*config.Loaded, error) {
	dir, err := os.MkdirTemp("", "lomo-init-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	f := &initFile{lines: lines}
	path := filepath.Join(dir, "run.yaml")
	if err := os.WriteFile(path, []byte(f.body()), 0o600); err != nil {
		return nil, err
	}
	l, err := config.Load(config.Input{File: path, Need: []string{"model", "datasets"}})
	var all config.Errors
	if errors.As(err, &all) { // the lines are ours: what is wrong with them together is told without their place
		for _, e := range all {
			e.Where = ""
		}
	}
	return l, err
}

// choose makes the lines of the file; less is how much memory is to be saved, from 0.
func choose(o *initOptions, v *job.Survey, sets, held []config.Dataset, less int) []initLine {
	length := roundUp(max(v.Stats.MaxLen, 256), 64)
	length = min(length, longSequence, v.Reach)
	note := fmt.Sprintf("tokens; the longest sample has %d", v.Stats.MaxLen)
	if v.Stats.Truncated > 0 {
		note = fmt.Sprintf("tokens; %d of %d samples are longer and are cut", v.Stats.Truncated, v.Stats.Samples)
	}
	if given, err := strconv.Atoi(o.given("sequence_len")); err == nil {
		length = given
	}
	rows := v.Rows(length)
	batch := 1
	for batch < 4 && rows/(2*batch) >= someSteps {
		batch *= 2
	}
	if less > 0 {
		batch = 1
	}
	if given, err := strconv.Atoi(o.given("micro_batch_size")); err == nil && given > 0 {
		batch = given
	}
	perEpoch := max(1, rows/batch)
	epochs := min(mostEpochs, max(1, (someSteps+perEpoch-1)/perEpoch))
	if perEpoch < manySteps && epochs < 3 {
		epochs = 3
	}
	if perEpoch >= manySteps {
		epochs = 1
	}
	if given, err := strconv.ParseFloat(o.given("num_epochs"), 64); err == nil {
		epochs = max(1, int(given))
	}
	steps := perEpoch * epochs
	if given, err := strconv.Atoi(o.given("max_steps")); err == nil && given > 0 {
		steps = given
	}
	optimizer := o.given("optimizer")
	if optimizer == "" {
		optimizer = "adalomo"
	}
	if less > 2 && o.given("optimizer") == "" {
		optimizer = "lomo"
	}
	rate := ""
	if l, err := config.Load(config.Input{Flags: []config.Flag{{Name: "optimizer", Key: "optimizer", Value: optimizer}}}); err == nil {
		rate = strconv.FormatFloat(l.LearningRate, 'g', -1, 64)
	}
	model := o.given("model")
	lines := []initLine{
		{"model", yamlText(model), "a Hugging Face folder, a .gguf file, or OWNER/NAME in the hub's cache"},
		{"output_dir", yamlText(o.folder()), "the run's folder: checkpoints, metrics, report.html and the trained model"},
		{},
		{"datasets", listed(sets), "what is learned"},
	}
	evaluates := len(held) > 0
	switch {
	case len(held) > 0:
		lines = append(lines, initLine{"eval_datasets", listed(held), "what is held out: its loss tells whether more than the words was learned"})
	case o.given("val_set_size") == "" && v.Stats.Samples >= heldOutFrom:
		n := min(200, max(20, v.Stats.Samples/20))
		lines = append(lines, initLine{"val_set_size", strconv.Itoa(n), "samples held out; their loss tells whether more than the words was learned"})
		evaluates = true
	case o.given("val_set_size") == "":
		lines = append(lines, initLine{"val_set_size", "0", fmt.Sprintf("nothing is held out of %s; eval_datasets names a file of others", samples(v.Stats.Samples))})
	default:
		evaluates = o.given("val_set_size") != "0"
	}
	if evaluates {
		lines = append(lines, initLine{"eval_steps", strconv.Itoa(max(1, steps/5)), "evaluate every so many steps"})
	}
	lines = append(lines, initLine{"sequence_len", strconv.Itoa(length), note},
		initLine{"packing", "true", "several samples share a sequence and do not see each other"},
		initLine{"train_on_inputs", "false", "only the answers are learned"},
	)
	if !slices.ContainsFunc(sets, func(d config.Dataset) bool { return d.Type != "text" && d.Type != "tokenized" }) {
		lines = lines[:len(lines)-1] // there are no answers
	}
	lines = append(lines,
		initLine{},
		initLine{"micro_batch_size", strconv.Itoa(batch), "sequences of a step; more take more memory"},
		initLine{"num_epochs", strconv.Itoa(epochs), "passes over the data"},
		initLine{},
		initLine{"optimizer", optimizer, optimizers[optimizer]},
		initLine{"learning_rate", rate, "the usual one of " + optimizer + "; half of it if the loss jumps, twice if it hardly falls"},
		initLine{"lr_scheduler", "linear", "down to 0 at the end"},
		initLine{"warmup_steps", strconv.Itoa(warmup(steps)), "steps with a rising rate"},
		initLine{},
		initLine{"dtype", "bf16", "2 bytes a weight; f32 doubles the memory"},
		initLine{"rounding", "stochastic", "small updates survive bf16"},
		initLine{"gradient_checkpointing", "true", "computes blocks again in the backward pass: less memory, a third more time"},
	)
	if less > 1 {
		lines = append(lines, initLine{"offload", "disk", "weights wait in a file: less memory, more time"})
	}
	if limit := o.given("memory_limit"); limit != "" {
		lines = append(lines, initLine{"memory_limit", yamlText(limit), "a run whose plan is above it is refused"})
	}
	lines = append(lines, initLine{},
		initLine{"save_steps", strconv.Itoa(min(500, max(50, steps/4))), "a checkpoint every so many steps; the same command goes on from the newest"},
		initLine{"save_total_limit", "2", "older ones are removed"},
	)
	return override(lines, o)
}

// optimizers say what each costs.
var optimizers = map[string]string{
	"adalomo": "holds the gradient of one matrix at a time, and a little state",
	"lomo":    "holds no gradient and no state",
	"sgd":     "holds no gradient; momentum adds 4 bytes a weight",
	"adamw":   "adds 12 bytes a weight; adalomo takes a fraction of that",
}

func warmup(steps int) int {
	if steps < 20 {
		return 0
	}
	return min(100, max(2, steps/20))
}

// override puts the settings that were given in the place of those that were chosen, and the others at the end.
func override(lines []initLine, o *initOptions) []initLine {
	for _, k := range o.Keys {
		for one, other := range map[string]string{"max_steps": "num_epochs", "warmup_ratio": "warmup_steps"} { // one takes the other's place
			if i := slices.IndexFunc(lines, func(l initLine) bool { return l.key == other }); k.Key == one && i >= 0 {
				lines[i] = initLine{key: one, comment: helpOf(one)}
			}
		}
		at := slices.IndexFunc(lines, func(l initLine) bool { return l.key == k.Key })
		if at < 0 {
			lines = append(lines, initLine{k.Key, yamlOf(k), helpOf(k.Key)})
			continue
		}
		lines[at].value = yamlOf(k)
		if k.Key == "learning_rate" || k.Key == "num_epochs" || k.Key == "sequence_len" || k.Key == "micro_batch_size" {
			lines[at].comment = helpOf(k.Key)
		}
	}
	return lines
}

func helpOf(key string) string {
	for _, k := range config.Keys() {
		if k.Name == key {
			return strings.ReplaceAll(k.Help, "\n", " ")
		}
	}
	return ""
}

// yamlOf is a setting's value as YAML: texts quoted where they must be, all else as it was given.
func yamlOf(f config.Flag) string {
	for _, k := range config.Keys() {
		if k.Name == f.Key && (k.Values() == "text" || len(k.OneOf) > 0 && !strings.HasPrefix(f.Value, "[")) {
			return yamlText(f.Value)
		}
	}
	return f.Value
}

// yamlText is a text that YAML reads as itself.
func yamlText(s string) string {
	plain := strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/+@~") == "" && s != ""
	odd := strings.ToLower(s)
	if plain && strings.ContainsAny(s[:1], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/._") &&
		!slices.Contains([]string{"true", "false", "yes", "no", "on", "off", "null", "y", "n", ".inf", ".nan"}, odd) {
		return s
	}
	return strconv.Quote(s)
}

// listed is a list of data sets, one a line.
func listed(sets []config.Dataset) string {
	var b strings.Builder
	for _, d := range sets {
		fmt.Fprintf(&b, "\n  - {path: %s, type: %s}", yamlText(d.Path), yamlText(d.Type))
	}
	return b.String()
}

// body is the file without its head. Comments begin at one column where they can.
func (f *initFile) body() string {
	var b strings.Builder
	for _, l := range f.lines {
		first, rest, several := strings.Cut(l.value, "\n")
		line := strings.TrimRight(l.key+": "+first, " ")
		if l.key == "" {
			line = ""
		}
		if block, option, dotted := strings.Cut(l.key, "."); dotted {
			line = fmt.Sprintf("%s: {%s: %s}", block, option, first)
		}
		if l.comment != "" {
			line = fmt.Sprintf("%-40s # %s", line, l.comment)
		}
		b.WriteString(line + "\n")
		if several {
			b.WriteString(rest + "\n")
		}
	}
	return b.String()
}

// text is the whole file.
func (f *initFile) text(o *initOptions) string {
	name := o.File
	if name == "-" {
		name = "run.yaml"
	}
	v, p := f.survey, f.plan
	head := fmt.Sprintf("# lomo train %s\n# For %s, %s weights, and %s.\n# %s. Memory: %s, %s of it weights.\n", quoteArg(name), oneLine(v.Model), report.Count(float64(v.Params)),
		statsLine(v.Stats), upperFirst(f.length()), report.Bytes(p.Memory.Peak), report.Bytes(p.Memory.Owners["weights"]))
	return head + f.body()
}

// length says how long the run is.
func (f *initFile) length() string {
	text := fmt.Sprintf("%d steps", f.plan.Steps)
	if f.plan.Steps == 1 {
		text = "1 step"
	}
	if t := predicted(f.plan); t != "" {
		text += ", " + t
	}
	return text
}

// predicted is how long the run takes on this machine, "" where that is not known.
func predicted(p job.Summary) string {
	if p.Time == nil || p.Time.TotalSeconds == 0 {
		return ""
	}
	return "about " + report.Duration(time.Duration(p.Time.TotalSeconds*float64(time.Second))) + " on this machine's CPU"
}

func samples(n int) string {
	if n == 1 {
		return "1 sample"
	}
	return fmt.Sprintf("%d samples", n)
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func roundUp(n, to int) int { return (n + to - 1) / to * to }
