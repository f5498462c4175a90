package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"lomo/internal/checkpoint"
	"lomo/internal/optim"
)

// bound is the least and the largest value of a number; without the ends where it is open.
type bound struct {
	low, high float64
	open      bool
}

// bounds are those of numbers.
var bounds = map[string]bound{
	"devices": {1, 1024, false}, "threads": {0, 4096, false}, "val_set_size": {0, math.MaxInt32, false},
	"sequence_len": {2, 1 << 24, false}, "micro_batch_size": {1, 1 << 20, false}, "gradient_accumulation_steps": {1, 1 << 20, false},
	"num_epochs": {0, math.MaxInt32, false}, "max_steps": {0, math.MaxInt32, false},
	"learning_rate": {0, math.MaxFloat32, false}, "warmup_ratio": {0, 1, false}, "warmup_steps": {0, math.MaxInt32, false}, "weight_decay": {0, 1e6, false},
	"max_grad_norm": {0, math.MaxFloat32, false}, "clip_value": {0, math.MaxFloat32, false},
	"eval_steps": {0, math.MaxInt32, false}, "sample_prompts": {0, 100, false}, "save_steps": {0, math.MaxInt32, false}, "save_total_limit": {0, math.MaxInt32, false},
	"logging_steps":          {1, math.MaxInt32, false},
	"adalomo.clip_threshold": {1e-30, math.MaxFloat32, false}, "adalomo.decay_rate": {-10, 0, false}, "adamw.eps": {0, 1, true},
	"sgd.momentum": {0, 1, false}, "sgd.dampening": {0, 1, false},
}

// lists bounds the numbers of lists likewise. A moment with a beta of 1 never learns anything, and its correction divides by 0.
// AdaLomo's eps must not be 0: see algorithms.md 2.
var lists = map[string]bound{"adamw.betas": {0, 1, false}, "adalomo.eps": {1e-38, 1, false}}

// check finds what no single value shows: numbers out of bounds, missing keys, keys that exclude each other.
func (l *Loaded) check(need []string) error {
	var p problems
	for _, k := range keys {
		v, _ := l.Get(k.Name)
		switch v := v.(type) {
		case int:
			l.within(&p, k.Name, float64(v), bounds)
		case float64:
			l.within(&p, k.Name, v, bounds)
		case []float64:
			for _, f := range v {
				l.within(&p, k.Name, f, lists)
			}
		}
	}
	l.missing(&p, need)
	if len(need) > 0 { // they are used
		l.paths(&p)
	}
	l.sizes(&p)
	l.combinations(&p)
	l.others(&p)
	l.warn()
	return p.err()
}

func (l *Loaded) within(p *problems, key string, v float64, table map[string]bound) {
	b, bounded := table[key]
	advice := fmt.Sprintf("it goes from %s to %s", short(b.low), short(b.high))
	switch {
	case b.high >= math.MaxInt32:
		advice = fmt.Sprintf("it is at least %s", short(b.low))
	case b.open:
		advice = fmt.Sprintf("it lies between %s and %s", short(b.low), short(b.high))
	}
	switch {
	case !bounded:
	case key == "adamw.betas" && v == 1:
		p.add(l.where(key), "usual is adamw: {betas: [0.9, 0.999]}", "%s: 1 is not below 1: such a moment never changes", key)
	case b.open && v == b.low:
		p.add(l.where(key), advice+", such as 1e-8", "%s: %.15g is not above %.15g", key, v, b.low)
	case v < b.low:
		p.add(l.where(key), advice, "%s: %.15g is below %.15g", key, v, b.low)
	case v > b.high || b.open && v == b.high:
		p.add(l.where(key), advice, "%s: %.15g is above %.15g", key, v, b.high)
	}
}

func short(f float64) string {
	text := tidy(strconv.FormatFloat(f, 'g', 6, 64))
	if whole := strconv.FormatFloat(f, 'f', 0, 64); f == math.Trunc(f) && (len(whole) <= len(text) || len(whole) < 8 && strings.Contains(text, ".")) {
		return whole // 1048576, but 1e6
	}
	return text
}

