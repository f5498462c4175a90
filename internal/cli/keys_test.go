package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lomo/internal/checkpoint"
	"lomo/internal/config"
	"lomo/internal/job"
	"lomo/internal/tensor"
)

// outcome is a run as its user sees it.
type outcome struct {
	seen map[string]string // what was seen, by aspect
	size float64           // of the trained weights: the root of the sum of their squares
	talk string
}

// aspects of a run that a key may change.
var aspects = []string{"exit", "steps", "epochs", "rates", "tokens", "evals", "losses", "norms", "eval_losses", "weights", "files", "plan", "samples"}

// changed names the aspects in which two runs differ.
func (o outcome) changed(was outcome) string {
	if o.seen["exit"] != was.seen["exit"] {
		return "exit"
	}
	var out []string
	for _, a := range aspects {
		if o.seen[a] != was.seen[a] {
			out = append(out, a)
		}
	}
	return strings.Join(out, " ")
}

// filesBetween is how two runs' folders differ: -what has gone +what has come.
func filesBetween(was, is outcome) string {
	var out []string
	a, b := strings.Fields(was.seen["files"]), strings.Fields(is.seen["files"])
	for _, f := range a {
		if !slices.Contains(b, f) {
			out = append(out, "-"+f)
		}
	}
	for _, f := range b {
		if !slices.Contains(a, f) {
			out = append(out, "+"+f)
		}
	}
	return strings.Join(out, " ")
}

func smaller(was, is outcome) bool { return is.size < was.size }

func movedBytes(was, is outcome) bool {
	return !strings.Contains(was.talk, "moved during the run") && strings.Contains(is.talk, "moved during the run")
}

// says wants a text in what the run says with the key, and not without it.
func says(text string) func(was, is outcome) bool {
	return func(was, is outcome) bool {
		return !strings.Contains(was.talk, text) && strings.Contains(is.talk, text)
	}
}

var plannedPeak = regexp.MustCompile(`planned peak memory: [^,]*`)

// trained runs `lomo train` with these settings into a new folder.
func trained(t *testing.T, set ...string) outcome {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	args := []string{"train", "--output-dir", dir}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	talk := &bytes.Buffer{}
	code := Run(context.Background(), &Streams{Out: &bytes.Buffer{}, Err: talk}, args)
	return look(t, dir, code, talk.String())
}

