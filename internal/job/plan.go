package job

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"lomo/internal/config"
	"lomo/internal/cpukern"
	"lomo/internal/fault"
	"lomo/internal/memprof"
	"lomo/internal/model"
	"lomo/internal/preset"
	"lomo/internal/train"
)

// runtimeBytes is what the program itself keeps resident beside device memory: 19 MiB are pages of the program's file (RssFile of /proc/PID/status), the rest
// is the Go heap and stacks of a run that trains, with the garbage that the collector leaves. Measured as VmHWM less the arena, the kernels' workspace and the
// data: 25 MiB with SmolLM2-135M, less with smaller models.
const runtimeBytes = 28 << 20

// tokenizerBytes is what an open tokenizer takes for each id: token, maps both ways and merges, with what reading its file leaves. Measured with 49,152 ids: 10 MiB.
const tokenizerBytes = 200

// beside is what a process on the CPU holds beside its arenas. Where the model is asked at the end of a run, its tokenizer is there again.
func beside(o train.Options, c *config.Config) map[string]int64 {
	b := map[string]int64{"program and its heap": runtimeBytes}
	if c.SamplePrompts > 0 && c.Devices == 1 && c.Offload == "none" {
		b["tokenizer"] = tokenizerBytes * int64(o.Model.VocabSize)
	}
	return b
}

// Plan counts the memory of a run before anything is loaded, and refuses a run that does not fit.
func Plan(o train.Options, c *config.Config, evalLen int, cards Cards) (*memprof.Profile, error) {
	return known{}.plan(o, c, evalLen, cards)
}

// known is what the plan takes from a run's data.
type known struct {
	bytes int64 // of its samples in memory, and of their order
	rows  int   // sequences of an epoch, 0 where the data was not read
}

func (k known) plan(o train.Options, c *config.Config, evalLen int, cards Cards) (*memprof.Profile, error) {
	if err := k.countable(o, c); err != nil {
		return nil, err
	}
	rows := 0
	if evalLen > 0 {
		rows = c.MicroBatchSize
	}
	limit, err := size("memory_limit", c.MemoryLimit)
	if err != nil {
		return nil, err
	}
	if c.Device == "cuda" {
		if limit > 0 {
			cards.DeviceMemory = limit
		}
		p, err := planCards(o, c, rows, evalLen, cards)
		if err == nil && !cards.fits(p, c.Devices) {
			e := &TooLargeError{Profile: p, Config: c, Cards: cards, Model: o.Model}
			e.Fits, e.With = nearest(c, o.Model, evalLen, cards)
			err = &UsageError{e}
		}
		return p, err
	}
	p, err := planHost(o, c, evalLen)
	if err != nil {
		return nil, err
	}
	if k.bytes > 0 {
		p.Owners["data"] = k.bytes
		p.Peak += k.bytes
	}
	if limit > 0 && p.Peak > limit {
		return nil, tooLargeForHost(o, c, p, evalLen, limit)
	}
	return p, nil
}

// A step that is planned has at most so many micro-batches and tokens a device: it is counted micro-batch by micro-batch.
const (
	mostMicroBatches = 1 << 12
	mostStepTokens   = 1 << 25
)

// countable refuses a step that is too large to be planned, which no machine takes: some number of it has zeros too many.
func (k known) countable(o train.Options, c *config.Config) error {
	tokens := float64(o.MicroBatch) * float64(o.Accumulation) * float64(o.SequenceLen)
	if o.Accumulation <= mostMicroBatches && tokens <= mostStepTokens {
		return nil
	}
	key, given := "gradient_accumulation_steps", c.GradientAccumulationSteps
	if o.Accumulation <= mostMicroBatches && o.MicroBatch > o.Accumulation {
		key, given = "micro_batch_size", c.MicroBatchSize
	}
	advice := fmt.Sprintf("at most %d micro-batches and %d tokens make a step", mostMicroBatches, mostStepTokens)
	if k.rows > 0 {
		advice += fmt.Sprintf("; an epoch of the data is %s, and no step takes more", fault.Number(k.rows, "sequence"))
	}
	return &UsageError{hint(advice, "%s: %d: a step of %d x %d sequences of %d tokens on each device is too large", key, given, o.Accumulation, o.MicroBatch, o.SequenceLen)}
}

