package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// write puts text into run.yaml of a new folder and makes that the current one, so that errors name "run.yaml".
func write(t *testing.T, text string) string {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("run.yaml", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return "run.yaml"
}

func TestPrecedence(t *testing.T) {
	in := Input{
		File:  write(t, "learning_rate: 0.01\nseed: 1\nthreads: 1\ndevice: cpu\nadamw:\n  eps: 1e-6\n  betas: [0.8, 0.9]\n"),
		Env:   []string{"LOMO_SEED=2", "LOMO_THREADS=2", "LOMO_DEVICE=auto", "LOMO_ADAMW_EPS=1e-7", "LOMO_CPU=avx2", "LOMO_CUDA_DRIVER=x", "HOME=/", "LOMO_PACKING="},
		Flags: []Flag{{"threads", "threads", "3"}, {"device", "device", "cpu"}},
		Set:   []string{"threads=4", "adamw.betas=[0.7, 0.99]", "optimizer=adamw", "warmup_steps=1", "warmup_steps=5"},
	}
	l, err := Load(in)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.LearningRate, want.Seed, want.Threads, want.Device, want.Optimizer, want.WarmupSteps = 0.01, 2, 4, "cpu", "adamw", 5
	want.AdamW.Eps, want.AdamW.Betas = 1e-7, []float64{0.7, 0.99}
	if d := cmp.Diff(want, l.Config); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	for key, where := range map[string]string{
		"learning_rate": "run.yaml:1", "seed": "LOMO_SEED", "device": "--device", "threads": "--set", "dtype": "default",
		"adamw.eps": "LOMO_ADAMW_EPS", "adamw.betas": "--set", "adamw.master": "default",
	} {
		if got := l.Origin(key); got != where {
			t.Errorf("%s comes from %q, want %q", key, got, where)
		}
	}
}

// TestStrongerWarmup: of two keys that exclude each other the one from the stronger source counts, and the other is said to be overruled.
func TestStrongerWarmup(t *testing.T) {
	for _, c := range []struct{ file, set, counts, other string }{
		{"warmup_steps: 5", "warmup_ratio=0.1", "warmup_ratio", "warmup_steps"},
		{"warmup_ratio: 0.1", "warmup_steps=5", "warmup_steps", "warmup_ratio"},
		{"max_steps: 7", "num_epochs=3", "num_epochs", "max_steps"},
		{"num_epochs: 3", "max_steps=7", "max_steps", "num_epochs"},
	} {
		l, err := Load(Input{File: write(t, c.file+"\n"), Set: []string{c.set}})
		if err != nil {
			t.Errorf("%s, --set %s: %v", c.file, c.set, err)
			continue
		}
		counts, _ := l.Get(c.counts)
		other, _ := l.Get(c.other)
		if fmt.Sprint(counts) != strings.Split(c.set, "=")[1] || fmt.Sprint(other) != "0" || l.Origin(c.other) != c.counts+" is given" {
			t.Errorf("%s, --set %s: %s %v, %s %v from %q", c.file, c.set, c.counts, counts, c.other, other, l.Origin(c.other))
		}
	}
}

// TestReduceDType: gradients travel in the run's own precision unless somebody says otherwise.
func TestReduceDType(t *testing.T) {
	for set, want := range map[string]string{"dtype=bf16": "bf16", "dtype=f32": "f32", "dtype=f32 reduce_dtype=bf16": "bf16", "dtype=bf16 reduce_dtype=f32": "f32", "seed=1": "bf16"} {
		if l, err := Load(Input{Set: strings.Fields(set)}); err != nil || l.ReduceDType != want {
			t.Errorf("%s: reduce_dtype %v, %v, want %s", set, l, err, want)
		}
	}
}

func TestAliases(t *testing.T) {
	l, err := Load(Input{File: write(t, "base_model: m\nclip_grad_norm: 0.5\n")})
	if err != nil || l.Model != "m" || l.MaxGradNorm != 0.5 {
		t.Errorf("model %q, max_grad_norm %v, %v", l.Model, l.MaxGradNorm, err)
	}
}

func TestUsualRate(t *testing.T) {
	for optimizer, want := range map[string]float64{"adalomo": 5e-4, "lomo": 1e-2, "adamw": 2e-5} {
		l, err := Load(Input{Set: []string{"optimizer=" + optimizer}})
		if err != nil || l.LearningRate != want || l.Origin("learning_rate") != "default for "+optimizer {
			t.Errorf("%s: learning_rate %v from %q, %v; want %v", optimizer, l.LearningRate, l.Origin("learning_rate"), err, want)
		}
	}
}

func TestDatasets(t *testing.T) {
	l, err := Load(Input{File: write(t, "datasets:\n  - {path: a.jsonl, type: messages}\n  - path: 7\n    type: text\n    weight: 2\n")})
	if err != nil {
		t.Fatal(err)
	}
	want := []Dataset{{Path: "a.jsonl", Type: "messages", Weight: 1}, {Path: "7", Type: "text", Weight: 2}}
	if d := cmp.Diff(want, l.Datasets); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestStrongerOfTwo(t *testing.T) {
	for _, c := range []struct {
		file, set string
		steps     int
		epochs    float64
	}{
		{"num_epochs: 3\n", "max_steps=5", 5, 0},
		{"max_steps: 5\n", "num_epochs=3", 0, 3},
		{"max_steps: 5\n", "seed=1", 5, 0}, // stronger than the default num_epochs
	} {
		l, err := Load(Input{File: write(t, c.file), Set: []string{c.set}})
		if err != nil || l.MaxSteps != c.steps || l.NumEpochs != c.epochs {
			t.Errorf("%q --set %s: max_steps %d num_epochs %v, %v", c.file, c.set, l.MaxSteps, l.NumEpochs, err)
		}
	}
}

// TestErrors checks what a user reads: the place, the key, the value, what is wanted and the way out.
func TestErrors(t *testing.T) {
	for _, c := range []struct{ name, yaml, want, hint string }{
		{"unknown", "\nlearning_rat: 1\n", `run.yaml:2: unknown key "learning_rat"`, `did you mean "learning_rate"?`},
		{"swapped letters", "sede: 1\n", `run.yaml:1: unknown key "sede"`, `did you mean "seed"?`},
		{"foreign", "lr: 1\n", `run.yaml:1: unknown key "lr"`, `did you mean "learning_rate"?`},
		{"far", "xyzzy: 1\n", `run.yaml:1: unknown key "xyzzy"`, "`lomo help config` lists all keys"},
		{"in a block", "adamw:\n  beta: [0, 1]\n", `run.yaml:2: unknown key "adamw.beta"`, `did you mean "adamw.betas"?`},
		{"outside its block", "clip_threshold: 1\n", `run.yaml:1: unknown key "clip_threshold"`, `did you mean "adalomo.clip_threshold"?`},
		{"text for number", "learning_rate: fast\n", `run.yaml:1: learning_rate: want a number, have the text "fast"`, ""},
		{"fraction for whole", "micro_batch_size: 1.5\n", `micro_batch_size: want a whole number, have 1.5`, ""},
		{"number for bool", "packing: 1\n", `packing: want true or false, have 1`, ""},
		{"bool for text", "model: true\n", `model: want text, have true`, ""},
		{"list for text", "model: [a]\n", `model: want text, have a list`, ""},
		{"text for list", "datasets: a.jsonl\n", `datasets: want a list of {path, type, split, weight}, have the text "a.jsonl"`, ""},
		{"nan", "learning_rate: .nan\n", `learning_rate: want a number, have .nan`, ""},
		{"negative seed", "seed: -1\n", `seed: want a whole number from 0, have -1`, ""},
		{"huge", "max_steps: 99999999999999999999\n", `max_steps: want a whole number`, ""},
		{"scalar block", "adamw: 3\n", `run.yaml:1: adamw: want a mapping of keys, have 3`, ""},
		{"list length", "adamw: {betas: [0.9]}\n", `adamw.betas: want 2 numbers, have 1`, ""},
		{"choice", "dtype: bf61\n", `dtype: "bf61" is not one of bf16, f32`, `did you mean "bf16"?`},
		{"twice", "seed: 1\nseed: 2\n", `run.yaml:2: seed is given twice, first in line 1`, ""},
		{"twice by alias", "model: a\nbase_model: b\n", `run.yaml:2: base_model is given twice, first in line 1`, ""},
		{"dataset key", "datasets: [{path: a, type: text, wieght: 2}]\n", `datasets[0]: unknown key "wieght"`, `did you mean "weight"?`},
		{"dataset key's line", "datasets:\n  - path: a\n    type: text\n    wieght: 2\n", `run.yaml:4: datasets[0]: unknown key "wieght"`, `did you mean "weight"?`},
		{"dataset value's line", "datasets:\n  - path: a\n    type: text\n  - path: b\n    type: txt\n", `run.yaml:5: datasets[1].type: "txt" is not one of`, `did you mean "text"?`},
		{"dataset weight", "datasets: [{path: a, type: text, weight: 0}]\n", `datasets[0].weight: 0 is not above 0`, "0.5 takes half"},
		{"octal number", "max_steps: 010\n", `max_steps: 010 would mean a number of base 8`, "write it without the zero"},
		{"octal seed", "seed: 0042\n", `seed: 0042 would mean a number of base 8`, "write it without the zero"},
		{"endless", "num_epochs: 1e9\n", `num_epochs: 1e+09 is above 10000`, "give max_steps instead"},
		{"large number", "max_steps: 99999999999\n", `max_steps: 99999999999 is above 2147483647`, ""},
		{"dataset without type", "datasets: [{path: a}]\n", `datasets[0]: type is missing`, ""},
		{"dataset type", "datasets: [{path: a, type: mesages}]\n", `datasets[0].type: "mesages" is not one of`, `did you mean "messages"?`},
		{"not yaml", "a: [1\n", `run.yaml:1: the file is not YAML: `, "a bracket or quote is open"},
		{"not a mapping", "- a\n", `run.yaml:1: want a mapping of keys, have a list`, ""},
		{"two documents", "seed: 1\n---\nseed: 2\n", `run.yaml:2: a second document`, ""},
		{"below", "micro_batch_size: 0\n", `run.yaml:1: micro_batch_size: 0 is below 1`, ""},
		{"above", "warmup_ratio: 3\n", `warmup_ratio: 3 is above 1`, ""},
		{"beta above", "adamw: {betas: [0.9, 1.1]}\n", `adamw.betas: 1.1 is above 1`, ""},
		{"size", "memory_limit: 4 gigs\n", `run.yaml:1: memory_limit: "4 gigs" is not a size`, "write a number"},
		{"no bytes", "max_shard_size: 0\n", `run.yaml:1: max_shard_size: "0" is not a size`, ""},
		{"both lengths", "max_steps: 5\nnum_epochs: 2\n", `max_steps: 5 and num_epochs: 2 both set the length of the run`, "keep one of them"},
		{"no length", "max_steps: 0\nnum_epochs: 0\n", `num_epochs and max_steps are both 0`, ""},
		{"both warm-ups", "warmup_ratio: 0.1\nwarmup_steps: 2\n", `warmup_steps: 2 and warmup_ratio: 0.1 both`, ""},
		{"skip without norm", "on_nonfinite: skip\n", `on_nonfinite: skip with max_grad_norm: 0`, "set max_grad_norm"},
		{"nesterov", "sgd: {nesterov: true}\n", `sgd.nesterov with momentum 0`, ""},
		{"zeroth order", "method: mezo\noptimizer: sgd\n", `run.yaml:1: method: mezo is not in this version`, "it has full"},
		{"eval without data", "eval_steps: 5\n", `eval_steps: 5 without held-out data`, ""},
		{"two held-out", "val_set_size: 5\neval_datasets: [{path: a, type: text}]\n", `val_set_size: 5 and eval_datasets`, ""},
		{"later value", "dtype: fp16\n", `run.yaml:1: dtype: fp16 is not in this version`, "it has bf16, f32"},
		{"cards and disk", "device: cuda\nactivation_offload: disk\n", `run.yaml:2: activation_offload: disk with device: cuda`, "set activation_offload: host"},
		{"later number", "neftune_alpha: 5\n", `neftune_alpha: 5: noise on embeddings is not in this version`, "remove the line"},
		{"devices apart", "devices: 8\n", `run.yaml:1: devices: 8 with sharding: none`, "set sharding: zero3, or devices: 1"},
		{"devices and disk", "devices: 2\nsharding: zero3\noffload: disk\n", `run.yaml:3: offload: disk with devices: 2 is not in this version`, "set offload: host or none, or devices: 1"},
		{"task", "datasets: [{path: a, type: superglue:rta}]\n", `datasets[0].type: "superglue:rta" is not one of`, `did you mean "superglue:rte"?`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(Input{File: write(t, c.yaml)})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			if !strings.Contains(hints(err), c.hint) {
				t.Errorf("hint %q, want %q", hints(err), c.hint)
			}
		})
	}
}

func hints(err error) string {
	var one *Error
	if errors.As(err, &one) {
		return one.Hint()
	}
	var many Errors
	errors.As(err, &many)
	var all []string
	for _, e := range many {
		all = append(all, e.Hint())
	}
	return strings.Join(all, "\n")
}

func TestErrorsOfOtherSources(t *testing.T) {
	for _, c := range []struct {
		in   Input
		want string
	}{
		{Input{Set: []string{"learning_rate"}}, `--set: "learning_rate" is not key=value`},
		{Input{Set: []string{"learning_rate=fast"}}, `--set: learning_rate: want a number`},
		{Input{Set: []string{"sed=1"}}, `--set: unknown key "sed"`},
		{Input{Set: []string{"roles_to_train=[a"}}, `--set: roles_to_train: "[a" is not YAML`},
		{Input{Set: []string{"adamw={bets: 1}"}}, `--set: unknown key "adamw.bets"`},
		{Input{Env: []string{"LOMO_LERNING_RATE=1"}}, `LOMO_LERNING_RATE: unknown key "lerning_rate"`},
		{Input{Env: []string{"LOMO_SEED=x"}}, `LOMO_SEED: seed: want a whole number from 0, have the text "x"`},
		{Input{Flags: []Flag{{"batch-size", "micro_batch_size", "0"}}}, `--batch-size: micro_batch_size: 0 is below 1`},
		{Input{Need: []string{"model", "datasets"}}, "model is missing\ndatasets is missing"},
		{Input{File: filepath.Join(t.TempDir(), "no.yaml")}, `no such file`},
		{Input{File: t.TempDir()}, `a folder, not a file`},
	} {
		if _, err := Load(c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.in, err, c.want)
		}
	}
}

