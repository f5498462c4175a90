package checkpoint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lomo/internal/checkpoint/gguf"
	"lomo/internal/tensor"
)

var modelNames = []string{"model.embed_tokens.weight", "model.layers.0.mlp.up_proj.weight", "model.layers.1.mlp.up_proj.weight", "model.norm.weight", "lm_head.weight"}

// named writes a model whose tensor i is filled with i+1, under the names that rename gives.
func named(t *testing.T, dir string, shard int64, rename func(string) string) {
	t.Helper()
	var specs []Spec
	for _, name := range modelNames {
		specs = append(specs, Spec{rename(name), tensor.F32, []int{2, 2}})
	}
	w, err := NewWriter(dir, specs, WriterOptions{MaxShardSize: shard})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range specs {
		v := float32(i + 1)
		if err := w.WriteRows(s.Name, 0, floats(t, tensor.F32, v, v, v, v)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, dir, map[string]string{configName: "{}"})
}

// holdsNamed checks that path opens as that model, under its own names.
func holdsNamed(t *testing.T, path string) {
	t.Helper()
	src, err := Open(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer src.Close()
	if len(src.Tensors()) != len(modelNames) {
		t.Errorf("%d tensors", len(src.Tensors()))
	}
	for i, name := range modelNames {
		v := float32(i + 1)
		if got := readAll(t, src, name, tensor.F32); !bytes.Equal(got, floats(t, tensor.F32, v, v, v, v)) {
			t.Errorf("%s: % x", name, got)
		}
	}
}

// TestPrefixes: what transformers 5.24 loads under other prefixes (tried with a random model: same logits) loads here.
func TestPrefixes(t *testing.T) {
	for name, rename := range map[string]func(string) string{
		"plain":              func(n string) string { return n },
		"missing":            func(n string) string { return strings.TrimPrefix(n, "model.") },
		"doubled":            func(n string) string { return strings.Replace(n, "model.", "model.model.", 1) },
		"doubled everywhere": func(n string) string { return "model." + n },
		"three times":        func(n string) string { return strings.Replace(n, "model.", "model.model.model.", 1) },
		"missing in a block": func(n string) string {
			if strings.Contains(n, "layers.1.") {
				return strings.TrimPrefix(n, "model.")
			}
			return n
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			named(t, dir, 0, rename)
			holdsNamed(t, dir)
		})
	}
}

// TestLooseShards: a complete set of shards is a model without its index too.
func TestLooseShards(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "we[i]rd *?") // a folder's own name is no pattern
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	named(t, dir, 32, func(n string) string { return n })
	if err := os.Remove(filepath.Join(dir, indexName)); err != nil {
		t.Fatal(err)
	}
	holdsNamed(t, dir)
	if err := os.Remove(filepath.Join(dir, "model-00002-of-00003.safetensors")); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir)
	wantError(t, err, "1 of 3 shards missing, first model-00002-of-00003.safetensors")
}

// TestLooseTorchShards: likewise of torch.save.
func TestLooseTorchShards(t *testing.T) {
	dir := t.TempDir()
	copyInto(t, dir, "testdata/torch/pytorch_model.bin")
	writeFiles(t, dir, map[string]string{configName: "{}"})
	if err := os.Rename(filepath.Join(dir, torchName), filepath.Join(dir, "pytorch_model-00001-of-00001.bin")); err != nil {
		t.Fatal(err)
	}
	src, golden := openBoth(t, dir, "testdata/torch.safetensors")
	sameTensors(t, src, golden)
}

// TestHubCache: the root of a cached model is the snapshot that refs/main names, links and all.
func TestHubCache(t *testing.T) {
	root := filepath.Join(t.TempDir(), "models--owner--name")
	const id = "0123456789012345678901234567890123456789"
	snapshot, blobs := filepath.Join(root, "snapshots", id), filepath.Join(root, "blobs")
	for _, dir := range []string{snapshot, blobs, filepath.Join(root, "refs")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	named(t, blobs, 0, func(n string) string { return n })
	writeFiles(t, filepath.Join(root, "refs"), map[string]string{"main": id})
	writeFiles(t, blobs, map[string]string{"template": "{{ messages }}"})
	for name, blob := range map[string]string{singleName: singleName, configName: configName, "chat_template.jinja": "template"} {
		if err := os.Symlink("../../blobs/"+blob, filepath.Join(snapshot, name)); err != nil {
			t.Fatal(err)
		}
	}
	holdsNamed(t, root)
	holdsNamed(t, snapshot)
	src, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if src.Path() != snapshot || src.AuxFiles()["chat_template.jinja"] == "" {
		t.Errorf("path %s, side files %v", src.Path(), src.AuxFiles())
	}
}

// TestSideFiles: templates in their folder are found; a link that leaves the model's folder is refused by name.
func TestSideFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "[m]")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	named(t, dir, 0, func(n string) string { return n })
	if err := os.Mkdir(filepath.Join(dir, templatesDir), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, filepath.Join(dir, templatesDir), map[string]string{"rag.jinja": "x", "tool_use.jinja": "y", "notes.txt": "z"})
	src, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	src.Close()
	if aux := src.AuxFiles(); len(aux) != 2 || aux[templatesDir+"/rag.jinja"] == "" || aux[templatesDir+"/tool_use.jinja"] == "" {
		t.Errorf("%v", aux)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	writeFiles(t, filepath.Dir(secret), map[string]string{"secret": "{}"})
	for _, name := range []string{"vocab.json", "merges.txt", "generation_config.json", templatesDir + "/x.jinja", "tokenizer.json"} {
		link := filepath.Join(dir, name)
		if err := os.Symlink(secret, link); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir)
		wantError(t, err, link, "a link out of the model's folder")
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
	}
}