// missing names needed keys that are empty.
func (l *Loaded) missing(p *problems, need []string) {
	for _, key := range need {
		v, _ := l.Get(key)
		if v == "" || fmt.Sprint(v) == "[]" {
			k, _ := find(keys, key)
			if k.Example != "" {
				p.add(l.where(key), fmt.Sprintf("such as %s: %s. %s", key, k.Example, k.Help), "%s is missing", key)
				continue
			}
			p.add(l.where(key), k.Help, "%s is missing", key)
		}
	}
}

// sizes checks texts that are byte counts.
func (l *Loaded) sizes(p *problems) {
	for _, key := range []string{"memory_limit", "max_shard_size"} {
		v, _ := l.Get(key)
		if s := v.(string); s != "" {
			n, err := checkpoint.ParseSize(s)
			var size *checkpoint.SizeError
			switch {
			case key == "memory_limit" && slices.Contains([]string{"0", "none", "null", "off", "no", "auto", "unlimited", "inf", "false", "-1"}, strings.ToLower(s)):
				p.add(l.where(key), "leave it out, which is no limit; else write a number and its unit, such as 4GiB", "%s: %q is not a size", key, s)
			case errors.As(err, &size):
				p.add(l.where(key), size.Advice, "%s: %s", key, size.Msg)
			case n <= 0:
				p.add(l.where(key), "leave it out, which is "+map[string]string{"memory_limit": "no limit", "max_shard_size": Default().MaxShardSize}[key], "%s: %s is nothing", key, s)
			}
		}
	}
}

// maxEpochs bounds num_epochs: epochs may differ in their steps, so each of them is counted before the run.
const maxEpochs = 10000

// combinations refuses settings that contradict each other, naming both and the way out.
func (l *Loaded) combinations(p *problems) {
	if l.MaxSteps > 0 && l.NumEpochs > 0 {
		p.add(l.where("max_steps"), "keep one of them", "max_steps: %d and num_epochs: %v both set the length of the run", l.MaxSteps, l.NumEpochs)
	}
	if l.MaxSteps == 0 && l.NumEpochs == 0 {
		p.add(l.where("num_epochs"), "give one of them", "num_epochs and max_steps are both 0")
	}
	if l.NumEpochs > maxEpochs {
		p.add(l.where("num_epochs"), "give max_steps instead", "num_epochs: %v is above %d", l.NumEpochs, maxEpochs)
	}
	if l.WarmupSteps > 0 && l.WarmupRatio > 0 {
		p.add(l.where("warmup_steps"), "keep one of them", "warmup_steps: %d and warmup_ratio: %v both set the warm-up", l.WarmupSteps, l.WarmupRatio)
	}
	if l.OnNonfinite == "skip" && l.DType != "fp16" && (l.MaxGradNorm == 0 || l.ClipPolicy != "exact") {
		p.add(l.where("on_nonfinite"), "set max_grad_norm with clip_policy: exact, which sees the gradient before any weight moves, or on_nonfinite: stop",
			"on_nonfinite: skip with max_grad_norm: %v and clip_policy: %s: weights move before the whole gradient is known", l.MaxGradNorm, l.ClipPolicy)
	}
	if err := (optim.Schedule{Kind: l.LRScheduler, LR: l.LearningRate}).Check(); err != nil {
		p.add(l.where("learning_rate"), "raise learning_rate, or choose lr_scheduler: linear, which falls to 0", "%v", err)
	}
	if l.Export != "none" && !l.SaveFinal {
		p.add(l.where("export"), "set save_final: true, or export: none", "export: %s with save_final: false: no trained model is written that could be exported", l.Export)
	}
	l.ranks(p)
	if l.Offload != "none" && l.Optimizer == "adamw" {
		p.add(l.where("offload"), "choose optimizer: lomo or adalomo, or offload: none",
			"offload: %s with optimizer: adamw, which keeps 12 bytes a weight on the device", l.Offload)
	}
	if l.Device == "cuda" {
		for _, o := range [][2]string{{"offload", l.Offload}, {"activation_offload", l.ActivationOffload}} {
			if o[1] == "disk" {
				p.add(l.where(o[0]), "set "+o[0]+": host", "%s: disk with device: cuda: copies to a card come from pinned host memory", o[0])
			}
		}
	}
	if l.SGD.Nesterov && (l.SGD.Momentum == 0 || l.SGD.Dampening != 0) {
		p.add(l.where("sgd.nesterov"), "set sgd.momentum and leave sgd.dampening at 0", "sgd.nesterov with momentum %v and dampening %v", l.SGD.Momentum, l.SGD.Dampening)
	}
	if l.ValSetSize > 1 && l.ValSetSize != math.Trunc(l.ValSetSize) {
		p.add(l.where("val_set_size"), fmt.Sprintf("write %v, or a share below 1 such as 0.05", math.Round(l.ValSetSize)), "val_set_size: %v is neither a share nor a number of samples", l.ValSetSize)
	}
	if l.ValSetSize > 0 && len(l.EvalDatasets) > 0 {
		p.add(l.where("val_set_size"), "keep one of them", "val_set_size: %v and eval_datasets both name the held-out data", l.ValSetSize)
	}
	if l.EvalSteps > 0 && l.ValSetSize == 0 && len(l.EvalDatasets) == 0 {
		p.add(l.where("eval_steps"), "add eval_datasets or val_set_size", "eval_steps: %d without held-out data", l.EvalSteps)
	}
}

