package peers

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/config"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestImport: whole configurations of other trainers, and all that becomes of them.
func TestImport(t *testing.T) {
	t.Chdir("testdata")
	var files []string
	for _, pattern := range []string{"*.yml", "*.yaml", "*.json"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) < 7 {
		t.Fatalf("only %v", files)
	}
	for _, file := range files {
		im, err := Import(Options{File: file})
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if _, err := config.Parse(file, []byte(im.Text), "model", "output_dir", "datasets"); err != nil {
			t.Errorf("%s: what was written is refused: %v\n%s", file, err, im.Text)
		}
		got := fmt.Sprintf("%d taken over, %d left out\nlook: %s\n\n%s", im.Taken, im.Left, strings.Join(im.Look, "\nlook: "), im.Text)
		golden := strings.TrimSuffix(file, filepath.Ext(file)) + ".golden"
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if string(want) != got {
			t.Errorf("%s: not as in %s (-update writes it):\n%s", file, golden, got)
		}
	}
}

// TestNothingIsLost: every setting of a file is taken over, left out by name, or empty.
func TestNothingIsLost(t *testing.T) {
	t.Chdir("testdata")
	for _, file := range []string{"axolotl-full.yml", "axolotl-qlora.yml", "llamafactory-full.yaml", "llamafactory-lora.yaml", "torchtune.yaml", "trl.yaml", "trainingarguments.json"} {
		root, err := read(file)
		if err != nil {
			t.Fatal(err)
		}
		im, err := Import(Options{File: file})
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(root.Content); i += 2 {
			name, value := root.Content[i].Value, resolve(root.Content[i+1])
			empty := value.Tag == "!!null" || value.Value == "" && len(value.Content) == 0
			// "no", false, -1 and 0 say that something is off, which is how lomo has it.
			off := value.Value == "false" || value.Value == "False" || value.Value == "no" || value.Value == "none" || value.Value == "-1" || value.Value == "0"
			renamed := map[string]bool{"stage": true, "adam_beta2": true, "adam_beta1": true, "adam_epsilon": true, "dataset_name": true, "dataset_test_split": true, "eval_strategy": true, "checkpointer": true, "tokenizer": true,
				"dataset": true, "dataset_dir": true, "assistant_only_loss": true}[name] // told in other words: as method, adamw, datasets and eval_steps
			if !empty && !off && !renamed && !strings.Contains(im.Text, name) {
				t.Errorf("%s: nothing is said of %s: %s", file, name, value.Value)
			}
		}
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

const axolotl = "base_model: m\nsequence_len: 512\nsample_packing: true\nflash_attention: true\nmicro_batch_size: 2\nwandb_project: x\ndatasets: [{path: a.jsonl, type: alpaca}]\n"

// TestSettings: single settings, and what they become.
func TestSettings(t *testing.T) {
	for _, c := range []struct {
		add     string
		devices int
		want    []string // pieces of the text
	}{
		{"", 0, []string{"optimizer: adamw ", "the default of axolotl", "packing: true ", "# sample_packing", "num_epochs: 1 "}},
		{"gradient_accumulation_steps: 4\n", 8, []string{"gradient_accumulation_steps: 32 ", "# 4 on 8 GPUs; 2 x 32 = 64 sequences a step, as there"}},
		{"deepspeed: ds.json\n", 0, []string{"# LOOK gradient_accumulation_steps: the file was for several GPUs"}},
		{"optimizer: adamw_torch\nlearning_rate: 1e-4\n", 0, []string{"optimizer: adamw ", "learning_rate: 1e-4"}},
		{"optimizer: lomo\nlearning_rate: 0.01\n", 0, []string{"optimizer: lomo ", "learning_rate: 0.01"}},
		{"optimizer: adalomo\nlearning_rate: 5e-4\n", 0, []string{"optimizer: adalomo ", "learning_rate: 5e-4"}},
		{"optimizer: lion_8bit\nlearning_rate: 1e-5\n", 0, []string{"optimizer: adamw ", "LOOK learning_rate: 1e-5 was for lion_8bit", "learning_rate: 1e-5 -- it was for lion_8bit"}},
		{"optimizer: something_new\n", 0, []string{"# LOOK optimizer: something_new is not in this version"}},
		{"adapter: lora\nlearning_rate: 3e-4\n", 0, []string{"learning_rate: 2e-5 ", "# was 3e-4, for adapters", "method: full"}},
		{"adapter: lora\nlearning_rate: 1e-5\n", 0, []string{"learning_rate: 1e-5"}},
		{"max_steps: 300\nnum_epochs: 2\n", 0, []string{"max_steps: 300"}},
		{"warmup_steps: 0.05\n", 0, []string{"warmup_ratio: 0.05"}},
		{"warmup_steps: 10\nwarmup_ratio: 0.1\n", 0, []string{"warmup_steps: 10", "warmup_ratio: 0.1 -- warmup_steps is stronger"}},
		{"eval_steps: 0.1\nval_set_size: 0.1\n", 0, []string{"LOOK eval_steps: 0.1 was a share"}},
		{"eval_steps: 50\n", 0, []string{"eval_steps: 50 -- there is no held-out data"}},
		{"eval_steps: 50\nval_set_size: 100\n", 0, []string{"eval_steps: 50\n", "val_set_size: 100\n"}},
		{"save_strategy: \"no\"\n", 0, []string{"save_steps: 0 "}},
		{"fp16: true\n", 0, []string{"dtype: bf16 ", "fp16 is not in this version"}},
		{"bf16: false\nfp16: false\n", 0, []string{"dtype: f32 "}},
		{"lr_scheduler: rex\n", 0, []string{"lr_scheduler: cosine ", "# LOOK lr_scheduler: cosine stands for rex"}},
		{"chat_template: tokenizer_default_fallback_llama3\n", 0, []string{"chat_template: tokenizer"}},
		{"chat_template: jinja\nchat_template_jinja: \"{{ messages[0].content }}\"\n", 0, []string{"chat_template: '{{ messages[0].content }}'"}},
		{"seed: 99\nweight_decay: 1e-1\nmax_grad_norm: 0.3\n", 0, []string{"seed: 99\n", "weight_decay: 1e-1\n", "max_grad_norm: 0.3 "}},
		{"learning_rate: .nan\n", 0, []string{"learning_rate: .nan -- it is no number"}},
		{"micro_batch_size2: 1\n", 0, []string{"# LOOK micro_batch_size2: 1 is not known to lomo"}},
		{"neftune_noise_alpha: 5\n", 0, []string{"neftune_noise_alpha: 5 -- this version adds no noise"}},
		{"weight_decay: -3\n", 0, []string{"LOOK weight_decay: weight_decay: -3 is below 0", "weight_decay: -3 -- "}},
		{"\"bad\\nkey\": \"a\\nb\"\n", 0, []string{`"bad\nkey": "a\nb" is not known`}},
	} {
		im, err := Import(Options{File: write(t, "a.yml", axolotl+c.add), Devices: c.devices})
		if err != nil {
			t.Errorf("%q: %v", c.add, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(im.Text, want) {
				t.Errorf("%q: no %q in\n%s", c.add, want, im.Text)
			}
		}
		if _, err := config.Parse("a", []byte(im.Text), "model", "output_dir", "datasets"); err != nil {
			t.Errorf("%q: refused: %v", c.add, err)
		}
	}
}

// TestRefused: what cannot be honoured at all is no configuration.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"dpo", axolotl + "rl: dpo\n", "rl: dpo trains on preferences"},
		{"reward", "stage: rm\nmodel_name_or_path: m\ntemplate: llama3\ncutoff_len: 10\ndataset: a\ndo_train: true\n", "stage: rm trains on preferences"},
		{"ppo", "stage: ppo\nmodel_name_or_path: m\ntemplate: llama3\ncutoff_len: 10\ndataset: a\ndo_train: true\n", "stage: ppo"},
		{"torchtune dpo", "model: {_component_: a.b}\nloss: {_component_: torchtune.rlhf.loss.DPOLoss}\n", "DPOLoss trains on preferences"},
		{"grpo", "model_name_or_path: m\nnum_generations: 4\nper_device_train_batch_size: 1\nnum_train_epochs: 1\nlr_scheduler_type: linear\n", "num_generations belongs to"},
		{"a recipe that generates", "model: {_component_: torchtune.models.llama3.llama3_8b}\nprompt: {user: hi}\ntemperature: 0.6\n", "and trains nothing"},
		{"a file for chat", "model_name_or_path: m\ntemplate: llama3\ninfer_backend: huggingface\nfinetuning_type: lora\nflash_attn: auto\nlora_rank: 8\n", "and trains nothing"},
		{"images", "model: {_component_: torchtune.models.llama3_2_vision.llama3_2_vision_11b}\noptimizer: {_component_: torch.optim.AdamW}\n", "trains on images"},
		{"lomo's own", "model: m\noutput_dir: o\n", "is a configuration of lomo already"},
		{"another's", "a: 1\nb: 2\n", "no configuration of a trainer that is known"},
		{"no YAML", "a: [1\n", "neither YAML nor JSON"},
		{"empty", "", "no settings"},
		{"a list", "- a\n", "no settings"},
	} {
		_, err := Import(Options{File: write(t, "a.yml", c.text)})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	for _, path := range []string{"nowhere.yml", ".", "/dev/zero"} {
		if _, err := Import(Options{File: path}); err == nil {
			t.Errorf("%s is imported", path)
		}
	}
}