// planHost is the memory of a run on the CPU.
func planHost(o train.Options, c *config.Config, evalLen int) (*memprof.Profile, error) {
	rows := 0
	if evalLen > 0 {
		rows = c.MicroBatchSize
	}
	h := memprof.Machine{Ranks: c.Devices, Beside: beside(o, c),
		Workspace: func(factors int64) int64 { return cpukern.WorkspaceOf(rankThreads(c.Threads, c.Devices), factors) }}
	return memprof.Run(o, h, rows, evalLen)
}

// PlanOnly is Plan for a configuration without its data: sequences are as long as sequence_len allows.
func PlanOnly(c *config.Config, m *model.Config, cards Cards) (*memprof.Profile, error) {
	o, err := trainOptions(c, m)
	if err != nil {
		return nil, err
	}
	if err := checkLength(m, "sequence_len", o.SequenceLen, func(string, ...any) {}); err != nil {
		return nil, err
	}
	evalLen := 0
	if len(c.EvalDatasets) > 0 || c.ValSetSize > 0 {
		evalLen = c.SequenceLen
	}
	return Plan(o, c, evalLen, cards)
}

// presetOf is the preset that stands for a model that is not there: its name, or the last part of its path.
func presetOf(path string) string {
	if at, _, err := Locate(path); err == nil && isThere(at) {
		return ""
	}
	for _, name := range []string{path, filepath.Base(path)} {
		if preset.Has(name) {
			return name
		}
	}
	return ""
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// planWithout plans a run whose model, which a preset stands for, is not there; nor need its data be.
func planWithout(c *config.Loaded, name string, rep Reporter, cards Cards) error {
	m, err := preset.Config(name)
	if err != nil {
		return err
	}
	if c.Model != name {
		rep.Note("%s is not there: planned with the sizes of the preset %s", c.Model, name)
		if _, _, err := Locate(c.Model); err != nil { // it may be meant as a model on the hub
			rep.Note("the run itself needs the model: `lomo pull OWNER/NAME --to %s`, or its name on the hub as model", c.Model)
		}
	}
	if c.Model == name {
		rep.Note("%s is the name of a preset, planned with its sizes; the run itself needs a model, such as `lomo new %s DIR` makes", name, name)
	}
	missing := missingData(&c.Config)
	if len(missing) == 0 && len(c.Datasets) > 0 {
		rep.Note("the data is not read, as there is no tokenizer: steps are not known, and every sequence is planned with sequence_len tokens")
	}
	for _, path := range missing {
		rep.Note("%s is not there: steps are not known, and every sequence is planned with sequence_len tokens", path)
	}
	if c.Device == "cuda" {
		where := computeOf(&c.Config)
		where.noteMissing(rep.Note, cards)
	}
	c.FitSequenceLen(m.Reach())
	net := model.NewNetwork(m)
	s := Summary{Model: c.Model, Params: net.NumParams(), Active: net.Active(), Device: deviceName(&c.Config), Cards: cards}
	s.Memory, err = PlanOnly(&c.Config, m, cards)
	if err != nil {
		return err
	}
	rep.Planned(s)
	return nil
}

// missingData is the files of data that are not there.
func missingData(c *config.Config) (paths []string) {
	for _, d := range slices.Concat(c.Datasets, c.EvalDatasets) {
		if _, err := os.Stat(d.Path); err != nil {
			paths = append(paths, d.Path)
		}
	}
	return paths
}

// deviceName is what a run computes on, in words.
func deviceName(c *config.Config) string {
	switch {
	case c.Device != "cuda":
		return "cpu"
	case c.Devices == 1:
		return "one card"
	}
	return fmt.Sprintf("%d cards", c.Devices)
}
