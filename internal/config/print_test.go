package config

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWriteYAML(t *testing.T) {
	in := Input{
		File: write(t, "model: m\noutput_dir: out/a/\noptimizer: adamw\nadamw: {eps: 1e-7}\ndatasets:\n- {path: 'a: #b', type: text}\nchat_template: |\n  one\n  two\nloss_spike: off\n"),
		Set:  []string{"max_steps=3", "memory_limit=4GB"},
	}
	l, err := Load(in)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := l.WriteYAML(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"model: m # run.yaml:1\n", "output_dir: out/a # run.yaml:2\n", "max_steps: 3 # --set\n", "num_epochs: 0 # max_steps is given\n", "learning_rate: 2e-05 # default for adamw\n",
		"adamw:\n  betas: [0.9, 0.999] # default\n  eps: 1e-07 # run.yaml:4\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "loss_spike") || strings.Contains(text.String(), "sgd:") {
		t.Error("options that have no effect are printed")
	}
	if err := os.WriteFile("resolved.yaml", []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	again, err := Load(Input{File: "resolved.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(l.Config, again.Config); d != "" {
		t.Errorf("a printed configuration reads differently: -printed +read\n%s", d)
	}
}

func TestDiff(t *testing.T) {
	old := Default()
	now := old
	now.MaxSteps, now.NumEpochs, now.Threads, now.SaveSteps, now.OutputDir, now.Resume, now.LoggingSteps = 9, 0, 3, 7, "x", "none", 5
	now.AdamW.Eps = 1 // not the optimizer in use
	if d := Diff(old, now); len(d) > 0 {
		t.Errorf("differences %q, want none", d)
	}
	now.LearningRate, now.AdaLomo.ClipThreshold, now.Datasets = 1, 2, []Dataset{{Path: "a", Type: "text", Weight: 1}}
	want := []string{"datasets[0]: {path: a, type: text}, was none", "learning_rate: 1, was 0.0005", "adalomo.clip_threshold: 2, was 1"}
	if d := cmp.Diff(want, Diff(old, now)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	long := strings.Repeat("a-long-folder/", 5) + "train.jsonl"
	old, now = Default(), Default()
	old.Datasets = []Dataset{{Path: "a", Type: "text", Weight: 1}, {Path: long, Type: "messages", Weight: 1}}
	now.Datasets = []Dataset{{Path: "a", Type: "text", Weight: 1}, {Path: long, Type: "messages", Split: "train", Weight: 2}}
	want = []string{"datasets[1]: {path: " + long + ", type: messages, split: train, weight: 2}, was {path: " + long + ", type: messages}"}
	if d := cmp.Diff(want, Diff(old, now)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}