// look gathers what a run has left in its folder and said.
func look(t *testing.T, dir string, code int, talk string) outcome {
	t.Helper()
	o := outcome{seen: map[string]string{"exit": fmt.Sprint(code), "plan": plannedPeak.FindString(talk)}, talk: talk}
	if code != 0 {
		return o
	}
	raw, err := os.ReadFile(filepath.Join(dir, "metrics.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	add := func(aspect string, v any) {
		if v != nil {
			o.seen[aspect] = strings.TrimSpace(fmt.Sprint(o.seen[aspect], " ", v))
		}
	}
	for line := range strings.Lines(string(raw)) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		if m["eval_loss"] != nil {
			add("evals", fmt.Sprintf("%v:%v", m["step"], m["eval_tokens"]))
			add("eval_losses", m["eval_loss"])
			continue
		}
		for aspect, key := range map[string]string{"steps": "step", "epochs": "epoch", "tokens": "tokens", "losses": "loss", "norms": "grad_norm"} {
			add(aspect, m[key])
		}
		add("rates", fmt.Sprintf("%.3g", m["lr"]))
	}
	o.weigh(t, dir)
	if raw, err := os.ReadFile(filepath.Join(dir, "samples.jsonl")); err == nil {
		o.seen["samples"] = fmt.Sprint(bytes.Count(raw, []byte("\n")))
	}
	var names []string
	events := regexp.MustCompile(`tfevents.*`)
	err = fs.WalkDir(os.DirFS(dir), ".", func(path string, e fs.DirEntry, err error) error {
		if err == nil && (!strings.Contains(path, "/") || strings.HasPrefix(path, "runs/")) && path != "." && path != "runs" {
			names = append(names, events.ReplaceAllString(path, "tfevents"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	o.seen["files"] = strings.Join(names, " ")
	return o
}

// weigh reads the trained model, or else the newest checkpoint.
func (o *outcome) weigh(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err != nil {
		if dir, _, err = checkpoint.Latest(dir); err != nil {
			return
		}
	}
	src, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	h, sum := crc32.NewIEEE(), 0.0
	all := src.Tensors()
	slices.SortFunc(all, func(a, b checkpoint.Info) int { return strings.Compare(a.Name, b.Name) })
	for _, info := range all {
		n := 1
		for _, s := range info.Shape {
			n *= s
		}
		raw, vals := make([]byte, 4*n), make([]float32, n)
		if err := src.ReadRows(info.Name, 0, info.Shape[0], raw, tensor.F32); err != nil {
			t.Fatal(err)
		}
		if err := tensor.Float32s(vals, raw, tensor.F32); err != nil {
			t.Fatal(err)
		}
		h.Write(raw)
		for _, v := range vals {
			sum += float64(v) * float64(v)
		}
	}
	o.size, o.seen["weights"] = math.Sqrt(sum), fmt.Sprintf("%08x", h.Sum32())
}

// keyEffects says for every key what another value of it changes in a run: these aspects, and no other.
var keyEffects = []struct {
	set     string            // key=value
	with    []string          // settings of both runs
	changes string            // aspects, in the order of aspects
	little  string            // an aspect that changes by less than it is always told to
	is      map[string]string // what an aspect then is; of files what has gone and come
	check   func(was, is outcome) bool
}{
	{set: "model=m2", changes: "losses eval_losses weights"},
	{set: "devices=2", with: []string{"sharding=zero3"}, changes: "epochs tokens losses eval_losses weights files plan", is: map[string]string{"epochs": "0.5 1 1.5 2", "tokens": "54 39 37 56", "files": "+logs"}},
	{set: "offload=disk", check: movedBytes}, // where weights wait changes nothing of them
	{set: "activation_offload=disk", check: movedBytes},
	{set: "reduce_dtype=f32", with: []string{"devices=2", "sharding=zero3"}, changes: "losses eval_losses weights"},
	{set: "gather=matrix", with: []string{"devices=2", "sharding=zero3"}, changes: "plan"},
	{set: "threads=1", changes: "plan"}, // of which the results do not depend
	{set: "memory_limit=1MiB", changes: "exit", is: map[string]string{"exit": "2"}, check: says("memory_limit is 1.00 MiB")},
	{set: "dtype=f32", changes: "losses eval_losses weights plan"},
	{set: "rounding=nearest", changes: "losses eval_losses weights"},
	{set: "datasets=[{path: set, type: messages, split: test}]", changes: "epochs tokens evals losses eval_losses weights plan", is: map[string]string{"epochs": "1 2 3 4", "tokens": "17 17 17 17"}},
	{set: "datasets=[{path: set, type: messages, split: train, weight: 2}]", changes: "epochs tokens losses eval_losses weights", is: map[string]string{"epochs": "0.125 0.25 0.375 0.5"}},
	{set: "datasets=[{path: set, type: messages, split: train, weight: 0.5}]", changes: "epochs tokens evals losses eval_losses weights plan", is: map[string]string{"epochs": "0.5 1 1.5 2"}},
	{set: "datasets=[{path: set, type: messages, split: train}, {path: set, type: messages, split: test}]", changes: "epochs tokens evals losses eval_losses weights"},
	{set: "datasets=[{path: set, type: messages, split: tset}]", changes: "exit", is: map[string]string{"exit": "1"}, check: says("tset")},
	{set: "datasets=[{path: set, type: text, split: train}]", changes: "exit", is: map[string]string{"exit": "1"}, check: says("text")},
	{set: "eval_datasets=[{path: set, type: messages, split: test}]", with: []string{"val_set_size=0"}, changes: "evals eval_losses", is: map[string]string{"evals": "0:30 4:30"}},
	{set: "val_set_size=3", changes: "tokens evals losses eval_losses weights", is: map[string]string{"evals": "0:26 4:26"}},
	{set: "sequence_len=64", changes: "tokens evals losses eval_losses weights plan", is: map[string]string{"tokens": "21 21 18 16"}},
	{set: "packing=true", changes: "epochs tokens losses eval_losses weights plan"},
	{set: "shuffle=false", changes: "tokens losses eval_losses weights", is: map[string]string{"tokens": "14 21 27 31"}},
	{set: "chat_template=zephyr", changes: "losses eval_losses weights files", little: "plan", is: map[string]string{"files": "+chat_template.jinja"}}, // other tokens take other memory
	{set: "train_on_inputs=true", changes: "tokens evals losses eval_losses weights", is: map[string]string{"tokens": "137 133 128 127"}},
	{set: "roles_to_train=[assistant, user]", changes: "tokens evals losses eval_losses weights", is: map[string]string{"tokens": "41 37 32 31"}},
	{set: "train_on_eos=none", changes: "tokens evals losses eval_losses weights", is: map[string]string{"tokens": "25 21 16 15"}},
	{set: "train_on_eos=last", changes: "tokens evals losses eval_losses weights", is: map[string]string{"tokens": "27 23 18 17"}},
	{set: "micro_batch_size=1", changes: "epochs tokens losses eval_losses weights plan", is: map[string]string{"epochs": "0.125 0.25 0.375 0.5", "tokens": "14 15 16 9"}},
	{set: "gradient_accumulation_steps=2", changes: "epochs tokens losses eval_losses weights plan", is: map[string]string{"epochs": "0.5 1 1.5 2", "tokens": "54 39 37 56"}},
	{set: "gradient_accumulation_steps=3", changes: "epochs tokens losses eval_losses weights plan", is: map[string]string{"epochs": "0.75 1 1.75 2", "tokens": "74 19 65 28"}}, // the second step ends with the epoch
	{set: "num_epochs=2.5", with: []string{"max_steps=0"}, changes: "steps epochs rates tokens evals losses eval_losses weights", is: map[string]string{"steps": "1 2 3 4 5 6 7 8 9 10"}},
	{set: "max_steps=3", changes: "steps epochs rates tokens evals losses eval_losses weights", is: map[string]string{"steps": "1 2 3", "evals": "0:18 3:18"}},
	{set: "gradient_checkpointing=false", changes: "plan"},
	{set: "seed=7", changes: "tokens evals losses eval_losses weights"},
	{set: "optimizer=lomo", changes: "losses eval_losses weights plan"},
	{set: "learning_rate=0.003", changes: "rates losses eval_losses weights", is: map[string]string{"rates": "0.003 0.003 0.003 0.003"}},
	{set: "lr_scheduler=cosine", changes: "rates losses eval_losses weights", is: map[string]string{"rates": "0.002 0.00171 0.001 0.000293"}},
	{set: "warmup_ratio=0.5", changes: "rates losses eval_losses weights", is: map[string]string{"rates": "0 0.001 0.002 0.002"}},
	{set: "warmup_steps=3", changes: "rates losses eval_losses weights", is: map[string]string{"rates": "0 0.000667 0.00133 0.002"}},
	{set: "weight_decay=0.1", changes: "losses eval_losses weights", check: smaller},
	{set: "max_grad_norm=0.5", changes: "losses norms eval_losses weights"},
	{set: "clip_policy=lagged", with: []string{"max_grad_norm=0.5"}, changes: "losses norms eval_losses weights"},
	{set: "clip_value=0.001", with: []string{"optimizer=lomo"}, changes: "losses eval_losses weights"},
	{set: "on_nonfinite=skip", with: []string{"max_grad_norm=0.5"}}, // nothing here is not finite; train.TestSkip has what is
	{set: "eval_steps=2", changes: "evals eval_losses", is: map[string]string{"evals": "0:18 2:18 4:18"}},
	{set: "eval_on_start=false", changes: "evals eval_losses", is: map[string]string{"evals": "4:18"}},
	{set: "sample_prompts=2", changes: "files samples", is: map[string]string{"files": "+samples.jsonl", "samples": "4"}},
	{set: "save_steps=2", changes: "files", is: map[string]string{"files": "+checkpoint-2 +checkpoint-4"}},
	{set: "save_total_limit=1", with: []string{"save_steps=1"}, changes: "files", is: map[string]string{"files": "-checkpoint-3"}},
	{set: "save_final=false", with: []string{"save_steps=4"}, changes: "files", is: map[string]string{"files": "-config.json -generation_config.json -model.safetensors -special_tokens_map.json -tokenizer.json -tokenizer_config.json"}},
	{set: "export=gguf", changes: "files", is: map[string]string{"files": "+Modelfile +model.gguf"}},
	{set: "export_dtype=q8_0", with: []string{"export=gguf"}, check: says("in q8_0")},
	{set: "max_shard_size=100KB", changes: "files", is: map[string]string{"files": "-model.safetensors +model-00001-of-00003.safetensors +model-00002-of-00003.safetensors +model-00003-of-00003.safetensors +model.safetensors.index.json"}},
	{set: "logging_steps=3", changes: "steps epochs rates tokens losses", is: map[string]string{"steps": "1 3 4"}},
	{set: "report_to=[json, tensorboard]", changes: "files", is: map[string]string{"files": "+runs/events.out.tfevents"}},
	{set: "adalomo.clip_threshold=0.2", changes: "losses eval_losses weights"},
	{set: "adalomo.decay_rate=-0.3", changes: "losses eval_losses weights"},
	{set: "adalomo.eps=[1e-30, 0.1]", changes: "losses eval_losses weights"},
	{set: "adalomo.eps=[1e-3, 1e-3]", changes: "losses eval_losses weights"},
	{set: "adamw.betas=[0.5, 0.999]", with: []string{"optimizer=adamw"}, changes: "losses eval_losses weights"},
	{set: "adamw.betas=[0.9, 0.5]", with: []string{"optimizer=adamw"}, changes: "losses eval_losses weights"},
	{set: "adamw.eps=1e-3", with: []string{"optimizer=adamw"}, changes: "losses eval_losses weights"},
	{set: "adamw.master=none", with: []string{"optimizer=adamw"}, changes: "losses eval_losses weights plan"},
	{set: "adamw.decay_vectors=true", with: []string{"optimizer=adamw", "weight_decay=0.1"}, changes: "losses eval_losses weights", check: smaller},
	{set: "sgd.momentum=0.9", with: []string{"optimizer=sgd", "sgd.momentum=0.5"}, changes: "losses eval_losses weights"},
	{set: "sgd.dampening=0.5", with: []string{"optimizer=sgd", "sgd.momentum=0.5"}, changes: "losses eval_losses weights"},
	{set: "sgd.nesterov=true", with: []string{"optimizer=sgd", "sgd.momentum=0.5"}, changes: "losses eval_losses weights"},
}

// untold are keys that this test cannot show, and why.
var untold = map[string]string{
	"output_dir":         "every run of this test has its own",
	"device":             "the other value needs a card: job.TestTrainOnCard",
	"sharding":           "what devices above 1 need: one run of two ranks stands here",
	"method":             "full is its only value",
	"loss_spike":         "off is its only value",
	"neftune_alpha":      "0 is its only value",
	"adalomo.importance": "none is its only value",
}

// TestKeysChangeARun: each key changes a run in what its help says and in nothing else; a speed or a place changes no weight.
func TestKeysChangeARun(t *testing.T) {
	t.Chdir(t.TempDir())
	for i, dir := range []string{"m", "m2"} {
		if _, err := job.New(job.NewOptions{Preset: "tiny", Dir: dir, DType: "bf16", Seed: uint64(i), MaxShardSize: "1GB"}); err != nil {
			t.Fatal(err)
		}
	}
	write := func(path, from string, n int) {
		var text strings.Builder
		for i := range n {
			fmt.Fprintf(&text, `{"messages":[{"role":"system","content":"%s"},{"role":"user","content":"%d?"},{"role":"assistant","content":"%d%s"},{"role":"user","content":"so"},{"role":"assistant","content":"yes"}]}`+"\n",
				from, i, i*i, strings.Repeat("!", i))
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("set/train.jsonl", "a", 10)
	write("set/test.jsonl", "b", 4)
	base := []string{"model=m", "datasets=[{path: set, type: messages, split: train}]", "chat_template=chatml", "device=cpu", "threads=2", "sequence_len=128", "packing=false",
		"micro_batch_size=2", "max_steps=4", "save_steps=0", "val_set_size=2", "sample_prompts=0", "lr_scheduler=constant", "learning_rate=0.002"}
	before := map[string]outcome{}
	shown := map[string]bool{}
	for _, row := range keyEffects {
		key, _, _ := strings.Cut(row.set, "=")
		shown[key] = true
		t.Run(strings.Join(append(row.with, row.set), " "), func(t *testing.T) {
			with := strings.Join(row.with, " ")
			if _, ok := before[with]; !ok {
				before[with] = trained(t, append(slices.Clone(base), row.with...)...)
			}
			was, is := before[with], trained(t, append(append(slices.Clone(base), row.with...), row.set)...)
			if was.seen["exit"] != "0" {
				t.Fatalf("the run without it ends with %s\n%s", was.seen["exit"], was.talk)
			}
			got := is.changed(was)
			if !strings.Contains(row.changes, row.little) {
				got = strings.TrimSuffix(got, " "+row.little)
			}
			if got != row.changes {
				t.Errorf("changes %q, want %q", got, row.changes)
				for _, a := range strings.Fields(got) {
					t.Logf("%s: %s -> %s", a, was.seen[a], is.seen[a])
				}
			}
			for aspect, want := range row.is {
				got := is.seen[aspect]
				if aspect == "files" {
					got = filesBetween(was, is)
				}
				if got != want {
					t.Errorf("%s: %s, want %s", aspect, got, want)
				}
			}
			if row.check != nil && !row.check(was, is) {
				t.Errorf("not the change it should be:\n%v\n%v\n%s", was.seen, is.seen, is.talk)
			}
		})
	}
	shown["resume"] = t.Run("resume", func(t *testing.T) { resumes(t, base) })
	for _, key := range keysOf(reflect.TypeFor[config.Config](), "") {
		if shown[key] == (untold[key] != "") {
			t.Errorf("%s: say what it changes, or why that cannot be shown", key)
		}
	}
}

// resumes shows the three kinds of values of resume: auto goes on with what the folder holds, none refuses such a folder, and a checkpoint's folder
// is gone on from elsewhere.
func resumes(t *testing.T, base []string) {
	run := func(dir, resume string) outcome {
		args := []string{"train", "--output-dir", dir, "--resume", resume}
		for _, s := range append(slices.Clone(base), "save_steps=2") {
			args = append(args, "--set", s)
		}
		talk := &bytes.Buffer{}
		code := Run(context.Background(), &Streams{Out: &bytes.Buffer{}, Err: talk}, args)
		return look(t, dir, code, talk.String())
	}
	first := run("resumed", "auto")
	if o := run("resumed", "none"); o.seen["exit"] != "1" || !strings.Contains(o.talk, "resume is none") {
		t.Errorf("none: exit code %s\n%s", o.seen["exit"], o.talk)
	}
	if o := run("resumed", "auto"); o.seen["exit"] != "0" || !strings.Contains(o.talk, "nothing to do") {
		t.Errorf("auto: exit code %s\n%s", o.seen["exit"], o.talk)
	}
	o := run("elsewhere", "resumed/checkpoint-2")
	if o.seen["exit"] != "0" || o.seen["steps"] != "3 4" || o.seen["weights"] != first.seen["weights"] || !strings.Contains(o.talk, "continuing from resumed/checkpoint-2") {
		t.Errorf("a folder: exit code %s, steps %s, weights %s, want those of %s\n%s", o.seen["exit"], o.seen["steps"], o.seen["weights"], first.seen["weights"], o.talk)
	}
}

// keysOf are the names of all keys, hidden ones too.
func keysOf(t reflect.Type, prefix string) (out []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if name := prefix + f.Tag.Get("yaml"); f.Type.Kind() == reflect.Struct {
			out = append(out, keysOf(f.Type, name+".")...)
		} else {
			out = append(out, name)
		}
	}
	return out
}
