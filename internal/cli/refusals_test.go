package cli

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"lomo/internal/checkpoint"
	"lomo/internal/job"
	"lomo/internal/tensor"
)

var update = flag.Bool("update", false, "write the golden file anew")

const refusals = "testdata/refusals.golden"

// broken is a model's folder to be broken.
type broken struct {
	t   *testing.T
	dir string
}

func (b broken) path(name string) string { return filepath.Join(b.dir, filepath.FromSlash(name)) }

func (b broken) write(name, text string) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Dir(b.path(name)), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(b.path(name), []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b broken) read(name string) string {
	b.t.Helper()
	raw, err := os.ReadFile(b.path(name))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(raw)
}

func (b broken) remove(names ...string) {
	for _, name := range names {
		if err := os.RemoveAll(b.path(name)); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b broken) rename(from, to string) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Dir(b.path(to)), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Rename(b.path(from), b.path(to)); err != nil {
		b.t.Fatal(err)
	}
}

// config sets a key of config.json to a JSON text; "" removes it.
func (b broken) config(key, value string) {
	b.t.Helper()
	var c map[string]json.RawMessage
	if err := json.Unmarshal([]byte(b.read("config.json")), &c); err != nil {
		b.t.Fatal(err)
	}
	keys := slices.Sorted(maps.Keys(c))
	if c[key] == nil {
		keys = append(keys, key)
	}
	var out strings.Builder
	for _, k := range keys { // not by package json, which refuses what is to be refused here
		v := string(c[k])
		if k == key {
			v = value
		}
		if v != "" {
			fmt.Fprintf(&out, "%s\n  %q: %s", map[bool]string{true: "{", false: ","}[out.Len() == 0], k, v)
		}
	}
	b.write("config.json", out.String()+"\n}\n")
}

// weights writes model.safetensors again, with the tensors that change gives.
func (b broken) weights(change func([]checkpoint.Spec) []checkpoint.Spec, o checkpoint.WriterOptions) {
	b.t.Helper()
	src, err := checkpoint.OpenFile(b.path("model.safetensors"))
	if err != nil {
		b.t.Fatal(err)
	}
	specs := slices.Clone(src.Tensors())
	src.Close()
	if change != nil {
		specs = change(specs)
	}
	w, err := checkpoint.NewWriter(b.dir, specs, o)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, s := range specs {
		n := s.DType.Size()
		for _, d := range s.Shape {
			n *= d
		}
		if err := w.WriteRows(s.Name, 0, make([]byte, n)); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.t.Fatal(err)
	}
}

func (b broken) renamed(f func(name string) string) {
	b.weights(func(specs []checkpoint.Spec) []checkpoint.Spec {
		for i := range specs {
			specs[i].Name = f(specs[i].Name)
		}
		return specs
	}, checkpoint.WriterOptions{})
}

func (b broken) more(names ...string) {
	b.weights(func(specs []checkpoint.Spec) []checkpoint.Spec {
		for _, name := range names {
			specs = append(specs, checkpoint.Spec{Name: name, DType: tensor.F32, Shape: []int{2, 2}})
		}
		return specs
	}, checkpoint.WriterOptions{})
}

func (b broken) without(is func(name string) bool) {
	b.weights(func(specs []checkpoint.Spec) []checkpoint.Spec {
		return slices.DeleteFunc(specs, func(s checkpoint.Spec) bool { return is(s.Name) })
	}, checkpoint.WriterOptions{})
}

// safetensors is a file with one tensor.
func safetensors(name, dtype string, size int) string {
	table := fmt.Sprintf(`{%q:{"dtype":%q,"shape":[1],"data_offsets":[0,%d]}}`, name, dtype, size)
	return string(binary.LittleEndian.AppendUint64(nil, uint64(len(table)))) + table + strings.Repeat("\x00", size)
}