// ranks checks what several devices can do together.
func (l *Loaded) ranks(p *problems) {
	if l.Devices <= 1 {
		return
	}
	if l.Sharding == "none" {
		p.add(l.where("devices"), "set sharding: zero3, or devices: 1", "devices: %d with sharding: none", l.Devices)
	}
	if l.Offload == "disk" {
		p.add(l.where("offload"), "set offload: host or none, or devices: 1", "offload: %s with devices: %d is not in this version", l.Offload, l.Devices)
	}
	if l.ActivationOffload == "disk" {
		p.add(l.where("activation_offload"), "set activation_offload: host or none, or devices: 1",
			"activation_offload: disk with devices: %d is not in this version", l.Devices)
	}
}

// where is the place to blame for a key, "" for a default.
func (l *Loaded) where(key string) string { return l.origin[key] }

// warn notes what works and is probably not meant.
func (l *Loaded) warn() {
	r := rates[l.Optimizer]
	if lr := l.LearningRate; lr != 0 && (lr < r.low || lr > r.high) {
		l.warnf("learning_rate %v is unusual for %s: most runs are between %v and %v, e.g. %v", lr, l.Optimizer, r.low, r.high, r.usual)
	}
	l.idleKeys()
}

// others refuses the options of an optimizer that the run does not have.
func (l *Loaded) others(p *problems) {
	for _, b := range blocks {
		if b == l.Optimizer {
			continue
		}
		i := slices.IndexFunc(keys, func(k Key) bool { return k.Block() == b && l.Given(k.Name) })
		if i < 0 {
			continue
		}
		given := "by default"
		if l.Given("optimizer") {
			given = beside(l.where(keys[i].Name), l.where("optimizer"))
		}
		p.add(l.where(keys[i].Name), fmt.Sprintf("set optimizer: %s, or remove the options of %s", b, b),
			"%s is an option of %s, and the optimizer of this run is %s (%s)", keys[i].Name, b, l.Optimizer, given)
	}
	if l.NEFTuneAlpha > 0 {
		p.add(l.where("neftune_alpha"), "remove the line", "neftune_alpha: %v: noise on embeddings is not in this version", l.NEFTuneAlpha)
	}
}

func (l *Loaded) warnf(format string, args ...any) {
	l.Warnings = append(l.Warnings, fmt.Sprintf(format, args...))
}
