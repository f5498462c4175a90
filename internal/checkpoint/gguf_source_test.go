package checkpoint

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"lomo/internal/checkpoint/gguf"
	"lomo/internal/checkpoint/safetensors"
	"lomo/internal/tensor"
)

const (
	llamaFile   = "testdata/llama.gguf"
	llamaGolden = "testdata/llama.safetensors" // what transformers loads from it
)

// Weights of a GGUF file equal those transformers loads from it, bit for bit, whatever rows are asked for at once:
// the heads' rows are put back in Hugging Face order.
func TestGGUFAsTransformers(t *testing.T) {
	src, err := Open(llamaFile)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	golden, err := OpenFile(llamaGolden)
	if err != nil {
		t.Fatal(err)
	}
	defer golden.Close()
	if len(src.Tensors()) != len(golden.Tensors()) {
		t.Fatalf("%d tensors, want %d", len(src.Tensors()), len(golden.Tensors()))
	}
	for _, g := range golden.Tensors() {
		want := readAll(t, golden, g.Name, tensor.F32)
		rows, cols := dims(g.Shape)
		for _, step := range []int{rows, 1, 3} {
			got := make([]byte, len(want))
			for r := 0; r < rows; r += step {
				e := min(r+step, rows)
				if err := src.ReadRows(g.Name, r, e, got[4*r*cols:4*e*cols], tensor.F32); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s differs, read %d rows at a time", g.Name, step)
			}
		}
		if !bytes.Equal(readAll(t, src, g.Name, tensor.BF16), readAll(t, golden, g.Name, tensor.BF16)) {
			t.Errorf("%s differs as BF16", g.Name)
		}
	}
}

func TestGGUFConfig(t *testing.T) {
	src, err := Open(llamaFile)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var got, want map[string]any
	unmarshal(t, src.Config(), &got)
	golden, err := safetensors.Open(llamaGolden)
	if err != nil {
		t.Fatal(err)
	}
	defer golden.Close()
	unmarshal(t, []byte(golden.Metadata["config"]), &want)
	want["rms_norm_eps"] = 1e-5 // transformers says 9.999999747378752e-06, the float32 in the file
	for k, v := range map[string]any{
		"architectures": []any{"LlamaForCausalLM"}, "model_type": "llama", "hidden_act": "silu", "head_dim": 8.0,
		"rope_theta": 5e5, "torch_dtype": "float32", "attention_bias": false, "mlp_bias": false,
		"initializer_range": 0.02, "use_cache": true, "pad_token_id": nil,
		"rope_scaling": map[string]any{ // what rope_freqs() in the script was made from
			"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
			"original_max_position_embeddings": 8192.0,
		},
	} {
		want[k] = v
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("config\n%v\nwant\n%v", got, want)
	}
	if src.AuxFiles() != nil {
		t.Errorf("AuxFiles is %v", src.AuxFiles())
	}
}

// The golden files belong to the script as it stands.
func TestGoldenScript(t *testing.T) {
	for _, path := range []string{llamaGolden, "gguf/testdata/blocks.safetensors"} {
		madeBy(t, path, "../../scripts/golden/gguf_vectors.py")
	}
	paths, _ := filepath.Glob("testdata/families/*.safetensors")
	for _, path := range paths {
		madeBy(t, path, "../../scripts/golden/gguf_families.py")
	}
}

// metaRow against the view that the format describes: (heads, d/2, 2) with the last axes swapped.
func TestMetaRow(t *testing.T) {
	const heads, d = 3, 6
	r := 0
	for h := range heads {
		for s := range 2 {
			for j := range d / 2 {
				if got, want := metaRow(r, d), h*d+2*j+s; got != want {
					t.Errorf("row %d is stored at %d, want %d", r, got, want)
				}
				r++
			}
		}
	}
}

