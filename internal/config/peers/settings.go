package peers

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"lomo/internal/config"
)

// supervised refuses what is no supervised fine-tuning, and finds out whether adapters were meant.
func (im *importer) supervised() error {
	other := func(what string) error {
		return refuse("lomo trains on texts and conversations; take the chosen answers as data of type messages", "%s: %s, which lomo does not do", im.file, what)
	}
	if rl, name := im.word("rl"); name != "" && rl != "" {
		return other("rl: " + clean(rl) + " trains on preferences or rewards")
	}
	switch stage, _ := im.word("stage"); stage {
	case "", "sft", "pt":
	default:
		return other("stage: " + clean(stage) + " trains on preferences or rewards")
	}
	for _, name := range []string{"reward_model", "process_reward_model", "beta", "num_generations", "reward_funcs", "policy_model.checkpoint_dir", "reward_and_value_model._component_", "teacher_model._component_"} {
		if v := im.given[name]; v != nil && v.Tag != "!!null" && v.Value != "false" {
			return other(name + " belongs to training on preferences, rewards or a teacher")
		}
	}
	if loss, _ := im.word("loss._component_"); strings.Contains(strings.ToLower(loss), "dpo") || strings.Contains(strings.ToLower(loss), "ppo") {
		return other("loss " + clean(loss) + " trains on preferences or rewards")
	}
	idle := func(what string) error {
		return refuse("give the configuration of a training run", "%s: %s, and trains nothing", im.file, what)
	}
	if im.tool == config.Torchtune && im.given["optimizer._component_"] == nil {
		return idle("it has no optimizer: a recipe that generates, evaluates or quantizes")
	}
	if im.tool == config.LLaMAFactory && im.given["dataset"] == nil && (im.given["export_dir"] != nil || im.given["infer_backend"] != nil || im.given["output_dir"] == nil) {
		return idle("it names no data set: a file for chat, export or an API")
	}
	if kind := im.given["model._component_"]; kind != nil && strings.Contains(kind.Value, "vision") || im.given["is_multimodal"] != nil && im.given["is_multimodal"].Value == "true" {
		return refuse("take the configuration of a language model", "%s: it trains on images, which lomo does not do", im.file)
	}
	im.adapter, _ = im.word("adapter")
	if kind, _ := im.word("finetuning_type"); kind != "" && kind != "full" {
		im.adapter = kind
	}
	if kind, _ := im.word("finetuning_type"); im.tool == config.LLaMAFactory && kind == "" {
		im.adapter = "lora" // its default
	}
	if on, _, _ := im.truth("use_peft"); on {
		im.adapter = "lora"
	}
	if kind, _ := im.word("model._component_"); strings.Contains(kind, "lora") {
		im.adapter = "lora"
	}
	return nil
}

// run takes over what lomo has.
func (im *importer) run() {
	im.model()
	im.data()
	im.numbers()
	im.batch()
	im.optimizer()
	im.schedule()
	im.saving()
}

func (im *importer) model() {
	path, from := im.word("base_model", "model_name_or_path", "checkpointer.checkpoint_dir", "model_name")
	if path == "" {
		im.assume("model", "models/NAME", "the file names no model")
		im.note("model: the file names none; set the folder of the model")
	} else {
		im.set("model", quoted(path), from, "")
		if hubName(path) {
			im.note("model: `lomo pull %s` fetches it, if it is not there yet", clean(path))
		}
	}
	for _, name := range []string{"model._component_", "tokenizer._component_", "tokenizer.path", "checkpointer._component_", "checkpointer.checkpoint_files", "checkpointer.model_type", "checkpointer.output_dir", "model.lora_rank", "model.lora_alpha", "model.lora_attn_modules", "model.lora_dropout", "model.apply_lora_to_mlp", "model.apply_lora_to_output"} {
		if im.given[name] == nil || im.used[name] && name != "model._component_" {
			continue
		}
		switch {
		case strings.Contains(name, "lora"):
			im.leave(name, "all weights are trained, without adapters")
		default:
			im.leave(name, "it is read from the model's folder")
		}
	}
	if out, from := im.word("output_dir"); out != "" {
		im.set("output_dir", quoted(out), from, "")
	} else {
		name := strings.TrimSuffix(filepath.Base(im.file), filepath.Ext(im.file))
		im.assume("output_dir", quoted("out/"+name), "the file names no folder")
	}
	if kind, _ := im.word("finetuning_type"); kind == "full" {
		im.set("method", "full", "finetuning_type", "")
	}
	if im.adapter != "" {
		im.set("method", "full", im.adapterKey(), "all weights are trained, not adapters ("+clean(im.adapter)+")")
		im.note("method: %s trained adapters; lomo trains all weights, which takes more memory: `lomo train --dry-run` plans it", clean(im.adapter))
	}
}

