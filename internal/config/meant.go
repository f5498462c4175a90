package config

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"lomo/internal/suggest"
)

// meant is the way out of a value of the wrong type: how the value is written that a user probably meant, or an example.
func meant(k Key, t reflect.Type, node *yaml.Node) string {
	switch {
	case node.Kind == yaml.MappingNode && pair(node, "_component_") != nil:
		return "that is torchtune's way; `lomo config import FILE` writes its configurations as lomo's"
	case t.Kind() == reflect.Slice:
		return meantList(k, t, node)
	case node.Kind == yaml.SequenceNode && len(node.Content) == 1 && node.Content[0].Kind == yaml.ScalarNode && worth(k, t, node.Content[0]):
		return fmt.Sprintf("did you mean %s?", shorten(node.Content[0].Value))
	case node.Kind == yaml.SequenceNode && (len(node.Content) < 2 || t.Kind() != reflect.String && !worth(k, t, node.Content[0])):
		return example(k)
	case node.Kind == yaml.SequenceNode:
		return "a run has one; start a run for each"
	case node.Kind == yaml.MappingNode:
		return example(k)
	}
	word := strings.Trim(strings.TrimSpace(node.Value), `'"`)
	switch t.Kind() {
	case reflect.Bool:
		if b, is := truth(word); is {
			return fmt.Sprintf("did you mean %t?", b)
		}
	case reflect.Int, reflect.Uint64, reflect.Float64:
		if n := number(word, t.Kind() != reflect.Float64); n != "" && n != node.Value {
			return fmt.Sprintf("did you mean %s?", n)
		} else if n != "" && node.Tag == "!!str" {
			return "write it without quotes: " + n
		}
		if slices.Contains([]string{"auto", "none", "null", "default", ""}, strings.ToLower(word)) {
			return "leave the line out for the default, " + shownDefault(k)
		}
	}
	return example(k)
}

// worth tells whether a node could be the value of a key.
func worth(k Key, t reflect.Type, node *yaml.Node) bool {
	word := strings.TrimSpace(node.Value)
	switch t.Kind() {
	case reflect.Bool:
		_, is := truth(word)
		return is
	case reflect.Int, reflect.Uint64, reflect.Float64:
		return number(word, t.Kind() != reflect.Float64) != ""
	}
	return word != "" && (len(k.OneOf) == 0 || slices.Contains(k.OneOf, word))
}

func meantList(k Key, t reflect.Type, node *yaml.Node) string {
	switch {
	case t.Elem().Kind() == reflect.Struct && node.Kind == yaml.MappingNode:
		return "put `- ` before the first key, since it is a list: - path: train.jsonl"
	case t.Elem().Kind() == reflect.Struct && node.Kind == yaml.ScalarNode && node.Tag == "!!str":
		return fmt.Sprintf("write %s: [{path: %s, type: messages}], with the type of the records", k.Name, shorten(node.Value))
	case node.Kind == yaml.ScalarNode && len(k.OneOf) > 0:
		if to, note := MeantWord(k.Name, node.Value); to != "" {
			return strings.TrimSuffix(fmt.Sprintf("such as %s: [%s]; %s", k.Name, to, note), "; ")
		}
		return fmt.Sprintf("a list of %s", strings.Join(k.OneOf, ", "))
	case node.Kind == yaml.ScalarNode && node.Tag == "!!str" && k.len == 0:
		return fmt.Sprintf("did you mean [%s]?", shorten(strings.Join(strings.FieldsFunc(node.Value, func(r rune) bool { return r == ',' || r == ' ' }), ", ")))
	}
	return example(k)
}

// example shows how a key is written.
func example(k Key) string {
	name := k.Name
	if block, option, dotted := strings.Cut(name, "."); dotted {
		return fmt.Sprintf("such as %s: {%s: %s}", block, option, k.Shown())
	}
	if k.index == nil || name == "" {
		return ""
	}
	return fmt.Sprintf("such as %s: %s", name, k.Shown())
}

// Shown is a value of the key worth showing, as YAML.
func (k Key) Shown() string {
	if k.Example != "" {
		return k.Example
	}
	return shownDefault(k)
}