// gguf is a GGUF file of version 3: texts of the metadata, and tensors of one row of 256 of a type.
func gguf(kv map[string]any, typ uint32, tensors ...string) string {
	var b bytes.Buffer
	put := func(values ...any) {
		for _, v := range values {
			if s, ok := v.(string); ok {
				binary.Write(&b, binary.LittleEndian, uint64(len(s)))
				b.WriteString(s)
				continue
			}
			binary.Write(&b, binary.LittleEndian, v)
		}
	}
	b.WriteString("GGUF")
	put(uint32(3), uint64(len(tensors)), uint64(len(kv)))
	for _, key := range slices.Sorted(maps.Keys(kv)) {
		switch v := kv[key].(type) {
		case string:
			put(key, uint32(8), v)
		case uint16:
			put(key, uint32(2), v)
		}
	}
	for i, name := range tensors {
		put(name, uint32(2), uint64(256), uint64(1), typ, uint64(i*1024))
	}
	b.Write(make([]byte, (32-b.Len()%32)%32+1024*len(tensors)))
	return b.String()
}

const (
	pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 4976698672\n"
	page    = "<!DOCTYPE html>\n<html class=\"\"><head><title>model</title></head></html>\n"
	sha1    = "0123456789012345678901234567890123456789"
	sha2    = "abcdefabcdefabcdefabcdefabcdefabcdefabcd"
)

func tarFile() string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	w.WriteHeader(&tar.Header{Name: "config.json", Size: 2, Mode: 0o644})
	w.Write([]byte("{}"))
	w.Close()
	return b.String()
}

