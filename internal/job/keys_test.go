package job

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"lomo/internal/config"
	"lomo/internal/data"
	"lomo/internal/preset"
	"lomo/internal/train"
)

// received is everything that a configuration tells the components of a run.
type received struct {
	Train       train.Options
	Data        data.Options
	Sources     []data.Source
	EvalSources []data.Source
	Compute     compute
	RankThreads int
	Limit       int64
}

// receives gathers what the components get of these settings, as field -> value in words.
func receives(t *testing.T, set ...string) map[string]string {
	t.Helper()
	l, err := config.Load(config.Input{Set: append([]string{"device=cpu", "threads=8"}, set...)})
	if err != nil {
		t.Fatal(err)
	}
	m, err := preset.Config("tiny")
	if err != nil {
		t.Fatal(err)
	}
	r := received{Data: dataOptions(&l.Config, m), Sources: sources(l.Datasets), EvalSources: sources(l.EvalDatasets), Compute: computeOf(&l.Config),
		RankThreads: rankThreads(l.Threads, l.Devices)}
	if r.Train, err = trainOptions(&l.Config, m); err != nil {
		t.Fatal(err)
	}
	if r.Limit, err = size("memory_limit", l.MemoryLimit); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	flatten(out, "", reflect.ValueOf(r))
	return out
}

// flatten writes the plain fields below v; callbacks and pointers to what was made elsewhere are none.
func flatten(out map[string]string, path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			flatten(out, strings.TrimPrefix(path+"."+v.Type().Field(i).Name, "."), v.Field(i))
		}
	case reflect.Func, reflect.Pointer, reflect.Interface:
	default:
		out[path] = fmt.Sprint(v.Interface())
	}
}