func shownDefault(k Key) string {
	d := Default()
	v, known := d.Get(k.Name)
	if !known {
		return ""
	}
	text, err := yamlText(v)
	if err != nil {
		return ""
	}
	return text
}

// truth reads the words that stand for true and false elsewhere.
func truth(word string) (value, is bool) {
	switch strings.ToLower(word) {
	case "true", "yes", "on", "y", "t", "1", "enabled", "enable", ".true.":
		return true, true
	case "false", "no", "off", "n", "f", "0", "disabled", "disable", "none", "never", ".false.":
		return false, true
	}
	return false, false
}

// suffixes are what stands behind a number in other languages and habits.
var suffixes = []struct {
	end   string
	times float64
}{{"%", 0.01}, {"k", 1e3}, {"f", 1}, {"d", 1}, {",", 1}, {";", 1}, {".0", 1}, {"steps", 1}, {"epochs", 1}, {"tokens", 1}}

// Number reads a number from a text that nearly is one, as YAML writes it; "" for what is none.
func Number(text string, whole bool) string {
	return number(strings.Trim(strings.TrimSpace(text), `'"`), whole)
}

// Truth reads the words that stand for true and false.
func Truth(word string) (value, is bool) { return truth(strings.TrimSpace(word)) }

// Takes tells whether a key takes a word.
func Takes(key, word string) bool {
	k, _ := find(keys, key)
	return slices.Contains(k.OneOf, word)
}

// number is a number as YAML writes it, read from a text that nearly is one: 50%, 1e-3f, 1,000, 0,5, 2e-5 in quotes, 5e-4,. For a
// whole number "" is given for what is none.
func number(word string, whole bool) string {
	v, ok := loose(strings.ToLower(strings.ReplaceAll(strings.TrimSpace(word), "_", "")))
	if !ok || math.IsNaN(v) || math.IsInf(v, 0) || whole && (v != math.Trunc(v) || math.Abs(v) > 1<<53) {
		return ""
	}
	if whole || v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return tidy(strconv.FormatFloat(v, 'g', -1, 64))
}

// tidy writes an exponent as people do: 2e-5, not 2e-05.
func tidy(s string) string {
	return strings.NewReplacer("e-0", "e-", "e+0", "e", "e+", "e").Replace(s)
}

func loose(word string) (float64, bool) {
	if len(word) > 40 {
		return 0, false
	}
	if v, err := strconv.ParseFloat(word, 64); err == nil && !strings.HasPrefix(word, "0x") {
		return v, true
	}
	for _, s := range suffixes {
		if rest, has := strings.CutSuffix(word, s.end); has && rest != "" {
			v, ok := loose(strings.TrimSpace(rest))
			if s.end == "%" {
				return math.Round(v*1e12) / 1e14, ok // 50% is 0.5, 3% not 0.03 and some last bits
			}
			return v * s.times, ok
		}
	}
	if a, b, fraction := strings.Cut(word, "/"); fraction {
		x, ok := loose(strings.TrimSpace(a))
		y, also := loose(strings.TrimSpace(b))
		return x / y, ok && also && y != 0
	}
	if a, b, power := strings.Cut(word, "**"); power {
		x, ok := loose(strings.TrimSpace(a))
		y, also := loose(strings.TrimSpace(b))
		return math.Pow(x, y), ok && also
	}
	switch head, tail, comma := strings.Cut(word, ","); {
	case comma && len(tail) == 3 && head != "0" && head != "": // 1,000
		return loose(head + tail)
	case comma && !strings.Contains(tail, ","): // 0,5
		return loose(head + "." + tail)
	}
	if joined := strings.ReplaceAll(word, " ", ""); joined != word { // 1 000, 1e -3
		return loose(joined)
	}
	return 0, false
}

// word is the value that takes the place of another trainer's word, and what differs.
type word struct{ to, note string }

const (
	fullMoments = "with float32 moments, 12 bytes a weight; adalomo holds next to no state"
	factored    = "adalomo factors the second moment likewise, and holds no gradient"
)