// TestAllErrorsAtOnce: a user sees every mistake of every source in one go.
func TestAllErrorsAtOnce(t *testing.T) {
	_, err := Load(Input{File: write(t, "sed: 1\ndtype: f31\n"), Set: []string{"packing=7"}})
	for _, want := range []string{`"sed"`, `"f31"`, "packing"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
}

func TestTemplateOnCommandLine(t *testing.T) {
	const template = "{{ bos_token }}{% for m in messages %}x{% endfor %}"
	l, err := Load(Input{Set: []string{"chat_template=" + template, "model=a: b"}})
	if err != nil || l.ChatTemplate != template || l.Model != "a: b" {
		t.Errorf("chat_template %q, model %q, %v", l.ChatTemplate, l.Model, err)
	}
}

func TestWarnings(t *testing.T) {
	for _, c := range []struct {
		set  []string
		want string // "" for none
	}{
		{[]string{"optimizer=lomo", "learning_rate=0.5"}, "learning_rate 0.5 is unusual for lomo"},
		{[]string{"learning_rate=1e-6"}, "learning_rate 1e-06 is unusual for adalomo"},
		{[]string{"learning_rate=5e-4"}, ""},
		{[]string{"learning_rate=0"}, ""}, // somebody means it
		{[]string{"clip_policy=lagged"}, "clip_policy: lagged has no effect, because max_grad_norm is 0"},
	} {
		l, err := Load(Input{Set: c.set})
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(l.Warnings, "\n")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%v: warnings %q, want %q", c.set, got, c.want)
		}
	}
}