func (im *importer) adapterKey() string {
	for _, name := range []string{"adapter", "finetuning_type", "use_peft", "model._component_"} {
		if im.given[name] != nil {
			return name
		}
	}
	return "the default of " + im.tool
}

func (im *importer) numbers() {
	dtype := ""
	for _, name := range []string{"bf16", "bfloat16", "pure_bf16", "fp16", "float16", "dtype", "torch_dtype"} {
		v, from := im.word(name)
		on, is := config.Truth(v)
		switch half := strings.Contains(name, "16"); {
		case from == "" || half && is && !on:
			continue
		case dtype != "":
			continue
		case name == "fp16" || name == "float16":
			dtype = "bf16"
			im.set("dtype", "bf16", from, "fp16 is not in this version")
		case half: // true, auto or full
			dtype = "bf16"
			im.set("dtype", "bf16", from, "")
		default:
			to, note := config.MeantWord("dtype", v)
			if to == "" {
				im.leave(name, "dtype is bf16 or f32")
				continue
			}
			dtype = to
			im.set("dtype", to, from, note)
		}
	}
	bf16, off := im.given["bf16"], im.given["fp16"]
	if dtype == "" && bf16 != nil && bf16.Value == "false" && (off == nil || off.Value != "true") {
		im.set("dtype", "f32", "bf16", "false")
	} else if dtype == "" {
		im.assume("dtype", "bf16", "not said; dtype: f32 takes twice the memory")
	}
	if n, from := im.number(true, "seed", "random_seed"); n != "" && !strings.HasPrefix(n, "-") {
		im.set("seed", n, from, "")
	}
	if d, from := im.word("device"); d != "" {
		if to, note := config.MeantWord("device", d); to != "" {
			im.set("device", to, from, note)
		} else {
			im.leave(from, "device is auto, cpu or cuda")
		}
	}
}

func (im *importer) batch() {
	if n, from := im.number(true, "sequence_len", "cutoff_len", "max_length", "max_seq_length", "tokenizer.max_seq_len", "max_seq_len"); n != "" {
		im.set("sequence_len", n, from, "")
	} else if def := map[string]string{config.Axolotl: "512", config.LLaMAFactory: "2048", config.HuggingFace: "1024"}[im.tool]; def != "" {
		im.assume("sequence_len", def, "the default of "+im.tool)
	}
	if on, given, from := im.truth("sample_packing", "packing", "neat_packing", "dataset.packed", "packed"); given {
		im.set("packing", strconv.FormatBool(on), from, "")
		im.packing = on
	} else {
		im.assume("packing", "false", "the default of "+im.tool)
	}
	micro, from := im.number(true, "micro_batch_size", "per_device_train_batch_size", "batch_size")
	if from == "batch_size" && im.tool == config.Axolotl { // the sequences of a whole step
		im.set("micro_batch_size", micro, from, "of a whole step")
		im.note("micro_batch_size: batch_size: %s was that of a whole step; a smaller one with gradient_accumulation_steps takes less memory", micro)
	} else if micro != "" {
		im.set("micro_batch_size", micro, from, "")
	} else {
		micro = map[string]string{config.HuggingFace: "8", config.LLaMAFactory: "8", config.Axolotl: "1"}[im.tool]
		if micro == "" {
			micro = "1"
		}
		im.assume("micro_batch_size", micro, "the default of "+im.tool)
	}
	steps, from := im.number(true, "gradient_accumulation_steps")
	if steps == "" {
		steps = "1"
	}
	m, _ := strconv.Atoi(micro)
	k, _ := strconv.Atoi(steps)
	switch {
	case im.devices > 1:
		im.out = append(im.out, entry{key: "gradient_accumulation_steps", value: strconv.Itoa(k * im.devices),
			comment: fmt.Sprintf("%d on %d GPUs; %d x %d = %d sequences a step, as there", k, im.devices, m, k*im.devices, m*k*im.devices)})
		if from == "" {
			im.added++
		}
	default:
		im.out = append(im.out, entry{key: "gradient_accumulation_steps", value: steps, comment: fmt.Sprintf("%d x %d = %d sequences a step on one device", m, k, m*k)})
		if from == "" {
			im.added++
		}
		if im.several() {
			im.note("gradient_accumulation_steps: the file was for several GPUs; --devices N multiplies this by N, so that a step stays as large")
		}
	}
	if n, from := im.number(true, "max_steps"); n != "" && n != "0" && !strings.HasPrefix(n, "-") {
		im.set("max_steps", n, from, "")
		im.get("num_epochs", "num_train_epochs", "epochs")
	} else if n, from := im.number(false, "num_epochs", "num_train_epochs", "epochs"); n != "" {
		im.set("num_epochs", n, from, "")
	} else {
		im.assume("num_epochs", map[string]string{config.HuggingFace: "3", config.LLaMAFactory: "3"}[im.tool]+map[string]string{config.Axolotl: "1", config.Torchtune: "1"}[im.tool], "the default of "+im.tool)
	}
	if n, from := im.number(true, "max_steps_per_epoch"); n != "" {
		im.leave(from, "max_steps is that of the whole run")
		im.alone("max_steps: max_steps_per_epoch: %s ended each epoch early; set max_steps to that times the epochs", n)
	}
	if on, given, from := im.truth("gradient_checkpointing", "enable_activation_checkpointing"); given {
		im.set("gradient_checkpointing", strconv.FormatBool(on), from, "")
	} else if v, from := im.word("gradient_checkpointing"); v != "" { // unsloth, offload
		im.set("gradient_checkpointing", "true", from, clean(v))
	} else if off, given, from := im.truth("disable_gradient_checkpointing"); given {
		im.set("gradient_checkpointing", strconv.FormatBool(!off), from, "turned round")
	}
	if on, given, from := im.truth("activation_offloading", "enable_activation_offloading"); given && on {
		im.leave(from, "activation_offload: disk, or host for a GPU")
		im.alone("activation_offload: %s was on; set it to disk, or to host for a GPU, where memory is short", from)
	}
}