// words are the values that other trainers give, by key.
var words = map[string]map[string]word{
	"optimizer": {
		"adamw_torch": {"adamw", ""}, "adamw_torch_fused": {"adamw", ""}, "adamw_hf": {"adamw", ""}, "adamw_apex_fused": {"adamw", ""}, "adamw_torch_xla": {"adamw", ""}, "adamw_torch_npu_fused": {"adamw", ""},
		"adamw_anyprecision": {"adamw", ""}, "adamw_fused": {"adamw", ""}, "fused_adamw": {"adamw", ""}, "fusedadam": {"adamw", ""}, "deepspeedcpuadam": {"adamw", ""}, "adamw_torch_4bit": {"adamw", fullMoments}, "adam": {"adamw", "weight decay apart from the gradient"}, "torch.optim.adamw": {"adamw", ""}, "torch.optim.adam": {"adamw", "weight decay apart from the gradient"},
		"adamw_bnb_8bit": {"adamw", fullMoments}, "adamw_8bit": {"adamw", fullMoments}, "adamw8bit": {"adamw", fullMoments}, "adam8bit": {"adamw", fullMoments}, "adamw_torch_8bit": {"adamw", fullMoments}, "paged_adamw": {"adamw", fullMoments}, "pagedadamw": {"adamw", fullMoments}, "ademamix": {"adamw", fullMoments}, "ademamix_8bit": {"adamw", fullMoments},
		"paged_adamw_8bit": {"adamw", fullMoments}, "paged_adamw_32bit": {"adamw", fullMoments}, "pagedadamw8bit": {"adamw", fullMoments}, "ao_adamw_4bit": {"adamw", fullMoments}, "ao_adamw_8bit": {"adamw", fullMoments}, "ao_adamw_fp8": {"adamw", fullMoments}, "bitsandbytes.optim.pagedadamw8bit": {"adamw", fullMoments}, "bitsandbytes.optim.pagedadamw": {"adamw", fullMoments}, "bitsandbytes.optim.adamw8bit": {"adamw", fullMoments}, "torchao.prototype.low_bit_optim.adamw8bit": {"adamw", fullMoments},
		"schedule_free_adamw": {"adamw", "with lr_scheduler: constant"}, "optimi_adamw": {"adamw", ""}, "stable_adamw": {"adamw", ""}, "flash_adamw": {"adamw", ""}, "flash_adam": {"adamw", ""}, "adamc": {"adamw", ""}, "flash_sgd": {"sgd", ""}, "flash_lion": {"adamw", "Lion's rates are lower than its"}, "adopt_adamw": {"adamw", ""}, "grokadamw": {"adamw", ""}, "schedule_free_sgd": {"sgd", "with lr_scheduler: constant"},
		"lion": {"adamw", "Lion's rates are lower than its"}, "lion_8bit": {"adamw", "Lion's rates are lower than its"}, "lion_32bit": {"adamw", "Lion's rates are lower than its"}, "paged_lion_8bit": {"adamw", "Lion's rates are lower than its"}, "paged_lion_32bit": {"adamw", "Lion's rates are lower than its"}, "lion_pytorch": {"adamw", "Lion's rates are lower than its"},
		"adafactor": {"adalomo", factored}, "came_pytorch": {"adalomo", factored}, "galore_adamw": {"adalomo", factored}, "galore_adamw_8bit": {"adalomo", factored}, "galore_adamw_layerwise": {"adalomo", factored}, "galore_adafactor": {"adalomo", factored}, "apollo_adamw": {"adalomo", factored}, "apollo_adamw_layerwise": {"adalomo", factored}, "q_galore_adamw8bit": {"adalomo", factored},
		"muon": {"adamw", "Muon's rates are higher than its"}, "dion": {"adamw", "its rates are lower than Dion's"}, "adagrad": {"adamw", "its rates are lower than AdaGrad's"}, "rmsprop": {"adamw", "it has two moments"}, "rmsprop_bnb": {"adamw", "it has two moments"}, "torch.optim.sgd": {"sgd", ""},
	},
	"dtype": {
		"bfloat16": {"bf16", ""}, "torch.bfloat16": {"bf16", ""}, "bf16-mixed": {"bf16", ""}, "bf16-true": {"bf16", ""}, "bfloat": {"bf16", ""}, "brain": {"bf16", ""}, "auto": {"bf16", ""}, "16": {"bf16", ""}, "16-mixed": {"bf16", ""}, "mixed": {"bf16", ""}, "amp": {"bf16", ""},
		"float32": {"f32", ""}, "torch.float32": {"f32", ""}, "fp32": {"f32", ""}, "float": {"f32", ""}, "32": {"f32", ""}, "32-true": {"f32", ""}, "full": {"f32", ""}, "single": {"f32", ""}, "tf32": {"f32", ""}, "no": {"f32", ""},
		"float16": {"bf16", "fp16 is not in this version"}, "torch.float16": {"bf16", "fp16 is not in this version"}, "half": {"bf16", "fp16 is not in this version"}, "f16": {"bf16", "fp16 is not in this version"}, "fp16": {"bf16", ""},
		"fp8": {"bf16", fullBits}, "int8": {"bf16", fullBits}, "int4": {"bf16", fullBits}, "4bit": {"bf16", fullBits}, "8bit": {"bf16", fullBits}, "nf4": {"bf16", fullBits}, "float64": {"f32", ""}, "fp64": {"f32", ""}, "double": {"f32", ""}, "f64": {"f32", ""},
	},
	"lr_scheduler": {
		"cosine_with_restarts": {"cosine", "once, without restarts"}, "cosine_annealing": {"cosine", ""}, "cosineannealinglr": {"cosine", ""}, "cosine_with_min_lr": {"cosine", "down to 0"}, "cosine_warmup_with_min_lr": {"cosine", "down to 0"}, "cosine_warmup_with_min_lr_rate": {"cosine", "down to 0"}, "rex": {"cosine", "REX is not in this version"}, "one_cycle": {"cosine", "with warmup_ratio"}, "get_cosine_schedule_with_warmup": {"cosine", ""},
		"constant_with_warmup": {"constant", "with warmup_steps or warmup_ratio"}, "none": {"constant", ""}, "fixed": {"constant", ""}, "reduce_lr_on_plateau": {"constant", "held-out losses do not steer the rate"}, "reduce_on_plateau": {"constant", "held-out losses do not steer the rate"}, "greedy": {"constant", ""},
		"warmup_stable_decay": {"wsd", ""}, "trapezoidal": {"wsd", ""}, "inverse_square_root": {"inverse_sqrt", ""}, "inverse-sqrt": {"inverse_sqrt", ""}, "linear_with_warmup": {"linear", "with warmup_steps or warmup_ratio"}, "poly": {"polynomial", ""}, "warmup_linear": {"linear", "with warmup_steps or warmup_ratio"},
	},
	"method": {
		"sft": {"full", ""}, "fft": {"full", ""}, "none": {"full", ""}, "full_finetune": {"full", ""}, "full_finetuning": {"full", ""}, "finetune": {"full", ""}, "all": {"full", ""}, "full-parameter": {"full", ""}, "freeze": {"full", "all weights are trained"}, "dora": {"full", allWeights}, "lora": {"full", allWeights}, "qlora": {"full", allWeights},
	},
	"device":       {"gpu": {"cuda", ""}, "cuda:0": {"cuda", "with devices: 1"}, "nvidia": {"cuda", ""}, "mps": {"cpu", "Apple's GPUs are not used"}, "metal": {"cpu", "Apple's GPUs are not used"}, "rocm": {"cpu", "AMD's GPUs are not used"}, "tpu": {"cpu", "TPUs are not used"}, "xpu": {"cpu", "Intel's GPUs are not used"}, "npu": {"cpu", "NPUs are not used"}},
	"sharding":     {"fsdp": {"zero3", ""}, "full_shard": {"zero3", ""}, "zero-3": {"zero3", ""}, "stage3": {"zero3", ""}, "3": {"zero3", ""}, "deepspeed": {"zero3", ""}, "zero1": {"zero3", "weights are spread too"}, "zero2": {"zero3", "weights are spread too"}, "ddp": {"zero3", "weights are spread, not copied"}, "no": {"none", ""}, "false": {"none", ""}},
	"offload":      {"cpu": {"host", "the memory of the machine"}, "nvme": {"disk", ""}, "ssd": {"disk", ""}, "ram": {"host", ""}, "memory": {"host", ""}, "no": {"none", ""}, "false": {"none", ""}, "true": {"disk", "or host"}},
	"train_on_eos": {"true": {"turn", ""}, "false": {"none", ""}, "yes": {"turn", ""}, "no": {"none", ""}, "assistant": {"turn", ""}},
	"rounding":     {"stoch": {"stochastic", ""}, "sr": {"stochastic", ""}, "round": {"nearest", ""}, "rne": {"nearest", ""}, "even": {"nearest", ""}},
	"report_to":    {"wandb": {"tensorboard", "wandb sync --sync-tensorboard OUTPUT_DIR/runs uploads its files"}, "tensorboardx": {"tensorboard", ""}, "tb": {"tensorboard", ""}, "tfevents": {"tensorboard", ""}, "mlflow": {"json", ownRecord}, "all": {"json", ownRecord}, "none": {"json", "it is always written"}, "comet_ml": {"json", ownRecord}, "swanlab": {"json", ownRecord}, "trackio": {"json", ownRecord}},
	"on_nonfinite": {"error": {"stop", ""}, "raise": {"stop", ""}, "abort": {"stop", ""}, "ignore": {"skip", ""}},
	"type": {
		"chat_template": {"messages", ""}, "chat": {"messages", ""}, "openai": {"messages", ""}, "chatml": {"messages", "with chat_template: chatml for the run"}, "conversation": {"messages", ""}, "conversations": {"sharegpt", ""}, "chat_template.default": {"messages", ""}, "multiturn": {"messages", ""}, "dialog": {"messages", ""},
		"completion": {"text", ""}, "pretrain": {"text", ""}, "pt": {"text", ""}, "plain": {"text", ""}, "raw": {"text", ""}, "corpus": {"text", ""}, "input_output": {"segments", "of the fields text and label"}, "pretokenized": {"tokenized", ""}, "instruct": {"alpaca", "or prompt_completion"}, "instruction": {"alpaca", "or prompt_completion"}, "sft": {"messages", "or alpaca, or prompt_completion"}, "alpaca_chat": {"alpaca", ""}, "qa": {"prompt_completion", ""}, "instruction_response": {"prompt_completion", ""},
		"json": {"messages", "the ending of path says the file's format; type says what a record holds"}, "jsonl": {"messages", "the ending of path says the file's format; type says what a record holds"}, "csv": {"prompt_completion", "the ending of path says the file's format; type says what a record holds"}, "parquet": {"messages", "the ending of path says the file's format; type says what a record holds"}, "txt": {"text", ""},
	},
}