// TestIndexOnDemand: a single file has an index where other files of tensors lie beside it; a later save without takes it away.
func TestIndexOnDemand(t *testing.T) {
	dir := t.TempDir()
	for _, index := range []bool{true, false, true} {
		w, err := NewWriter(dir, []Spec{{"a", tensor.F32, []int{1}}}, WriterOptions{Index: index})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteRows("a", 0, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(filepath.Join(dir, indexName))
		if index != (err == nil) || index && !strings.Contains(string(raw), `"a": "model.safetensors"`) {
			t.Errorf("index %v: %s, %v", index, raw, err)
		}
	}
	if got := names(t, dir); !slices.Equal(got, []string{singleName, indexName}) {
		t.Errorf("files %v", got)
	}
}

// rewritten is the golden GGUF model with its tensors put together anew by f, and the parts of it in files of their own.
func rewritten(t *testing.T, f func(file *gguf.File) [][]piece) (paths []string) {
	t.Helper()
	raw, err := os.ReadFile(llamaFile)
	if err != nil {
		t.Fatal(err)
	}
	file := llamaKV(t)
	first := file.Tensors[0].Name
	// The length and the name of the first tensor end the metadata.
	kv := raw[24:bytes.Index(raw, append(binary.LittleEndian.AppendUint64(nil, uint64(len(first))), first...))]
	parts := f(file)
	dir := t.TempDir()
	for no, tensors := range parts {
		var b bytes.Buffer
		put := func(values ...any) {
			for _, v := range values {
				if s, ok := v.(string); ok {
					b.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(s))), s...))
					continue
				}
				binary.Write(&b, binary.LittleEndian, v)
			}
		}
		keys := uint64(0)
		if no == 0 {
			keys = uint64(len(file.KV))
		}
		if len(parts) > 1 {
			keys += 2
		}
		b.WriteString("GGUF")
		put(uint32(3), uint64(len(tensors)), keys)
		if no == 0 {
			b.Write(kv)
		}
		if len(parts) > 1 {
			put("split.no", uint32(2), uint16(no), "split.count", uint32(2), uint16(len(parts)))
		}
		var data []byte
		for _, p := range tensors {
			put(p.name, uint32(len(p.shape)))
			for _, d := range slices.Backward(p.shape) {
				put(uint64(d))
			}
			put(uint32(p.typ), uint64(len(data)))
			data = append(data, p.data...)
			data = append(data, make([]byte, (32-len(data)%32)%32)...)
		}
		b.Write(make([]byte, (32-b.Len()%32)%32))
		b.Write(data)
		name := "m.gguf"
		if len(parts) > 1 {
			name = fmt.Sprintf("m-%05d-of-%05d.gguf", no+1, len(parts))
		}
		paths = append(paths, filepath.Join(dir, name))
		writeFiles(t, dir, map[string]string{name: b.String()})
	}
	return paths
}

type piece struct {
	name  string
	typ   gguf.Type
	shape []int
	data  []byte
}

func pieces(t *testing.T, file *gguf.File) (out []piece) {
	t.Helper()
	for _, x := range file.Tensors {
		data := make([]byte, x.Bytes())
		if err := file.ReadRaw(x, 0, data); err != nil {
			t.Fatal(err)
		}
		out = append(out, piece{x.Name, x.Type, x.Shape, data})
	}
	return out
}

// TestGGUFSplitModel: a model in three files is the model in one, whichever part is given.
func TestGGUFSplitModel(t *testing.T) {
	whole, err := Open(llamaFile)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	paths := rewritten(t, func(file *gguf.File) [][]piece {
		all := pieces(t, file)
		return [][]piece{all[:5], all[5:6], all[6:]}
	})
	for _, path := range paths {
		src, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		sameTensors(t, src, whole)
		if !bytes.Equal(src.Config(), whole.Config()) || len(src.Tensors()) != len(whole.Tensors()) {
			t.Errorf("%s: %d tensors", path, len(src.Tensors()))
		}
		src.Close()
	}
	if err := os.Remove(paths[1]); err != nil {
		t.Fatal(err)
	}
	_, err = Open(paths[2])
	wantError(t, err, "1 of 3 parts of the split model are missing, first", "m-00002-of-00003.gguf")
}