// several tells whether the file speaks of more than one GPU.
func (im *importer) several() bool {
	for _, name := range []string{"deepspeed", "fsdp", "fsdp_config", "custom_sharded_layers", "fsdp_version"} {
		if v := im.given[name]; v != nil && v.Tag != "!!null" && v.Value != "false" && (v.Kind == yaml.ScalarNode && v.Value != "" || len(v.Content) > 0) {
			return true
		}
	}
	return false
}

// optimizer takes the optimizer over and its learning rate. A rate belongs to an optimizer: where that is another here, the
// rate is the usual one.
func (im *importer) optimizer() {
	name, from := im.word("optimizer", "optim", "optimizer._component_")
	if im.given["optimizer"] != nil && im.given["optimizer"].Kind == yaml.MappingNode {
		name = ""
	}
	given := name
	to, note := "adamw", ""
	switch {
	case name == "":
		im.assume("optimizer", "adamw", "the default of "+im.tool)
	default:
		short := name
		if from == "optimizer._component_" {
			short = strings.TrimPrefix(name, "torch.optim.")
		}
		if to, note = config.MeantWord("optimizer", short); to == "" {
			to, note = "adamw", clean(name)+" is not in this version"
			im.set("optimizer", to, from+": "+clean(name), "")
			im.note("optimizer: %s is not in this version; adamw takes its place, and learning_rate is its usual one", clean(name))
			given = ""
			break
		}
		im.set("optimizer", to, from+": "+clean(name), "")
	}
	other := given == "" && name != "" || strings.Contains(note, "rates are") || strings.HasPrefix(note, "it has two") || to == "adalomo" && !strings.Contains(strings.ToLower(name), "adalomo")
	switch {
	case to == "adamw" && !other:
		im.out[len(im.out)-1].comment += "; 12 bytes a weight beside it, where optimizer: adalomo with learning_rate: 5e-4 needs next to none"
	case other && given != "":
		im.note("optimizer: %s stands for %s: %s", to, clean(name), note)
	}
	im.rate(to, clean(name), other)

	if n, from := im.number(false, "weight_decay", "optimizer.weight_decay"); n != "" {
		im.set("weight_decay", n, from, "")
	} else if strings.Contains(name, "AdamW") && im.tool == config.Torchtune {
		im.assume("weight_decay", "0.01", "the default of "+clean(name))
	}
	if to == "adamw" && !other {
		im.moments()
	} else if n, from := im.number(false, "optimizer.momentum"); n != "" && to == "sgd" {
		im.set("sgd", "{momentum: "+n+"}", from, "")
	}
	if n, from := im.number(false, "max_grad_norm", "clip_grad_norm"); n != "" {
		im.set("max_grad_norm", n, from, "the norm costs one more backward sweep; clip_policy: lagged is free")
	} else if im.tool != config.Torchtune {
		im.assume("max_grad_norm", "1.0", "the default of "+im.tool+"; the norm costs one more backward sweep; clip_policy: lagged is free")
	}
}