// llamaKV is the metadata of the golden file, to be changed by a test.
func llamaKV(t *testing.T) *gguf.File {
	t.Helper()
	f, err := gguf.Open(llamaFile)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestGGUFRefuses(t *testing.T) {
	for _, c := range []struct {
		key   string
		value any // nil removes the key
		want  []string
	}{
		{"general.architecture", "mamba", []string{`architecture "mamba"`}},
		{"general.architecture", nil, []string{"general.architecture is missing"}},
		{"llama.expert_count", uint32(8), []string{"experts"}},
		{"llama.embedding_length", nil, []string{"llama.embedding_length"}},
		{"llama.attention.head_count", uint32(0), []string{"llama.attention.head_count", "0"}},
		{"llama.attention.head_count", uint32(8), []string{"heads of"}},
		{"llama.attention.head_count_kv", []int32{2, 4}, []string{"head_count_kv"}},
		{"llama.attention.head_count_kv", uint32(4), []string{`"blk.0.attn_k.weight"`, "16 rows, want 4 heads of 8"}},
		{"llama.attention.layer_norm_rms_epsilon", float32(-1), []string{"rms_epsilon"}},
		{"llama.block_count", uint64(1 << 40), []string{"block_count"}},
		{"llama.attention.value_length", uint32(16), []string{"16 for values"}},
		{"llama.rope.dimension_count", uint32(4), []string{"4 rotated"}},
		{"llama.rope.scaling.type", "yarn", []string{"rope_freqs.weight"}},
		{"llama.rope.scaling.factor", float32(2), []string{"rope_freqs.weight"}},
		{"llama.rope.freq_base", float32(7e5), []string{"not those of llama3"}},
		{"tokenizer.ggml.tokens", make([]string, 25), []string{"25 tokens", "24 rows"}},
	} {
		f := llamaKV(t)
		f.KV[c.key] = c.value
		if c.value == nil {
			delete(f.KV, c.key)
		}
		_, err := newGGUFSource(f, "m.gguf")
		wantError(t, err, c.want...)
	}
}

// ggufOf is a file with this metadata, of texts, uint32 and float32, and an embedding of one token of 48 numbers.
func ggufOf(t *testing.T, kv map[string]any) *gguf.File {
	t.Helper()
	le := binary.LittleEndian
	text := func(b []byte, s string) []byte { return append(le.AppendUint64(b, uint64(len(s))), s...) }
	b := le.AppendUint64(le.AppendUint64([]byte("GGUF\x03\x00\x00\x00"), 1), uint64(len(kv)))
	for key, value := range kv {
		b = text(b, key)
		switch v := value.(type) {
		case string:
			b = text(le.AppendUint32(b, 8), v)
		case uint32:
			b = le.AppendUint32(le.AppendUint32(b, 4), v)
		case float32:
			b = le.AppendUint32(le.AppendUint32(b, 6), math.Float32bits(v))
		default:
			t.Fatalf("%s: %T", key, v)
		}
	}
	b = le.AppendUint32(text(b, "token_embd.weight"), 2)
	b = append(le.AppendUint64(le.AppendUint64(b, 48), 1), make([]byte, 4+8)...) // its shape, type F32, offset 0
	b = append(b, make([]byte, -len(b)&31+4*48)...)                              // aligned, and its numbers
	f, err := gguf.Parse(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestGGUFDefaults: what a file may leave out is what llama.cpp takes for it: as many key heads as heads, a rope base of 10000, heads of hidden/heads.
func TestGGUFDefaults(t *testing.T) {
	for _, c := range []struct {
		key         string // "": nothing more is said
		value       any
		kv, headDim int
		theta       float64
	}{
		{"", nil, 6, 8, 10000},
		{"llama.attention.head_count_kv", uint32(2), 2, 8, 10000},
		{"llama.rope.freq_base", float32(5e5), 6, 8, 5e5},
		{"llama.attention.key_length", uint32(16), 6, 16, 10000},
	} {
		kv := map[string]any{"general.architecture": "llama", "llama.embedding_length": uint32(48), "llama.feed_forward_length": uint32(64), "llama.block_count": uint32(1),
			"llama.context_length": uint32(128), "llama.attention.head_count": uint32(6), "llama.attention.layer_norm_rms_epsilon": float32(1e-5)}
		if c.key != "" {
			kv[c.key] = c.value
		}
		if _, ok := kv["llama.attention.key_length"]; ok {
			kv["llama.attention.value_length"], kv["llama.rope.dimension_count"] = c.value, c.value
		}
		m, err := readGGUFModel(ggufOf(t, kv))
		if err != nil {
			t.Errorf("%s: %v", c.key, err)
			continue
		}
		if m.heads != 6 || m.kvHeads != c.kv || m.theta != c.theta || m.headDim != c.headDim {
			t.Errorf("%s: %d heads, %d of keys, base %v, heads of %d; want 6, %d, %v, %d", c.key, m.heads, m.kvHeads, m.theta, m.headDim, c.kv, c.theta, c.headDim)
		}
	}
}

// A list with one number of heads for each layer is the same as the number.
func TestGGUFHeadsByLayer(t *testing.T) {
	f := llamaKV(t)
	f.KV["llama.attention.head_count_kv"] = []int32{2, 2}
	g, err := newGGUFSource(f, "m.gguf")
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		K int `json:"num_key_value_heads"`
	}
	unmarshal(t, g.Config(), &c)
	if c.K != 2 {
		t.Errorf("num_key_value_heads is %d", c.K)
	}
}

func TestOpenGGUFTruncated(t *testing.T) {
	whole, err := os.ReadFile(llamaFile)
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/m.gguf"
	if err := os.WriteFile(path, whole[:len(whole)-64], 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = Open(path)
	wantError(t, err, path, "damaged: the file ends at byte")
}

func FuzzGGUFSource(f *testing.F) {
	whole, err := os.ReadFile(llamaFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := gguf.Parse(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		g, err := newGGUFSource(file, "m.gguf")
		if err != nil {
			return
		}
		if !json.Valid(g.Config()) {
			t.Errorf("config is %q", g.Config())
		}
		for _, info := range g.Tensors() { // numbers may be NaN; a panic may not be
			rows, cols := dims(info.Shape)
			_ = g.ReadRows(info.Name, 0, rows, make([]byte, 2*rows*cols), tensor.BF16)
		}
	})
}