// whatBreaks are the broken inputs; each returns the path to give as the model, "" for the folder.
var whatBreaks = map[string]func(b broken) string{
	// Other things in place of a file.
	"lfs: weights":                func(b broken) string { b.write("model.safetensors", pointer); return "" },
	"lfs: tokenizer.json":         func(b broken) string { b.write("tokenizer.json", pointer); return "" },
	"lfs: tokenizer's config":     func(b broken) string { b.write("tokenizer_config.json", pointer); return "" },
	"lfs: generation_config":      func(b broken) string { b.write("generation_config.json", pointer); return "" },
	"lfs: chat template":          func(b broken) string { b.write("chat_template.jinja", pointer); return "" },
	"cut: tokenizer":              func(b broken) string { b.write("tokenizer.json", b.read("tokenizer.json")[:200]); return "" },
	"tokenizer: list":             func(b broken) string { b.write("tokenizer.json", "[]"); return "" },
	"config: far too many layers": func(b broken) string { b.config("num_hidden_layers", "16777216"); return "" },
	"config: no family":           func(b broken) string { b.config("model_type", ""); return "" },
	"lfs: tokenizer.model":        func(b broken) string { b.remove("tokenizer.json"); b.write("tokenizer.model", pointer); return "" },
	"lfs: config.json":            func(b broken) string { b.write("config.json", pointer); return "" },
	"lfs: torch":                  func(b broken) string { b.remove("model.safetensors"); b.write("pytorch_model.bin", pointer); return "" },
	"lfs: gguf":                   func(b broken) string { b.write("m.gguf", pointer); return "m.gguf" },
	"lfs: shard": func(b broken) string {
		b.weights(nil, checkpoint.WriterOptions{MaxShardSize: 100_000})
		shards, _ := filepath.Glob(b.path("model-*.safetensors"))
		b.write(filepath.Base(shards[1]), pointer)
		return ""
	},
	"lfs: meta": func(b broken) string {
		b.remove("model.safetensors", "config.json")
		b.write("params.json", `{"dim": 64, "n_layers": 2, "n_heads": 4, "norm_eps": 1e-5}`)
		b.write("consolidated.00.pth", pointer)
		return ""
	},
	"page: weights":    func(b broken) string { b.write("model.safetensors", page); return "" },
	"page: gguf":       func(b broken) string { b.write("m.gguf", page); return "m.gguf" },
	"page: config":     func(b broken) string { b.write("config.json", page); return "" },
	"page: tokenizer":  func(b broken) string { b.write("tokenizer.json", page); return "" },
	"message: weights": func(b broken) string { b.write("model.safetensors", "Invalid username or password."); return "" },
	"gzip: weights":    func(b broken) string { b.write("model.safetensors", "\x1f\x8b\x08\x00data"); return "" },
	"gzip: gguf":       func(b broken) string { b.write("m.gguf", "\x1f\x8b\x08\x00data"); return "m.gguf" },
	"tar: weights":     func(b broken) string { b.write("model.safetensors", tarFile()); return "" },
	"zstd: torch": func(b broken) string {
		b.remove("model.safetensors")
		b.write("pytorch_model.bin", "\x28\xb5\x2f\xfd0000")
		return ""
	},
	"zip: weights": func(b broken) string { b.write("model.safetensors", "PK\x03\x04aaaaaaaa"); return "" },
	"zip: gguf":    func(b broken) string { b.write("m.gguf", "PK\x03\x04aaaaaaaa"); return "m.gguf" },
	"gguf as safetensors": func(b broken) string {
		b.write("model.safetensors", gguf(nil, 0))
		return ""
	},
	"safetensors as gguf":  func(b broken) string { b.rename("model.safetensors", "m.gguf"); return "m.gguf" },
	"safetensors as torch": func(b broken) string { b.rename("model.safetensors", "pytorch_model.bin"); return "" },
	"archive given":        func(b broken) string { b.write("model.tar.gz", "\x1f\x8b\x08\x00data"); return "model.tar.gz" },

	// Damage.
	"empty: weights":   func(b broken) string { b.write("model.safetensors", ""); return "" },
	"empty: config":    func(b broken) string { b.write("config.json", ""); return "" },
	"empty: tokenizer": func(b broken) string { b.write("tokenizer.json", ""); return "" },
	"empty: gguf":      func(b broken) string { b.write("m.gguf", ""); return "m.gguf" },
	"cut: weights": func(b broken) string {
		s := b.read("model.safetensors")
		b.write("model.safetensors", s[:len(s)-4000])
		return ""
	},
	"cut: header":    func(b broken) string { b.write("model.safetensors", b.read("model.safetensors")[:500]); return "" },
	"cut: length":    func(b broken) string { b.write("model.safetensors", "\x10\x00\x00"); return "" },
	"cut: beginning": func(b broken) string { b.write("model.safetensors", b.read("model.safetensors")[100:]); return "" },
	"cut: gguf": func(b broken) string {
		s := gguf(map[string]any{"general.architecture": "llama"}, 0, "a")
		b.write("m.gguf", s[:len(s)-1])
		return "m.gguf"
	},
	"cut: gguf header": func(b broken) string {
		b.write("m.gguf", gguf(map[string]any{"general.architecture": "llama"}, 0, "a")[:40])
		return "m.gguf"
	},
	"cut: torch": func(b broken) string {
		b.remove("model.safetensors")
		b.write("pytorch_model.bin", "PK\x03\x04"+strings.Repeat("x", 500))
		return ""
	},
	"cut: config":    func(b broken) string { s := b.read("config.json"); b.write("config.json", s[:len(s)/2]); return "" },
	"more: weights":  func(b broken) string { b.write("model.safetensors", b.read("model.safetensors")+"tail"); return "" },
	"noise: weights": func(b broken) string { b.write("model.safetensors", strings.Repeat("noise ", 99)); return "" },

	// config.json.
	"config: infinity": func(b broken) string { b.config("rope_theta", "Infinity"); return "" },
	"config: nan":      func(b broken) string { b.config("x", "[0.0, NaN]"); return "" },
	"config: text":     func(b broken) string { b.config("num_hidden_layers", `"2"`); return "" },
	"config: fraction": func(b broken) string { b.config("hidden_size", "64.5"); return "" },
	"config: list":     func(b broken) string { b.write("config.json", "[1]"); return "" },
	"config: python":   func(b broken) string { b.config("tie_word_embeddings", "True"); return "" },
	"config: comma":    func(b broken) string { b.write("config.json", "{\n  \"model_type\": \"llama\",\n}\n"); return "" },
	"config: missing":  func(b broken) string { b.remove("config.json"); return "" },
	"config: quantised": func(b broken) string {
		b.config("quantization_config", `{"quant_method": "gptq", "bits": 4}`)
		return ""
	},
	"config: other size": func(b broken) string { b.config("hidden_size", "128"); return "" },
	"config: more":       func(b broken) string { b.config("num_hidden_layers", "30"); return "" },
	"config: fewer":      func(b broken) string { b.config("num_hidden_layers", "1"); return "" },
	"config: untied":     func(b broken) string { b.config("tie_word_embeddings", "false"); return "" },

	// Files of a set.
	"shards: no index, one missing": func(b broken) string {
		b.weights(nil, checkpoint.WriterOptions{MaxShardSize: 100_000})
		shards, _ := filepath.Glob(b.path("model-*.safetensors"))
		b.remove("model.safetensors.index.json", filepath.Base(shards[1]))
		return ""
	},
	"shards: two sets": func(b broken) string {
		b.rename("model.safetensors", "model-00001-of-00001.safetensors")
		b.write("model-00001-of-00002.safetensors", "")
		return ""
	},
	"index: missing shards": func(b broken) string {
		b.weights(nil, checkpoint.WriterOptions{MaxShardSize: 100_000})
		shards, _ := filepath.Glob(b.path("model-*.safetensors"))
		for _, s := range shards[1:] {
			b.remove(filepath.Base(s))
		}
		return ""
	},
	"index: alone": func(b broken) string {
		b.weights(nil, checkpoint.WriterOptions{MaxShardSize: 100_000})
		shards, _ := filepath.Glob(b.path("model-*.safetensors"))
		for _, s := range shards {
			b.remove(filepath.Base(s))
		}
		return ""
	},
	"index: of torch, alone": func(b broken) string {
		b.remove("model.safetensors")
		b.write("pytorch_model.bin.index.json", `{"weight_map": {"a": "pytorch_model-00001-of-00002.bin", "b": "pytorch_model-00002-of-00002.bin"}}`)
		return ""
	},
	"index: wrong type": func(b broken) string {
		b.remove("model.safetensors")
		b.write("model.safetensors.index.json", `{"weight_map": ["a"]}`)
		return ""
	},
	"index: empty map": func(b broken) string {
		b.remove("model.safetensors")
		b.write("model.safetensors.index.json", `{"weight_map": {}}`)
		return ""
	},
	"index: leads out": func(b broken) string {
		b.remove("model.safetensors")
		b.write("model.safetensors.index.json", `{"weight_map": {"a": "../b.safetensors"}}`)
		return ""
	},
	"index: other tensor": func(b broken) string {
		b.rename("model.safetensors", "x.safetensors")
		b.write("model.safetensors.index.json", `{"weight_map": {"a": "x.safetensors"}}`)
		return ""
	},
	"index: more": func(b broken) string {
		b.remove("model.safetensors")
		b.write("x.safetensors", safetensors("a", "F32", 4))
		b.write("model.safetensors.index.json", `{"weight_map": {"a": "x.safetensors", "b": "x.safetensors", "c": "x.safetensors"}}`)
		return ""
	},
	"link to nothing": func(b broken) string {
		b.remove("model.safetensors")
		os.Symlink("../../blobs/"+sha1, b.path("model.safetensors"))
		return ""
	},
	"link out": func(b broken) string {
		b.write("../secret", `{"a": 1}`)
		os.Symlink("../secret", b.path("vocab.json"))
		return ""
	},

	// Folders of other kinds.
	"adapter": func(b broken) string {
		b.remove("model.safetensors", "config.json")
		b.write("adapter_config.json", `{"peft_type": "LORA", "base_model_name_or_path": "meta-llama/Llama-3.1-8B"}`)
		b.write("adapter_model.safetensors", safetensors("a", "F32", 4))
		return ""
	},
	"adapter beside a model": func(b broken) string {
		b.write("adapter_config.json", `{"base_model_name_or_path": "base"}`)
		return ""
	},
	"adapter without config": func(b broken) string { b.remove("model.safetensors"); b.write("adapter_model.bin", "x"); return "" },
	"adapter of another kind": func(b broken) string {
		b.remove("model.safetensors")
		b.write("adapter_config.json", `{"peft_type": "IA3"}`)
		return ""
	},
	"hub: two snapshots": func(b broken) string {
		b.write("hub/models--a--b/snapshots/"+sha1+"/config.json", "{}")
		b.write("hub/models--a--b/snapshots/"+sha2+"/config.json", "{}")
		return "hub/models--a--b"
	},
	"hub: no snapshot": func(b broken) string { b.write("hub/models--a--b/snapshots/x", ""); return "hub/models--a--b" },
	"hub: main is gone": func(b broken) string {
		b.write("hub/models--a--b/snapshots/"+sha1+"/config.json", "{}")
		b.write("hub/models--a--b/refs/main", sha2)
		return "hub/models--a--b"
	},
	"hub: the cache": func(b broken) string { b.write("hub/models--a--b/refs/main", sha2); return "hub" },
	"meta: no params": func(b broken) string {
		b.remove("model.safetensors", "config.json")
		b.write("consolidated.00.pth", "PK\x03\x04")
		return ""
	},
	"meta: no parts": func(b broken) string {
		b.remove("model.safetensors", "config.json")
		b.write("params.json", "{}")
		return ""
	},
	"meta: in a folder": func(b broken) string {
		b.remove("model.safetensors", "config.json")
		b.write("original/params.json", "{}")
		return ""
	},
	"mistral":          func(b broken) string { b.rename("model.safetensors", "consolidated.safetensors"); return "" },
	"gguf in a folder": func(b broken) string { b.remove("model.safetensors"); b.write("m-Q4_K_M.gguf", ""); return "" },
	"gguf alone": func(b broken) string {
		b.remove("model.safetensors", "config.json")
		b.write("m-Q4_K_M.gguf", "")
		return ""
	},
	"keras":     func(b broken) string { b.remove("model.safetensors"); b.write("tf_model.h5", ""); return "" },
	"flax":      func(b broken) string { b.remove("model.safetensors"); b.write("flax_model.msgpack", ""); return "" },
	"lightning": func(b broken) string { b.remove("model.safetensors"); b.write("epoch=3.ckpt", ""); return "" },
	"onnx":      func(b broken) string { b.remove("model.safetensors"); b.write("onnx/model.onnx", ""); return "" },
	"mlx, old":  func(b broken) string { b.remove("model.safetensors"); b.write("weights.npz", ""); return "" },
	"diffusers": func(b broken) string {
		b.remove("model.safetensors", "config.json")
		b.write("model_index.json", "{}")
		return ""
	},
	"deepspeed": func(b broken) string { b.remove("model.safetensors"); b.write("zero_to_fp32.py", ""); return "" },
	"distcp":    func(b broken) string { b.remove("model.safetensors"); b.write("__0_0.distcp", ""); return "" },
	"pull begun": func(b broken) string {
		if err := os.Mkdir(filepath.Join(b.dir, ".lomo-pull"), 0o755); err != nil {
			b.t.Fatal(err)
		}
		b.rename("model.safetensors", ".lomo-pull/0123.incomplete")
		return ""
	},
	"unfinished":       func(b broken) string { b.rename("model.safetensors", "model.safetensors.incomplete"); return "" },
	"other name":       func(b broken) string { b.rename("model.safetensors", "llama.safetensors"); return "" },
	"other name, pth":  func(b broken) string { b.rename("model.safetensors", "llama.pth"); return "" },
	"a level above":    func(b broken) string { b.write("up/m/config.json", "{}"); return "up" },
	"checkpoints only": func(b broken) string { b.write("run/checkpoint-7/config.json", "{}"); return "run" },
	"tokenizer only":   func(b broken) string { b.remove("model.safetensors", "config.json"); return "" },
	"nothing":          func(b broken) string { b.write("x/y/z", ""); return "x" },
	"no tokenizer":     func(b broken) string { b.remove("tokenizer.json", "tokenizer_config.json"); return "" },
	"weights given":    func(b broken) string { return "model.safetensors" },
	"config given":     func(b broken) string { return "config.json" },
	"no such path":     func(b broken) string { return "owner/name" },

	// Tensors.
	"names: torch.compile": func(b broken) string { b.renamed(func(n string) string { return "_orig_mod." + n }); return "" },
	"names: parallel":      func(b broken) string { b.renamed(func(n string) string { return "module." + n }); return "" },
	"names: fsdp": func(b broken) string {
		b.renamed(func(n string) string { return "_fsdp_wrapped_module." + n })
		return ""
	},
	"names: peft": func(b broken) string { b.renamed(func(n string) string { return "base_model.model." + n }); return "" },
	"names: inside": func(b broken) string {
		b.renamed(func(n string) string { return strings.Replace(n, "model.", "model._orig_mod.", 1) })
		return ""
	},
	"names: another model": func(b broken) string { b.renamed(func(n string) string { return "transformer." + n }); return "" },
	"names: both":          func(b broken) string { b.more("embed_tokens.weight"); return "" },
	"missing one": func(b broken) string {
		b.without(func(n string) bool { return strings.HasSuffix(n, "layers.1.mlp.up_proj.weight") })
		return ""
	},
	"missing many": func(b broken) string {
		b.without(func(n string) bool { return strings.Contains(n, "layers.1.") })
		return ""
	},
	"too many": func(b broken) string { b.more("visual.a", "visual.b", "visual.c"); return "" },
	"biases":   func(b broken) string { b.more("model.layers.0.mlp.up_proj.bias"); return "" },
	"too many for mistral": func(b broken) string {
		b.config("model_type", `"mistral"`)
		b.config("architectures", `["MistralForCausalLM"]`)
		b.more("model.layers.0.self_attn.q_norm.weight")
		return ""
	},
	"llama as phi3": func(b broken) string {
		b.config("model_type", `"phi3"`)
		b.config("architectures", `["Phi3ForCausalLM"]`)
		b.config("pad_token_id", "null")
		return ""
	},
	"lora inside": func(b broken) string {
		b.more("model.layers.0.self_attn.q_proj.lora_A.weight", "model.layers.0.self_attn.q_proj.lora_B.weight")
		return ""
	},
	"gptq": func(b broken) string {
		b.more("model.layers.0.mlp.up_proj.qweight", "model.layers.0.mlp.up_proj.qzeros")
		return ""
	},
	"mlx": func(b broken) string {
		b.more("model.layers.0.mlp.up_proj.scales", "model.layers.0.mlp.up_proj.biases")
		return ""
	},
	"fp8 scales":   func(b broken) string { b.more("model.layers.0.mlp.up_proj.weight_scale_inv"); return "" },
	"bitsandbytes": func(b broken) string { b.more("model.layers.0.mlp.up_proj.weight.absmax"); return "" },
	"fp8": func(b broken) string {
		b.write("model.safetensors", safetensors("model.embed_tokens.weight", "F8_E4M3", 1))
		return ""
	},
	"u32": func(b broken) string {
		b.write("model.safetensors", safetensors("model.embed_tokens.weight", "U32", 4))
		return ""
	},
	"int8": func(b broken) string {
		b.weights(func(specs []checkpoint.Spec) []checkpoint.Spec {
			for i := range specs {
				if len(specs[i].Shape) == 2 {
					specs[i].DType = tensor.I8
				}
			}
			return specs
		}, checkpoint.WriterOptions{})
		return ""
	},

	// GGUF files.
	"gguf: architecture": func(b broken) string {
		b.write("m.gguf", gguf(map[string]any{"general.architecture": "deepseek2"}, 0, "a"))
		return "m.gguf"
	},
	"gguf: projector": func(b broken) string {
		b.write("m.gguf", gguf(map[string]any{"general.architecture": "clip"}, 0, "a"))
		return "m.gguf"
	},
	"gguf: projector, typed": func(b broken) string {
		b.write("m.gguf", gguf(map[string]any{"general.architecture": "llama", "general.type": "mmproj"}, 0, "a"))
		return "m.gguf"
	},
	"gguf: lora": func(b broken) string {
		b.write("m.gguf", gguf(map[string]any{"general.architecture": "llama", "general.type": "adapter", "general.base_model.0.name": "Llama 3.1 8B"}, 0, "a"))
		return "m.gguf"
	},
	"gguf: imatrix": func(b broken) string {
		b.write("m.gguf", gguf(map[string]any{"general.type": "imatrix"}, 0, "a"))
		return "m.gguf"
	},
	"gguf: vocabulary": func(b broken) string {
		b.write("m.gguf", gguf(map[string]any{"general.architecture": "llama"}, 0))
		return "m.gguf"
	},
	"gguf: no model":   func(b broken) string { b.write("m.gguf", gguf(nil, 0, "a")); return "m.gguf" },
	"gguf: version 1":  func(b broken) string { b.write("m.gguf", "GGUF\x01\x00\x00\x00aaaaaaaaaaaaaaaa"); return "m.gguf" },
	"gguf: big-endian": func(b broken) string { b.write("m.gguf", "GGUF\x00\x00\x00\x03aaaaaaaaaaaaaaaa"); return "m.gguf" },
	"gguf: GGJT":       func(b broken) string { b.write("m.gguf", "tjgg\x03\x00\x00\x00aaaaaaaaaaaaaaaa"); return "m.gguf" },
	"gguf: part": func(b broken) string {
		b.write("m-00002-of-00003.gguf", gguf(map[string]any{"split.no": uint16(1), "split.count": uint16(3)}, 0, "a"))
		return "m-00002-of-00003.gguf"
	},
	"gguf: part renamed": func(b broken) string {
		b.write("m.gguf", gguf(map[string]any{"split.no": uint16(0), "split.count": uint16(3)}, 0, "a"))
		return "m.gguf"
	},
	"gguf: other tensors": func(b broken) string {
		b.write("m.gguf", whole(b, "blk.0.ssm_a.weight", "blk.1.ssm_a.weight"))
		return "m.gguf"
	},
	"gguf: IQ2_XXS":      func(b broken) string { b.write("m.gguf", typed(b, 16)); return "m.gguf" },
	"gguf: IQ2_XS":       func(b broken) string { b.write("m.gguf", typed(b, 17)); return "m.gguf" },
	"gguf: unknown type": func(b broken) string { b.write("m.gguf", typed(b, 77)); return "m.gguf" },
}