// keyRows has a row for every key: a value that no other key has and what each component then receives, field by field. All other fields stay as they are.
var keyRows = []struct {
	key, value string
	with       []string // settings that the key needs beside it
	want       map[string]string
	elsewhere  string // who reads it from the configuration itself: cli.TestKeysChangeARun shows it
}{
	{key: "model", value: "folder/m", elsewhere: "OpenModel"},
	{key: "output_dir", value: "folder/out", want: map[string]string{"Train.OutputDir": "folder/out"}},
	{key: "device", value: "cuda", want: map[string]string{"Compute.Device": "cuda"}},
	{key: "devices", value: "4", with: []string{"sharding=zero3"}, want: map[string]string{"Compute.Devices": "4", "RankThreads": "2"}},
	{key: "sharding", value: "zero3", elsewhere: "config: what devices above 1 need"},
	{key: "offload", value: "disk", want: map[string]string{"Train.Offload": "2"}},
	{key: "offload", value: "host", want: map[string]string{"Train.Offload": "1"}},
	{key: "activation_offload", value: "disk", want: map[string]string{"Train.SpillInputs": "2"}},
	{key: "activation_offload", value: "host", want: map[string]string{"Train.SpillInputs": "1"}},
	{key: "reduce_dtype", value: "f32", want: map[string]string{"Train.ReduceDType": "F32"}},
	{key: "gather", value: "matrix", want: map[string]string{"Train.GatherByMatrix": "true"}},
	{key: "threads", value: "3", want: map[string]string{"Compute.Threads": "3", "RankThreads": "3"}},
	{key: "memory_limit", value: "5MiB", want: map[string]string{"Limit": "5242880"}},

	{key: "dtype", value: "f32", want: map[string]string{"Train.DType": "F32", "Train.ReduceDType": "F32"}},
	{key: "rounding", value: "nearest", want: map[string]string{"Train.Optimizer.Common.Rounding": "0"}},

	{key: "datasets", value: "[{path: a.jsonl, type: messages, split: part, weight: 2.5}]", want: map[string]string{"Sources": "[{a.jsonl messages part 2.5}]"}},
	{key: "eval_datasets", value: "[{path: b.jsonl, type: text, split: other, weight: 0.75}]", want: map[string]string{"EvalSources": "[{b.jsonl text other 0.75}]"}},
	{key: "val_set_size", value: "0.06", elsewhere: "loadData, PlanOnly"},
	{key: "sequence_len", value: "77", want: map[string]string{"Train.SequenceLen": "77", "Data.SequenceLen": "77"}},
	{key: "packing", value: "false", want: map[string]string{"Data.Packing": "false"}},
	{key: "shuffle", value: "false", want: map[string]string{"Data.Shuffle": "false"}},
	{key: "chat_template", value: "chatml", want: map[string]string{"Data.ChatTemplate": "chatml"}},
	{key: "train_on_inputs", value: "true", want: map[string]string{"Data.TrainOnInputs": "true"}},
	{key: "roles_to_train", value: "[user, tool]", want: map[string]string{"Data.RolesToTrain": "[user tool]"}},
	{key: "train_on_eos", value: "last", want: map[string]string{"Data.TrainOnEOS": "last"}},

	{key: "micro_batch_size", value: "5", want: map[string]string{"Train.MicroBatch": "5", "Data.MicroBatch": "5"}},
	{key: "gradient_accumulation_steps", value: "6", want: map[string]string{"Train.Accumulation": "6"}},
	{key: "num_epochs", value: "2.5", want: map[string]string{"Train.NumEpochs": "2.5"}},
	{key: "max_steps", value: "17", want: map[string]string{"Train.MaxSteps": "17", "Train.NumEpochs": "0"}},
	{key: "gradient_checkpointing", value: "false", want: map[string]string{"Train.Recompute": "false"}},
	{key: "seed", value: "99", want: map[string]string{"Train.Seed": "99", "Train.Optimizer.Common.Seed": "99", "Data.Seed": "99"}},

	{key: "method", value: "full", elsewhere: "nobody: full is the only method of this version"},
	{key: "optimizer", value: "lomo", want: map[string]string{"Train.Optimizer.Name": "lomo", "Train.LearningRate": "0.01"}},
	{key: "optimizer", value: "adamw", want: map[string]string{"Train.Optimizer.Name": "adamw", "Train.LearningRate": "2e-05"}},

	{key: "learning_rate", value: "0.00031", want: map[string]string{"Train.LearningRate": "0.00031"}},
	{key: "lr_scheduler", value: "cosine", want: map[string]string{"Train.Scheduler": "cosine"}},
	{key: "warmup_ratio", value: "0.07", want: map[string]string{"Train.WarmupRatio": "0.07"}},
	{key: "warmup_steps", value: "8", want: map[string]string{"Train.WarmupSteps": "8"}},
	{key: "weight_decay", value: "0.012", want: map[string]string{"Train.Optimizer.Common.WeightDecay": "0.012"}},

	{key: "max_grad_norm", value: "1.3", want: map[string]string{"Train.MaxGradNorm": "1.3"}},
	{key: "clip_policy", value: "lagged", want: map[string]string{"Train.ClipLagged": "true"}},
	{key: "clip_value", value: "0.14", want: map[string]string{"Train.Optimizer.Common.ClipValue": "0.14"}},
	{key: "on_nonfinite", value: "skip", with: []string{"max_grad_norm=1"}, want: map[string]string{"Train.SkipBad": "true"}},
	{key: "loss_spike", value: "off", elsewhere: "nobody: off is the only value of this version"},
	{key: "neftune_alpha", value: "0", elsewhere: "nobody: 0 is the only value of this version"},

	{key: "eval_steps", value: "15", with: []string{"val_set_size=1"}, want: map[string]string{"Train.EvalSteps": "15"}},
	{key: "eval_on_start", value: "false", want: map[string]string{"Train.EvalOnStart": "false"}},
	{key: "sample_prompts", value: "9", elsewhere: "newSampler"},
	{key: "save_steps", value: "16", want: map[string]string{"Train.SaveSteps": "16"}},
	{key: "save_total_limit", value: "18", want: map[string]string{"Train.SaveLimit": "18"}},
	{key: "save_final", value: "false", want: map[string]string{"Train.SaveFinal": "false"}},
	{key: "export", value: "gguf", elsewhere: "job.exportRun, when the run has ended"},
	{key: "export_dtype", value: "q8_0", elsewhere: "job.exportRun, when the run has ended"},
	{key: "max_shard_size", value: "3MiB", want: map[string]string{"Train.MaxShardSize": "3145728"}},
	{key: "logging_steps", value: "19", want: map[string]string{"Train.LoggingSteps": "19"}},
	{key: "report_to", value: "[json, tensorboard]", elsewhere: "cli"},
	{key: "resume", value: "none", elsewhere: "openOutput"},

	{key: "adalomo.clip_threshold", value: "1.25", want: map[string]string{"Train.Optimizer.AdaLomo.ClipThreshold": "1.25"}},
	{key: "adalomo.decay_rate", value: "-0.65", want: map[string]string{"Train.Optimizer.AdaLomo.DecayRate": "-0.65"}},
	{key: "adalomo.eps", value: "[2e-29, 0.0021]", want: map[string]string{"Train.Optimizer.AdaLomo.Eps1": "2e-29", "Train.Optimizer.AdaLomo.Eps2": "0.0021"}},
	{key: "adalomo.importance", value: "none", elsewhere: "nobody: none is the only value of this version"},
	{key: "adamw.betas", value: "[0.81, 0.93]", with: []string{"optimizer=adamw"},
		want: map[string]string{"Train.Optimizer.AdamW.Beta1": "0.81", "Train.Optimizer.AdamW.Beta2": "0.93"}},
	{key: "adamw.eps", value: "3e-7", with: []string{"optimizer=adamw"}, want: map[string]string{"Train.Optimizer.AdamW.Eps": "3e-07"}},
	{key: "adamw.master", value: "none", with: []string{"optimizer=adamw"}, want: map[string]string{"Train.Optimizer.AdamW.Master": "false"}},
	{key: "adamw.decay_vectors", value: "true", with: []string{"optimizer=adamw"}, want: map[string]string{"Train.Optimizer.AdamW.DecayVectors": "true"}},
	{key: "sgd.momentum", value: "0.87", with: []string{"optimizer=sgd"}, want: map[string]string{"Train.Optimizer.SGD.Momentum": "0.87"}},
	{key: "sgd.dampening", value: "0.22", with: []string{"optimizer=sgd", "sgd.momentum=0.5"}, want: map[string]string{"Train.Optimizer.SGD.Dampening": "0.22"}},
	{key: "sgd.nesterov", value: "true", with: []string{"optimizer=sgd", "sgd.momentum=0.5"}, want: map[string]string{"Train.Optimizer.SGD.Nesterov": "true"}},
}