// MeantWord is the value of a key that comes nearest to another trainer's word, and what differs; "" when none does.
func MeantWord(key, value string) (to, note string) {
	if key == "activation_offload" {
		key = "offload"
	}
	w := strings.ToLower(strings.TrimSpace(value))
	if m, known := words[key][w]; known {
		return m.to, m.note
	}
	if key == "type" { // axolotl's alpaca.load_qa
		head, _, _ := strings.Cut(w, ".")
		if m, known := words[key][head]; known {
			return m.to, m.note
		}
		if KnownType(head) {
			return head, ""
		}
	}
	k, _ := find(keys, key)
	if slices.Contains(k.OneOf, w) {
		return w, ""
	}
	return "", ""
}

// instead is the hint for a word that is not one of those a key takes.
func instead(key, value string, can []string) string {
	if to, note := MeantWord(key, value); to != "" && note != "" {
		return fmt.Sprintf("%s: %s is nearest: %s", key, to, note)
	} else if to != "" {
		return fmt.Sprintf("did you mean %q?", to)
	}
	if n := suggest.Nearest(strings.ToLower(value), can); n != "" {
		return fmt.Sprintf("did you mean %q?", n)
	}
	return "it takes " + strings.Join(can, ", ")
}

// pair is the value that a mapping has under a name, nil for none.
func pair(node *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == name {
			return resolve(node.Content[i+1])
		}
	}
	return nil
}
