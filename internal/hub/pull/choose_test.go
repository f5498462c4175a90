package pull

import (
	"slices"
	"strings"
	"testing"

	"lomo/internal/hub"
)

// TestChoose: which files of a repository are fetched.
func TestChoose(t *testing.T) {
	shards := "config.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json tokenizer.json tokenizer_config.json"
	for _, c := range []struct {
		name, files string
		id          hub.ID
		include     []string
		want, err   string // want: the files that are left out
	}{
		{name: "all of it", files: shards + " merges.txt vocab.json LICENSE chat_template.jinja generation_config.json special_tokens_map.json"},
		{name: "duplicates", files: shards + " pytorch_model.bin tf_model.h5 flax_model.msgpack onnx/model.onnx original/consolidated.00.pth original/params.json rust_model.ot",
			want: "pytorch_model.bin tf_model.h5 flax_model.msgpack onnx/model.onnx original/consolidated.00.pth original/params.json rust_model.ot"},
		{name: "Mistral's own", files: shards + " consolidated.safetensors params.json tekken.json", want: "consolidated.safetensors"},
		{name: "only Mistral's", files: "consolidated.safetensors params.json tekken.json"},
		{name: "variants", files: "config.json model.safetensors model.fp16.safetensors", want: "model.fp16.safetensors"},
		{name: "adapter beside", files: "config.json model.safetensors adapter_model.safetensors adapter_config.json", want: "adapter_model.safetensors adapter_config.json"},
		{name: "torch", files: "config.json pytorch_model-00001-of-00002.bin pytorch_model-00002-of-00002.bin pytorch_model.bin.index.json training_args.bin optimizer.pt", want: "training_args.bin optimizer.pt"},
		{name: "Meta", files: "consolidated.00.pth consolidated.01.pth params.json tokenizer.model checklist.chk", want: "checklist.chk"},
		{name: "code and pictures", files: shards + " modeling_x.py logo.png .gitattributes runs/events.out train.log", want: "modeling_x.py logo.png .gitattributes runs/events.out train.log"},
		{name: "named templates", files: shards + " additional_chat_templates/rag.jinja"},
		{name: "one GGUF", files: "m.Q4_K_M.gguf README.md", want: "README.md"},
		{name: "one GGUF, a projector", files: "m.Q4_K_M.gguf mmproj-F16.gguf", want: "mmproj-F16.gguf"},
		{name: "split GGUF", files: "a/m-Q8_0-00001-of-00002.gguf a/m-Q8_0-00002-of-00002.gguf"},
		{name: "several GGUF", files: "m-Q4_K_M.gguf m-Q8_0.gguf m-IQ2_XS.gguf", err: "3 quantisations: choose one|`lomo pull o/n:Q8_0`|Q4_K_M (1000 B), Q8_0 (1000 B), IQ2_XS (1000 B, not read by lomo)"},
		{name: "chosen", files: "m-Q4_K_M.gguf m-Q8_0.gguf m-f16.gguf", id: hub.ID{Quant: "q8_0"}, want: "m-Q4_K_M.gguf m-f16.gguf"},
		{name: "chosen, f16", files: "m-Q4_K_M.gguf m-Q8_0.gguf m-f16.gguf", id: hub.ID{Quant: "F16"}, want: "m-Q4_K_M.gguf m-Q8_0.gguf"},
		{name: "chosen, not there", files: "m-Q4_K_M.gguf m-Q8_0.gguf", id: hub.ID{Quant: "Q5_K_M"}, err: "o/n has no quantisation Q5_K_M|Q4_K_M (1000 B), Q8_0"},
		{name: "chosen where none is", files: shards, id: hub.ID{Quant: "Q4_0"}, err: "o/n has no GGUF files|leave out :Q4_0"},
		{name: "GGUF beside safetensors", files: shards + " m-Q4_K_M.gguf", want: "m-Q4_K_M.gguf"},
		{name: "two of one kind", files: "a-Q8_0.gguf b-Q8_0.gguf", id: hub.ID{Quant: "Q8_0"}, err: "2 files, first a-Q8_0.gguf that are Q8_0|--include"},
		{name: "include", files: shards, include: []string{"*.safetensors", "config.json"}, want: "model.safetensors.index.json tokenizer.json tokenizer_config.json"},
		{name: "include, classes", files: "a1.json a2.json b.json", include: []string{"a[!1].json"}, want: "a1.json b.json"},
		{name: "include a folder", files: "x/a.json x/y/b.json c.json", include: []string{"x/"}, want: "c.json"},
		{name: "include nothing", files: shards, include: []string{"*.gguf"}, err: "no file of o/n matches --include *.gguf|it has config.json"},
		{name: "include a broken pattern", files: shards, include: []string{"[z-a]"}, err: "no file of o/n matches"},
		{name: "a link to a file", files: shards, id: hub.ID{File: "tokenizer.json"}, want: strings.Replace(shards, " tokenizer.json", "", 1)},
		{name: "a link to no file", files: shards, id: hub.ID{File: "x"}, err: "o/n has no file x"},
		{name: "an adapter", files: "adapter_config.json adapter_model.safetensors README.md", err: "is an adapter (LoRA)"},
		{name: "no weights", files: "README.md data.parquet", err: "no weights that lomo reads|it has README.md, data.parquet"},
		{name: "a diffusion model", files: "model_index.json unet/diffusion_pytorch_model.safetensors", err: "no weights that lomo reads"},
		{name: "nothing", err: "o/n has no files"},
	} {
		var files []*File
		for _, n := range strings.Fields(c.files) {
			files = append(files, &File{Name: n, Size: 1000})
		}
		c.id.Owner, c.id.Name = "o", "n"
		chosen, _, err := choose(files, Options{ID: c.id, Include: c.include})
		if c.err != "" {
			if err == nil {
				t.Errorf("%s: no error, want %q", c.name, c.err)
				continue
			}
			for _, w := range strings.Split(c.err, "|") {
				if text := err.Error() + "\n" + hintOf(err); !strings.Contains(text, w) {
					t.Errorf("%s: %s\nwant %q", c.name, text, w)
				}
			}
			continue
		}
		var left []string
		for _, f := range files {
			if !slices.Contains(chosen, f) {
				left = append(left, f.Name)
			}
		}
		if err != nil || strings.Join(left, " ") != c.want {
			t.Errorf("%s: left out %q, %v, want %q", c.name, left, err, c.want)
		}
	}
}

func hintOf(err error) string {
	for err != nil {
		if h, ok := err.(interface{ Hint() string }); ok {
			return h.Hint()
		}
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return ""
		}
		err = u.Unwrap()
	}
	return ""
}
