package config

import (
	"errors"
	"strings"
	"testing"
)

// TestMeant: a value of the wrong kind ends with how the one is written that was probably meant.
func TestMeant(t *testing.T) {
	for _, c := range []struct{ yaml, want, hint string }{
		{"optimizer: adamw_torch\n", `optimizer: "adamw_torch" is not one of adalomo, lomo, adamw, sgd`, `did you mean "adamw"?`},
		{"optimizer: AdamW\n", `"AdamW" is not one of`, `did you mean "adamw"?`},
		{"optimizer: paged_adamw_8bit\n", `"paged_adamw_8bit" is not`, "optimizer: adamw is nearest: with float32 moments"},
		{"optimizer: adafactor\n", "optimizer: adafactor is not in this version", "it has adalomo, lomo, adamw, sgd; nearest is adalomo: adalomo factors"},
		{"optimizer: muon\n", "optimizer: muon is not in this version", "nearest is adamw: Muon's rates are higher than its"},
		{"optimizer: \"\"\n", `optimizer: "" is not one of`, "it takes adalomo"},
		{"method: lora\n", "method: lora is not in this version", "it has full: all weights are trained"},
		{"method: sft\n", `"sft" is not one of full`, `did you mean "full"?`},
		{"hift: {group_size: 2}\n", "hift is not in this version", "method has full"},
		{"hift:\n  group_size: 2\n", "hift is not in this version", "method has full"},
		{"dtype: bfloat16\n", `"bfloat16" is not one of bf16, f32`, `did you mean "bf16"?`},
		{"dtype: torch.float32\n", `is not one of`, `did you mean "f32"?`},
		{"dtype: 16\n", `is not one of`, `did you mean "bf16"?`},
		{"dtype: int8\n", `is not one of`, "bf16 is nearest: training needs all bits"},
		{"dtype: true\n", `want text, have true`, "such as dtype: bf16"},
		{"lr_scheduler: cosine_with_restarts\n", "is not one of", "cosine is nearest: once"},
		{"lr_scheduler: Cosine\n", "is not one of", `did you mean "cosine"?`},
		{"device: gpu\n", "is not one of auto, cpu, cuda", `did you mean "cuda"?`},
		{"sharding: fsdp\n", "is not one of", `did you mean "zero3"?`},
		{"activation_offload: cpu\n", "is not one of", "host is nearest: the memory of the machine"},
		{"report_to: [wandb]\n", `report_to[0]: "wandb" is not one of`, "wandb sync"},
		{"report_to: wandb\n", "want a list of words", "such as report_to: [tensorboard]; wandb sync"},
		{"report_to: none\n", "want a list of words", "such as report_to: [json]; it is always written"},
		{"report_to: tensorboard\n", "want a list of words", "such as report_to: [tensorboard]"},
		{"packing: yes\n", `want true or false, have the text "yes"`, "did you mean true?"},
		{"packing: off\n", `want true or false`, "did you mean false?"},
		{"shuffle: 0\n", `want true or false, have 0`, "did you mean false?"},
		{"packing: \"true\"\n", `want true or false`, "did you mean true?"},
		{"packing: maybe\n", `want true or false`, "such as packing: false"},
		{"learning_rate: \"2e-5\"\n", `want a number, have the text "2e-5"`, "write it without quotes: 2e-5"},
		{"learning_rate: 1e-3f\n", `want a number`, "did you mean 0.001?"},
		{"learning_rate: 1e-5,\n", `want a number`, "did you mean 1e-5?"},
		{"learning_rate: 0,001\n", `want a number`, "did you mean 0.001?"},
		{"learning_rate: 2e -5\n", `want a number`, "did you mean 2e-5?"},
		{"learning_rate: 1/1000\n", `want a number`, "did you mean 0.001?"},
		{"learning_rate: auto\n", `want a number`, "leave the line out for the default, 0.0005"},
		{"learning_rate: [1e-4, 1e-5]\n", `want a number, have a list`, "a run has one; start a run for each"},
		{"learning_rate: [1e-4]\n", `want a number, have a list`, "did you mean 1e-4?"},
		{"learning_rate: 2024-01-01\n", `want a number, have 2024-01-01`, "such as learning_rate: 2e-5"},
		{"learning_rate: .inf\n", `want a number, have .inf`, "such as learning_rate: 2e-5"},
		{"learning_rate:\n", "learning_rate has no value", "give one, or leave the key out for its default, 0.0005"},
		{"learning_rate: null\n", "learning_rate has no value", "default, 0.0005"},
		{"memory_limit: ~\n", "memory_limit has no value", `default, ""`},
		{"val_set_size: 5%\n", `want a number`, "did you mean 0.05?"},
		{"warmup_ratio: 3 %\n", `want a number`, "did you mean 0.03?"},
		{"max_steps: 1,000\n", `want a whole number`, "did you mean 1000?"},
		{"max_steps: 1e3\n", `want a whole number, have 1e3`, "did you mean 1000?"},
		{"max_steps: 100.0\n", `want a whole number`, "did you mean 100?"},
		{"sequence_len: 2k\n", `want a whole number`, "did you mean 2000?"},
		{"sequence_len: 2**11\n", `want a whole number`, "did you mean 2048?"},
		{"micro_batch_size: 1.5\n", `want a whole number, have 1.5`, "such as micro_batch_size: 8"},
		{"num_epochs: 3 epochs\n", `want a number`, "did you mean 3?"},
		{"roles_to_train: assistant\n", `want a list of words`, "did you mean [assistant]?"},
		{"datasets: train.jsonl\n", `want a list of`, "write datasets: [{path: train.jsonl, type: messages}]"},
		{"datasets: {path: a, type: text}\n", `want a list of`, "put `- ` before the first key"},
		{"datasets: [train.jsonl]\n", `datasets[0]: want`, "write `- {path: train.jsonl, type: messages}`"},
		{"datasets: [{path: a, type: completion}]\n", `datasets[0].type: "completion" is not one of`, `did you mean "text"?`},
		{"datasets: [{path: a, type: chat_template}]\n", `is not one of`, `did you mean "messages"?`},
		{"datasets: [{path: a, type: alpaca.load_qa}]\n", `is not one of`, `did you mean "alpaca"?`},
		{"datasets: [{path: a, type: jsonl}]\n", `is not one of`, "messages is nearest: the ending of path"},
		{"datasets: [{path: a, type: text, ds_type: json}]\n", `unknown key "ds_type"`, "not needed, remove it: the ending of path says it"},
		{"datasets: [{path: a, type: text, split: }]\n", "datasets[0].split has no value", "remove the line"},
		{"adamw: {betas: 0.9}\noptimizer: adamw\n", `adamw.betas: want a list of numbers, have 0.9`, "such as adamw: {betas: [0.9, 0.95]}"},
		{"adamw: {betas: [0.9, 1]}\noptimizer: adamw\n", `adamw.betas: 1 is not below 1`, "adamw: {betas: [0.9, 0.999]}"},
		{"adamw: {betas: [-0.1, 0.9]}\noptimizer: adamw\n", `adamw.betas: -0.1 is below 0`, "from 0 to 1"},
		{"adamw: {betas: [.nan, 0.9]}\noptimizer: adamw\n", `adamw.betas[0]: want a number, have .nan`, "such as adamw"},
		{"adamw: {eps: 0}\noptimizer: adamw\n", `adamw.eps: 0 is not above 0`, "such as 1e-8"},
		{"adamw: {eps: -1e-8}\noptimizer: adamw\n", `adamw.eps: -1e-08 is below 0`, "between 0 and 1"},
		{"adamw: {eps: 1e-6}\n", `adamw.eps is an option of adamw, and the optimizer of this run is adalomo (by default)`, "set optimizer: adamw, or remove"},
		{"optimizer: lomo\nadamw: {eps: 1e-6}\n", `run.yaml:2: adamw.eps is an option of adamw, and the optimizer of this run is lomo (in line 1)`, "set optimizer: adamw"},
		{"optimizer: adamw\nsgd: {momentum: 0.9}\n", `sgd.momentum is an option of sgd`, "set optimizer: sgd"},
		{"adamw: true\n", `adamw: want a mapping of keys, have true`, "such as adamw: {betas: [0.9, 0.95]}"},
		{"devices: 0\n", `devices: 0 is below 1`, "from 1 to 1024"},
		{"weight_decay: -1\n", `weight_decay: -1 is below 0`, "from 0 to 1e6"},
		{"max_steps: 010\n", "base 8", "without the zero"},
		{"model: m\nlearning_rate:1e-3\n", `run.yaml:2: learning_rate: no space behind the colon`, "write learning_rate: 1e-3"},
		{"learning_rate:1e-3\n", `run.yaml:1: learning_rate: no colon with a space behind it`, "write learning_rate: 1e-3"},
		{"model: m\nadamw:\n\teps: 1\n", `run.yaml:3: a tab at the beginning of the line`, "indent with spaces"},
		{"model: m\nlearning_rate = 1e-3\n", `run.yaml:2: learning_rate = is not YAML`, "write learning_rate: 1e-3"},
		{"model: \"m\nseed: 1\n", `the file is not YAML`, "a bracket or quote is open"},
		{"evals_per_epoch: 4\n", `unknown key "evals_per_epoch"`, "lomo has eval_steps: the steps between two evaluations"},
		{"flash_attention: true\n", `unknown key "flash_attention"`, "not needed, remove it: attention never holds"},
		{"template: llama3\n", `unknown key "template"`, `did you mean "chat_template"?`},
		{"adapter: lora\n", `unknown key "adapter"`, "lomo has no such thing: all weights are trained"},
		{"wandb_anything: 1\n", `unknown key "wandb_anything"`, "metrics.jsonl"},
		{"train:\n  model: m\n", `unknown key "train" with keys of lomo under it`, "keys begin at the left edge"},
		{"- model: m\n- seed: 1\n", `want a mapping of keys, have a list`, "remove the `- ` before the keys"},
		{"model = \"m\"\nseed = 1\n", `model: no colon with a space`, `write model: "m"`},
		{"Learning_Rate: 1\n", `unknown key "Learning_Rate"`, `did you mean "learning_rate"?`},
		{"learning-rate: 1\n", `unknown key "learning-rate"`, `did you mean "learning_rate"?`},
	} {
		_, err := Load(Input{File: write(t, c.yaml)})
		var all Errors
		var one *Error
		if !errors.As(err, &all) && errors.As(err, &one) {
			all = Errors{one}
		}
		found := false
		for _, e := range all {
			found = found || strings.Contains(e.Error(), c.want) && strings.Contains(e.Advice, c.hint) && strings.HasPrefix(e.Where, "run.yaml:")
		}
		if !found {
			t.Errorf("%q: %v, hint %q; want %q, %q", c.yaml, err, adviceOf(all), c.want, c.hint)
		}
	}
}

