package config

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
)

// idle are keys that do nothing beside some other setting, and why. Each is said once, and only where the user's own value differs from the default:
// a configuration that lomo wrote names every key.
var idle = []struct {
	key string
	why func(l *Loaded) string // "": it has an effect
}{
	{"clip_policy", func(l *Loaded) string { return when(l.MaxGradNorm == 0, "max_grad_norm is 0") }},
	{"rounding", func(l *Loaded) string { return when(l.DType == "f32", "dtype is f32, whose weights are not rounded") }},
	{"sharding", alone}, {"gather", alone},
	{"reduce_dtype", func(l *Loaded) string { return when(l.Devices == 1, "devices is 1, so no gradient travels") }},
	{"offload", func(l *Loaded) string {
		return when(l.Device == "cpu" && l.Offload == "host", "device is cpu, whose memory the host's is: it saves none; offload: disk does")
	}},
	{"activation_offload", func(l *Loaded) string {
		return when(l.Device == "cpu" && l.ActivationOffload == "host", "device is cpu, whose memory the host's is: it saves none; activation_offload: disk does")
	}},
	{"threads", func(l *Loaded) string { return when(l.Device == "cuda", "device is cuda") }},
	{"save_total_limit", func(l *Loaded) string {
		return when(l.SaveSteps == 0, "save_steps is 0: a checkpoint is saved only on Ctrl-C")
	}},
	{"max_shard_size", func(l *Loaded) string {
		return when(!l.SaveFinal && l.SaveSteps == 0, "save_final is false and save_steps is 0: no model is saved")
	}},
	{"export_dtype", func(l *Loaded) string { return when(l.Export == "none", "export is none") }},
	{"train_on_inputs", withoutPrompts}, {"train_on_eos", withoutChats}, {"roles_to_train", withoutChats},
	{"adamw.master", func(l *Loaded) string {
		return when(l.DType == "f32", "dtype is f32, so the weights are float32 already")
	}},
	{"sgd.dampening", func(l *Loaded) string { return when(l.SGD.Momentum == 0, "sgd.momentum is 0") }},
}

func when(so bool, why string) string {
	if so {
		return why
	}
	return ""
}

func alone(l *Loaded) string { return when(l.Devices == 1, "devices is 1") }

// withoutPrompts: samples of these types are learned whole, or carry labels of their own.
func withoutPrompts(l *Loaded) string { return only(l, "text", "tokenized") }

// withoutChats: nor have these any turns.
func withoutChats(l *Loaded) string { return only(l, "text", "tokenized", "alpaca") }

func only(l *Loaded, types ...string) string {
	if len(l.Datasets) == 0 {
		return ""
	}
	for _, d := range l.Datasets {
		if !slices.Contains(types, d.Type) {
			return ""
		}
	}
	return fmt.Sprintf("the data is of type %s, which has no such parts", l.Datasets[0].Type)
}

// processors is how many this process may use; tests put another number there.
var processors = func() int { return runtime.GOMAXPROCS(0) }

// idleKeys warns of keys without effect, and of settings that are not what they seem.
func (l *Loaded) idleKeys() {
	std := Default()
	for _, x := range idle {
		is, _ := l.Get(x.key)
		was, _ := std.Get(x.key)
		if !l.Given(x.key) || reflect.DeepEqual(is, was) {
			continue
		}
		if why := x.why(l); why != "" {
			l.warnf("%s: %s: %s has no effect, because %s", l.where(x.key), x.key, inLine(is), why)
		}
	}
	if n := processors(); l.Threads > n && l.Device != "cuda" {
		l.warnf("%s: threads: %d is more than the %d processors of this machine: the run is not faster for it, and may be slower; threads: 0 takes all", l.where("threads"), l.Threads, n)
	}
	if l.ActivationOffload != "none" && !l.GradientCheckpointing {
		l.warnf("%s: activation_offload: %s saves little with gradient_checkpointing: false, which keeps what is made inside the blocks on the device",
			l.where("activation_offload"), l.ActivationOffload)
	}
}
