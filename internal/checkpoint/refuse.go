package checkpoint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lomo/internal/fault"
	"lomo/internal/hub"
	"lomo/internal/strictjson"
)

// elsewhere are the files by which other programs and formats are told, in the order in which they are looked for; NAME in
// the advice is the first file found.
var elsewhere = []struct{ glob, what, advice string }{
	{".lomo-pull/*.incomplete", "a download that `lomo pull` has begun", "give the same `lomo pull` again: it goes on from there"},
	{"model.safetensors.index.json", "an index without its shards", "download the files that NAME lists"},
	{"*.gguf", "a GGUF file", "give its path: NAME"},
	{"consolidated*.safetensors", "weights in Mistral's own layout", "take the Hugging Face files of the model (model-0000x-of-0000y.safetensors), or convert these with transformers"},
	{"consolidated.*.pth", "Meta's parts without their params.json", "download params.json too"},
	{"params.json", "Meta's params.json without consolidated.*.pth", "download consolidated.00.pth and so on too"},
	{"original/params.json", "Meta's files in original/", "give that folder, or download the Hugging Face files beside it"},
	{"model_index.json", "a diffusion pipeline", "give the folder of a language model"},
	{"*.h5", "TensorFlow weights", "convert them: AutoModelForCausalLM.from_pretrained(dir, from_tf=True).save_pretrained(dir)"},
	{"*.msgpack", "Flax weights", "convert them: AutoModelForCausalLM.from_pretrained(dir, from_flax=True).save_pretrained(dir)"},
	{"*.ckpt.index", "TensorFlow weights", "convert them with transformers, from_tf=True"},
	{"*.ckpt", "a PyTorch Lightning checkpoint", "load it in PyTorch and save the model: model.save_pretrained(dir)"},
	{"*.onnx", "an ONNX model, which cannot be trained", "take the model's safetensors files"},
	{"onnx/*.onnx", "an ONNX model, which cannot be trained", "take the model's safetensors files"},
	{"*.npz", "MLX weights", "take the Hugging Face files the MLX model was made from"},
	{"weights.*.safetensors", "MLX weights", "take the Hugging Face files the MLX model was made from"},
	{"*.distcp", "a sharded PyTorch checkpoint", "merge it: python -m torch.distributed.checkpoint.format_utils dcp_to_torch, then save the model"},
	{"zero_to_fp32.py", "a DeepSpeed checkpoint", "run zero_to_fp32.py in it"},
	{"global_step*", "a DeepSpeed checkpoint", "run zero_to_fp32.py beside it"},
	{"*.nemo", "a NeMo archive", "convert it to Hugging Face files"},
	{"*.ot", "weights of rust-bert", "take the model's safetensors files"},
	{"*.incomplete", "an unfinished download", "download the model again"},
	{"*.part", "an unfinished download", "download the model again"},
	{"*.crdownload", "an unfinished download", "download the model again"},
	{"*.safetensors", "a safetensors file of another name", "name it model.safetensors if it holds the whole model: NAME"},
	{"*.bin", "a file of another name than pytorch_model.bin", "name it pytorch_model.bin if it holds the whole model: NAME"},
	{"*.pth", "a PyTorch file of another name", "name it pytorch_model.bin if it holds the names of Hugging Face"},
	{"*.pt", "a PyTorch file of another name", "name it pytorch_model.bin if it holds the names of Hugging Face"},
	{"checkpoint-*", "a run whose model is not there yet", "give one of its checkpoints: NAME"},
	{"*/config.json", "a model in a folder of its own", "give that folder: NAME"},
	{"tokenizer*", "a tokenizer only", "download the model's weights too"},
}

const downloadAll = "download the model again, all its files: config.json, *.safetensors, the tokenizer's"