func adviceOf(all Errors) (out []string) {
	for _, e := range all {
		out = append(out, e.Advice)
	}
	return out
}

// TestEmptySet: --set with nothing behind the equals sign sets nothing, which is said.
func TestEmptySet(t *testing.T) {
	for word, want := range map[string]string{
		"learning_rate=": "--set: learning_rate has no value", "max_steps= ": "--set: max_steps has no value", "datasets=": "--set: datasets has no value", "optimizer=": `--set: optimizer: "" is not one of`,
		"adamw.eps=": "--set: adamw.eps has no value", "packing=null": "--set: packing has no value",
	} {
		if _, err := Load(Input{Set: []string{word}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--set %q: %v, want %s", word, err, want)
		}
	}
}

// TestWrongValuesHaveAWayOut: whatever the key and the value, an error ends with what to do.
func TestWrongValuesHaveAWayOut(t *testing.T) {
	for _, k := range keys {
		for _, v := range []string{"{a: b}", "[[1]]", "[a, b]", "true", "xyzzy", ".nan", "-.inf", "1.5", "-3", "1e99", "2024-05-06", "0o17x", "!tag x", "\"\"", "null", "!!binary aGk="} {
			key, text := k.Name, v
			if block, option, dotted := strings.Cut(k.Name, "."); dotted {
				key, text = block, "{"+option+": "+v+"}"
			}
			s := &source{}
			if err := s.readYAML("run.yaml", []byte(key+": "+text+"\n")); err != nil {
				t.Fatal(err)
			}
			_, err := merge([]*source{s}, nil)
			var all Errors
			if err == nil || !errors.As(err, &all) {
				continue
			}
			for _, e := range all {
				if e.Advice == "" {
					t.Errorf("%s: %s: %v has no hint", key, text, e)
				}
			}
		}
	}
}