// fullRate is above what full fine-tuning with adamw can take.
const fullRate = 5e-5

func (im *importer) rate(to, name string, other bool) {
	n, from := im.number(false, "learning_rate", "lr", "optimizer.lr")
	v, _ := strconv.ParseFloat(n, 64)
	switch {
	case n == "" && !other && im.tool != config.Torchtune:
		im.assume("learning_rate", map[string]string{config.HuggingFace: "2e-5"}[im.tool]+map[string]string{config.LLaMAFactory: "5e-5", config.Axolotl: "2e-5"}[im.tool], "not said")
	case n == "":
	case other:
		im.leave(from, "it was for "+name+"; the usual rate of "+to+" is taken")
		im.alone("learning_rate: %s was for %s; lomo takes the usual one of %s", n, name, to)
	case im.adapter != "" && to == "adamw" && v > fullRate:
		im.set("learning_rate", "2e-5", "was "+n+", for adapters", "")
		im.note("learning_rate: %s was for %s; for all weights 2e-5 is usual", n, clean(im.adapter))
	default:
		im.set("learning_rate", n, from, "")
	}
}

// moments are adamw's options.
func (im *importer) moments() {
	var options, from []string
	b1, n1 := im.number(false, "adam_beta1")
	b2, n2 := im.number(false, "adam_beta2")
	if v, name := im.get("optimizer.betas"); v != nil && len(v.Content) == 2 {
		b1, b2, n1 = config.Number(v.Content[0].Value, false), config.Number(v.Content[1].Value, false), name
	}
	if b1 != "" || b2 != "" {
		if b1 == "" {
			b1 = "0.9"
		}
		if b2 == "" {
			b2 = "0.999"
		}
		options, from = append(options, "betas: ["+b1+", "+b2+"]"), append(from, strings.TrimSpace(n1+" "+n2))
	}
	if eps, name := im.number(false, "adam_epsilon", "optimizer.eps"); eps != "" {
		options, from = append(options, "eps: "+eps), append(from, name)
	}
	if len(options) > 0 {
		im.set("adamw", "{"+strings.Join(options, ", ")+"}", strings.Join(from, " "), "")
	}
}

func (im *importer) schedule() {
	kind, from := im.word("lr_scheduler", "lr_scheduler_type", "lr_scheduler._component_")
	short := kind[strings.LastIndex(kind, ".")+1:]
	to, note := config.MeantWord("lr_scheduler", short)
	switch {
	case kind == "":
		to = map[string]string{config.Axolotl: "cosine", config.Torchtune: "constant"}[im.tool]
		if to == "" {
			to = "linear"
		}
		im.assume("lr_scheduler", to, "the default of "+im.tool)
	case to == "":
		im.leave(from, "lomo has no such schedule")
		im.assume("lr_scheduler", "cosine", "in place of "+clean(kind))
		im.note("lr_scheduler: %s is not in lomo; cosine takes its place", clean(kind))
	default:
		im.set("lr_scheduler", to, from+": "+clean(kind), "")
		if note != "" {
			im.note("lr_scheduler: %s stands for %s: %s", to, clean(kind), note)
		}
	}
	steps, stepsFrom := im.number(false, "warmup_steps", "lr_scheduler.num_warmup_steps")
	ratio, ratioFrom := im.number(false, "warmup_ratio")
	s, _ := strconv.ParseFloat(steps, 64)
	r, _ := strconv.ParseFloat(ratio, 64)
	switch {
	case s > 0 && s < 1:
		im.set("warmup_ratio", steps, stepsFrom, "a share of the steps")
	case s > 0:
		im.set("warmup_steps", config.Number(steps, true), stepsFrom, "")
		if r > 0 {
			im.leave(ratioFrom, "warmup_steps is stronger")
		}
	case r > 0:
		im.set("warmup_ratio", ratio, ratioFrom, "")
	}
}