// without says what a folder holds in place of what is missing.
func without(dir, missing string) error {
	for _, e := range elsewhere {
		found := hub.Glob(dir, e.glob)
		found = slices.DeleteFunc(found, func(path string) bool {
			base := filepath.Base(path)
			return base == "training_args.bin" || base == "optimizer.pt" || base == "scheduler.pt" || strings.HasPrefix(base, "lomo_state") || strings.HasPrefix(base, "rng_state")
		})
		if len(found) == 0 || missing == configName && strings.HasPrefix(e.what, "an index") {
			continue
		}
		first := found[0]
		if strings.HasSuffix(e.glob, "/config.json") {
			first = filepath.Dir(first)
		}
		name, err := filepath.Rel(dir, first)
		if err != nil {
			return err
		}
		return fault.Refuse(strings.ReplaceAll(e.advice, "NAME", fault.Line(first)), "%s: no %s; it holds %s: %s", dir, missing, e.what, fault.Line(name))
	}
	return fault.Refuse(downloadAll, "%s: no %s", dir, missing)
}

// refuseAdapter tells a folder of adapters, also one beside a model: transformers would load the adapter's base instead.
func refuseAdapter(dir string) error {
	raw, err := readSmall(filepath.Join(dir, "adapter_config.json"), maxConfig)
	if err != nil {
		if found := hub.Glob(dir, "adapter_model.*"); len(found) > 0 {
			return fault.Refuse("merge it into its base model: PeftModel.from_pretrained(base, dir).merge_and_unload().save_pretrained(out)",
				"%s: a LoRA adapter (%s), not a model", dir, filepath.Base(found[0]))
		}
		return nil
	}
	var adapter struct {
		Base string `json:"base_model_name_or_path"`
		Type string `json:"peft_type"`
	}
	_ = json.Unmarshal(raw, &adapter) // what it says is for the message alone
	kind, base := "a LoRA adapter", "its base model"
	if adapter.Type != "" && adapter.Type != "LORA" {
		kind = "an adapter (" + fault.Line(adapter.Type) + ")"
	}
	if adapter.Base != "" {
		base = fault.Line(adapter.Base)
	}
	if exists(filepath.Join(dir, singleName)) || exists(filepath.Join(dir, indexName)) {
		return fault.Refuse("keep one of them: move adapter_config.json away to train the model of this folder",
			"%s: a model and %s of %s (adapter_config.json): which is meant is not known", dir, kind, base)
	}
	return fault.Refuse("train "+base+" itself, or merge the adapter first: PeftModel.from_pretrained(base, dir).merge_and_unload().save_pretrained(out)",
		"%s: %s of %s (adapter_config.json), not a model", dir, kind, base)
}

// dangling is an error for a name that is there and leads nowhere, as in a cache whose blob was removed.
func dangling(path string) error {
	if _, err := os.Lstat(path); err != nil || exists(path) {
		return nil
	}
	if err := fault.Dangling(path); err != nil {
		return err
	}
	return fault.Refuse("give a folder of ordinary files", "%s: not a regular file", path)
}

// readConfig reads config.json.
func readConfig(dir string) ([]byte, error) {
	path := filepath.Join(dir, configName)
	if err := dangling(path); err != nil {
		return nil, err
	}
	if !exists(path) {
		for _, name := range []string{singleName, indexName, torchName, torchIndexName} {
			if exists(filepath.Join(dir, name)) {
				return nil, fault.Refuse("copy config.json from the model that these weights belong to", "%s: %s without config.json", dir, name)
			}
		}
		return nil, without(dir, configName)
	}
	raw, err := readObject(path, maxConfig)
	return raw, err
}

// readObject reads a JSON object.
func readObject(path string, limit int64) ([]byte, error) {
	raw, err := readSmall(path, limit)
	if err != nil {
		return nil, err
	}
	if err := fault.Other(raw[:min(len(raw), 512)], int64(len(raw)), "JSON"); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := strictjson.FewNames(raw); err != nil {
		return nil, fault.Refuse("is it the file of a model? download it again", "%s: %w", path, err)
	}
	var object map[string]json.RawMessage
	if err := fault.JSON(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")), &object); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if object == nil {
		return nil, fault.Refuse("copy the file again", "%s: null, want a JSON object", path)
	}
	return raw, nil
}

// packed are endings of names by which weights are told that a quantiser has packed.
var packed = []struct{ ending, by string }{
	{".qweight", "GPTQ or AWQ"}, {".qzeros", "GPTQ or AWQ"}, {".weight_packed", "compressed-tensors"}, {".weight_scale_inv", "an FP8 quantiser"}, {".weight_scale", "an FP8 quantiser"},
	{".SCB", "bitsandbytes (8 bit)"}, {".absmax", "bitsandbytes (4 bit)"}, {".quant_map", "bitsandbytes (4 bit)"}, {".W_q", "HQQ"}, {".q_weight", "ExLlama"}, {".weight_blocks", "MXFP4"},
	{"_proj_blocks", "MXFP4"}, {".scales", "MLX"},
}