// llama is the small GGUF model of package checkpoint.
func llama(b broken) []byte {
	raw, err := os.ReadFile("../checkpoint/testdata/llama.gguf")
	if err != nil {
		b.t.Fatal(err)
	}
	return raw
}

// whole is that model with tensors called otherwise, by names of the same length.
func whole(b broken, names ...string) string {
	raw := llama(b)
	for i, name := range names {
		old := fmt.Sprintf("blk.%d.attn_q.weight", i)
		raw = bytes.Replace(raw, []byte(old), []byte(name+strings.Repeat("t", len(old)-len(name))), 1)
	}
	return string(raw)
}

// typed is that model with another encoding of the matrix of block 0's query.
func typed(b broken, typ uint32) string {
	raw := llama(b)
	name := []byte("blk.0.attn_q.weight")
	at := bytes.Index(raw, name) + len(name) + 4 + 8*int(binary.LittleEndian.Uint32(raw[bytes.Index(raw, name)+len(name):]))
	binary.LittleEndian.PutUint32(raw[at:], typ)
	return string(raw)
}

var goWords = regexp.MustCompile(`json: (cannot|invalid|un)|Go |unmarshal|strconv|interface|\bnil\b|%!|EOF|runtime|struct field|\[\]|0x[0-9a-f]{9}`)