// noKeys are fields that a run fills in itself.
var noKeys = map[string]string{
	"Train.Config": "the configuration's text", "Train.WorkingCopy": "a file of output_dir", "Train.SpillFile": "a file of output_dir", "Train.PeakFLOPS": "the machine's",
	"Data.Stride": "windows of an evaluation", "Data.VocabSize": "the model's", "Data.Limit": "what inspect shows",
}

// TestKeysReach: every key, alone at a value of its own, reaches the fields it is for and no other; and every field of a component has a key or is one
// that the run fills in.
func TestKeysReach(t *testing.T) {
	rows, reached := map[string]bool{}, map[string]bool{}
	for _, row := range keyRows {
		rows[row.key] = true
		t.Run(row.key+" "+row.value, func(t *testing.T) {
			if (len(row.want) == 0) == (row.elsewhere == "") {
				t.Fatal("the row must say what is received, or who reads it elsewhere")
			}
			was, is := receives(t, row.with...), receives(t, append(row.with, row.key+"="+row.value)...)
			got := map[string]string{}
			for field, v := range is {
				if v != was[field] {
					got[field] = v
				}
			}
			for field := range row.want {
				reached[field] = true
			}
			if !maps.Equal(got, row.want) {
				t.Errorf("received %v, want %v", got, row.want)
			}
		})
	}
	for _, k := range allKeys(reflect.TypeFor[config.Config](), "") {
		if !rows[k] {
			t.Errorf("%s has no row: say what receives it", k)
		}
		delete(rows, k)
	}
	if len(rows) > 0 {
		t.Errorf("no such keys: %v", rows)
	}
	for field := range receives(t) {
		if noKeys[field] == "" && !reached[field] {
			t.Errorf("no key reaches %s", field)
		}
	}
}

// allKeys are the names of all keys, hidden ones too.
func allKeys(t reflect.Type, prefix string) (out []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if name := prefix + f.Tag.Get("yaml"); f.Type.Kind() == reflect.Struct {
			out = append(out, allKeys(f.Type, name+".")...)
		} else {
			out = append(out, name)
		}
	}
	return out
}

// TestKeysTogether: with all keys set at once nothing is lost on the way either; what they do to each other is in the want of their rows.
func TestKeysTogether(t *testing.T) {
	skip := []string{"num_epochs", "warmup_steps", "eval_datasets", "device", "on_nonfinite", "export"} // exclude max_steps, warmup_ratio, val_set_size, offload to disk, clip_policy: lagged, save_final: false
	var set []string
	seen, want := map[string]bool{}, map[string]string{}
	for _, row := range keyRows {
		if slices.Contains(skip, row.key) || seen[row.key] || strings.HasPrefix(row.key, "sgd.") || strings.HasPrefix(row.key, "adamw.") || row.key == "devices" || row.key == "optimizer" {
			continue
		}
		seen[row.key] = true
		set = append(set, row.key+"="+row.value)
		maps.Copy(want, row.want)
	}
	got := receives(t, set...)
	for field, v := range want {
		if got[field] != v {
			t.Errorf("%s is %s, want %s", field, got[field], v)
		}
	}
}