// saving takes over when a run evaluates, saves and writes.
func (im *importer) saving() {
	strategy, strategyFrom := im.word("eval_strategy", "evaluation_strategy")
	n, from := im.number(false, "eval_steps", "run_val_every_n_steps")
	per, perFrom := im.number(false, "evals_per_epoch")
	v, _ := strconv.ParseFloat(n, 64)
	switch {
	case !im.heldOut:
		for _, name := range []string{from, perFrom} {
			if name != "" && im.given[name].Value != "0" {
				im.leave(name, "there is no held-out data; eval_datasets or val_set_size gives some")
			}
		}
	case per != "" && per != "0":
		im.leave(perFrom, "eval_steps is the steps between two evaluations")
		im.alone("eval_steps: evals_per_epoch: %s; set eval_steps to the steps of an epoch / %s, which `lomo train --dry-run` says", per, per)
	case strategy == "no" || v == 0 && n != "":
	case strategy == "epoch":
		im.leave(strategyFrom, "eval_steps is the steps between two evaluations")
		im.alone("eval_steps: eval_strategy: epoch; set eval_steps to the steps of an epoch, which `lomo train --dry-run` says")
	case v > 0 && v < 1:
		im.leave(from, "eval_steps is a number of steps")
		im.alone("eval_steps: %s was a share of the run; set the number of steps", n)
	case n != "":
		im.set("eval_steps", n, from, "")
	}
	strategy, strategyFrom = im.word("save_strategy")
	n, from = im.number(false, "save_steps")
	per, perFrom = im.number(false, "saves_per_epoch")
	v, _ = strconv.ParseFloat(n, 64)
	switch {
	case strategy == "no":
		im.set("save_steps", "0", strategyFrom, "no")
	case per != "" && per != "0" || strategy == "epoch" || strategy == "best":
		name := perFrom
		if name == "" {
			name = strategyFrom
		}
		im.leave(name, "save_steps is the steps between two checkpoints")
		im.alone("save_steps: %s: %s; lomo saves every 500 steps unless save_steps says otherwise", name, shown(im.given[name]))
	case v > 0 && v < 1:
		im.leave(from, "save_steps is a number of steps")
		im.alone("save_steps: %s was a share of the run; set the number of steps", n)
	case n != "":
		im.set("save_steps", n, from, "")
	}
	if n, from := im.number(true, "save_total_limit"); n != "" {
		im.set("save_total_limit", n, from, "")
	}
	if n, from := im.number(true, "logging_steps", "log_every_n_steps"); n != "" && n != "0" {
		im.set("logging_steps", n, from, "")
	}
	if on, given, from := im.truth("eval_on_start"); given {
		im.set("eval_on_start", strconv.FormatBool(on), from, "")
	}
	im.reports()
	if v, from := im.word("resume_from_checkpoint"); v != "" {
		if on, is := config.Truth(v); is && on {
			im.set("resume", "auto", from, "")
		} else if !is {
			im.leave(from, "checkpoints of other trainers are not read; a folder with the model is, as model")
			im.alone("resume: %s: checkpoints of other trainers are not read", clean(v))
		}
	}
}

func (im *importer) reports() {
	v, from := im.get("report_to")
	if v == nil {
		if on, _, name := im.truth("use_tensorboard"); on && config.Takes("report_to", "tensorboard") {
			im.set("report_to", "[json, tensorboard]", name, "")
		}
		return
	}
	words := []string{v.Value}
	if v.Kind == yaml.SequenceNode {
		words = nil
		for _, n := range v.Content {
			words = append(words, n.Value)
		}
	}
	board, others := false, []string{}
	for _, w := range words {
		switch w {
		case "tensorboard", "all":
			board = true
		case "none", "":
		default:
			others = append(others, clean(w))
		}
	}
	if board && config.Takes("report_to", "tensorboard") {
		im.set("report_to", "[json, tensorboard]", from, "")
	}
	if len(others) > 0 {
		im.leave(from, "metrics.jsonl and report.html in output_dir hold the run's record")
	}
}

// quoted writes a text as YAML.
func quoted(text string) string {
	raw, err := yaml.Marshal(text)
	if err != nil || strings.Count(string(raw), "\n") > 1 {
		return strconv.Quote(text)
	}
	return strings.TrimSuffix(string(raw), "\n")
}