// refuseTensors refuses tables of which no model can be made, by the reason.
func (t *table) refuseTensors() error {
	for _, p := range packed {
		if n, first := t.count(func(name string) bool { return strings.HasSuffix(name, p.ending) }); n > 0 {
			return fault.Refuse("take the model's files in bf16, f16 or f32: training needs all bits of the weights", "%s: weights quantised by %s (%s %q)", t.path, p.by, fault.Count(n, "tensor"), first)
		}
	}
	if n, first := t.count(func(name string) bool {
		return strings.Contains(name, ".lora_A.") || strings.Contains(name, ".lora_B.")
	}); n > 0 {
		return fault.Refuse("merge the adapter first (merge_and_unload in PEFT) and save the merged model", "%s: tensors of a LoRA adapter among the weights (%s %q)", t.path, fault.Count(n, "tensor"), first)
	}
	for _, w := range wrappers {
		n, first := t.count(func(name string) bool {
			return strings.HasPrefix(name, w.prefix) || strings.HasPrefix(name, "model."+w.prefix)
		})
		if n > 0 {
			return fault.Refuse(fmt.Sprintf("rename them and save again: {k.replace(%q, \"\"): v for k, v in state.items()}", w.prefix),
				"%s: names of tensors begin with %q, left by %s (%s %q); transformers would not load them either", t.path, w.prefix, w.by, fault.Count(n, "tensor"), first)
		}
	}
	return nil
}

// wrappers are what programs put before the names of the model they have wrapped. Transformers 5.24 takes such tensors for
// unknown ones and leaves the weights random.
var wrappers = []struct{ prefix, by string }{
	{"_orig_mod.", "torch.compile"}, {"module.", "DataParallel"}, {"_fsdp_wrapped_module.", "FSDP"}, {"_forward_module.", "Lightning"}, {"base_model.model.", "PEFT"},
}

func (t *table) count(is func(name string) bool) (n int, first string) {
	for _, info := range t.order {
		if is(info.Name) {
			if n++; n == 1 {
				first = fault.Line(info.Name)
			}
		}
	}
	return n, first
}

// tieToHead takes the head for the embedding where they are one matrix and the file holds it under the head's name alone: writers that leave out
// what is shared keep the first name. So transformers loads it.
func (f *folder) tieToHead() {
	const embedding, head = "model.embed_tokens.weight", "lm_head.weight"
	var config map[string]json.RawMessage
	s := f.tensors[head]
	if s == nil || f.tensors[embedding] != nil || json.Unmarshal(bytes.TrimPrefix(f.config, []byte("\xef\xbb\xbf")), &config) != nil || string(config["tie_word_embeddings"]) != "true" {
		return
	}
	for i := range f.order {
		if f.order[i].Name == head {
			f.order[i].Name = embedding
		}
	}
	s.info.Name = embedding
	f.tensors[embedding] = s
	delete(f.tensors, head)
}

// canonical gives the tensors the names that the model has, where the prefix "model." is missing or doubled: so transformers
// loads them.
func (t *table) canonical() error {
	for i := range t.order {
		old := t.order[i].Name
		name := old
		for strings.HasPrefix(name, "model.model.") {
			name = strings.TrimPrefix(name, "model.")
		}
		switch {
		case strings.HasPrefix(name, "model.lm_head."):
			name = strings.TrimPrefix(name, "model.")
		case strings.HasPrefix(name, "layers."), strings.HasPrefix(name, "embed_tokens."), name == "norm.weight":
			name = "model." + name
		}
		if name == old {
			continue
		}
		if t.tensors[name] != nil {
			return fault.Refuse("keep one of them", "%s: tensors %q and %q are the same weight", t.path, fault.Line(old), fault.Line(name))
		}
		s := t.tensors[old]
		delete(t.tensors, old)
		s.info.Name, t.order[i].Name = name, name
		t.tensors[name] = s
	}
	return nil
}