// TestGGUFFused: query, key and value in one matrix are three, with heads in Hugging Face's order.
func TestGGUFFused(t *testing.T) {
	whole, err := Open(llamaFile)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	fuse := func(more int) []string {
		return rewritten(t, func(file *gguf.File) [][]piece {
			var out []piece
			all := pieces(t, file)
			find := func(name string) piece {
				return all[slices.IndexFunc(all, func(p piece) bool { return p.name == name })]
			}
			for _, p := range all {
				block, rest, _ := strings.Cut(p.name, ".attn_q.")
				switch {
				case rest == "weight":
					k, v := find(block+".attn_k.weight"), find(block+".attn_v.weight")
					decode := func(p piece) []byte { // types may differ: all as F32
						n := p.shape[0] * p.shape[1]
						values := make([]float32, n)
						if err := gguf.Dequantize(p.typ, values, p.data); err != nil {
							t.Fatal(err)
						}
						return floats(t, tensor.F32, values...)
					}
					data := slices.Concat(decode(p), decode(k), decode(v), make([]byte, 4*more*p.shape[1]))
					out = append(out, piece{block + ".attn_qkv.weight", gguf.F32, []int{p.shape[0] + k.shape[0] + v.shape[0] + more, p.shape[1]}, data})
				case strings.Contains(p.name, ".attn_k.") || strings.Contains(p.name, ".attn_v."):
				default:
					out = append(out, p)
				}
			}
			return [][]piece{out}
		})
	}
	src, err := Open(fuse(0)[0])
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	sameTensors(t, src, whole)
	if len(src.Tensors()) != len(whole.Tensors()) {
		t.Errorf("%d tensors, want %d", len(src.Tensors()), len(whole.Tensors()))
	}
	_, err = Open(fuse(8)[0])
	wantError(t, err, `"blk.0.attn_qkv.weight"`, "query", "key and")
}

// TestGGUFStops: every token that ends a text, a turn or a message is in eos_token_id.
func TestGGUFStops(t *testing.T) {
	for _, c := range []struct {
		kv   map[string]any
		want string
	}{
		{map[string]any{"eos": uint32(2)}, `"eos_token_id": 2,`},
		{map[string]any{"eos": uint32(2), "eot": uint32(5)}, `"eos_token_id": [ 2, 5 ],`},
		{map[string]any{"eos": uint32(2), "eot": uint32(2)}, `"eos_token_id": 2,`},
		{map[string]any{"eos": uint32(2), "eot": uint32(5), "eom": uint32(4)}, `"eos_token_id": [ 2, 5, 4 ],`},
		{map[string]any{"eot": uint32(5)}, `"eos_token_id": 5,`},
	} {
		f := llamaKV(t)
		for _, role := range []string{"eos", "eot", "eom"} {
			delete(f.KV, "tokenizer.ggml."+role+"_token_id")
			if id, ok := c.kv[role]; ok {
				f.KV["tokenizer.ggml."+role+"_token_id"] = id
			}
		}
		g, err := newGGUFSource(f, "m.gguf")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(strings.Fields(string(g.Config())), " "); !strings.Contains(got, c.want) {
			t.Errorf("%v: %s lacks %s", c.kv, got, c.want)
		}
	}
}

// TestTiedHeadAlone: a file that holds the one matrix of a tied model under its head's name opens, as in transformers; of a model that is not tied
// the embedding is missing.
func TestTiedHeadAlone(t *testing.T) {
	for config, want := range map[string]string{
		`{"tie_word_embeddings": true}`: "model.embed_tokens.weight", "\ufeff" + `{"tie_word_embeddings":true}`: "model.embed_tokens.weight",
		`{"tie_word_embeddings": false}`: "lm_head.weight", `{}`: "lm_head.weight", `{"Tie_word_embeddings": true}`: "lm_head.weight",
	} {
		dir := t.TempDir()
		w, err := NewWriter(dir, []Spec{{"lm_head.weight", tensor.F32, []int{2, 2}}}, WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		rows := floats(t, tensor.F32, 1, 2, 3, 4)
		if err := w.WriteRows("lm_head.weight", 0, rows); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		writeFiles(t, dir, map[string]string{configName: config})
		src, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := src.Tensors(); len(got) != 1 || got[0].Name != want || !bytes.Equal(readAll(t, src, want, tensor.F32), rows) {
			t.Errorf("%s: %v, want %s", config, got, want)
		}
		src.Close()
	}
}