// TestRefusals gives the program what is broken in many ways. What it says is the golden file: an error in one line, a way out in
// the next, the path once, no word of Go, and never a panic or success.
func TestRefusals(t *testing.T) {
	base := filepath.Join(t.TempDir(), "base")
	if _, err := job.New(job.NewOptions{Preset: "tiny", Dir: base, DType: "f32", Seed: 1}); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(whatBreaks)) {
		root := t.TempDir()
		b := broken{t, filepath.Join(root, "m")}
		if err := os.CopyFS(b.dir, os.DirFS(base)); err != nil {
			t.Fatal(err)
		}
		given := b.path(whatBreaks[name](b))
		_, _, err := command(func(s *Streams) *cobra.Command { return newGenerateCmd(s, runGenerate) }, "", "--model", given, "--prompt", "a", "--max-new-tokens", "1", "--device", "cpu", "--threads", "1")
		if err == nil {
			t.Errorf("%s: it loads", name)
			continue
		}
		if code := exitCode(err); code != 1 {
			t.Errorf("%s: exit code %d", name, code)
		}
		var said bytes.Buffer
		printError(&said, err)
		text := strings.ReplaceAll(said.String(), root+"/", "")
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if len(lines) != 2 || !strings.HasPrefix(lines[0], "lomo: error: ") || !strings.HasPrefix(lines[1], "lomo: hint: ") {
			t.Errorf("%s: not an error and a hint: %s", name, text)
		}
		for _, l := range lines {
			if len(l) > 330 {
				t.Errorf("%s: a line of %d bytes: %s", name, len(l), l)
			}
		}
		if w := goWords.FindString(text); w != "" {
			t.Errorf("%s: says %q: %s", name, w, text)
		}
		fmt.Fprintf(&out, "## %s\n%s\n", name, text)
	}
	if *update {
		if err := os.WriteFile(refusals, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(refusals)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != out.String() {
		t.Errorf("not as in %s (go test ./internal/cli -run Refusals -update writes it):\n%s", refusals, firstDifference(string(want), out.String()))
	}
}

// firstDifference is where two texts part.
func firstDifference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d\n- %s\n+ %s", i+1, a[i], b[i])
		}
	}
	return "one is longer"
}
