//go:build linux

package cli

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// widen makes the lab's tiny model one of many blocks, with weights that look random and cost nothing to make. It returns their bytes.
func (l *lab) widen(layers, hidden, intermediate int) int64 {
	l.t.Helper()
	var cfg map[string]any
	if err := json.Unmarshal(l.read("tiny/config.json"), &cfg); err != nil {
		l.t.Fatal(err)
	}
	cfg["num_hidden_layers"], cfg["hidden_size"], cfg["intermediate_size"] = layers, hidden, intermediate
	cfg["num_attention_heads"], cfg["num_key_value_heads"], cfg["head_dim"] = hidden/64, hidden/64, 64
	raw, err := json.Marshal(cfg)
	if err != nil {
		l.t.Fatal(err)
	}
	l.write("tiny/config.json", string(raw))
	header, size := map[string]any{}, int64(0)
	add := func(name string, shape ...int) {
		n := int64(2)
		for _, d := range shape {
			n *= int64(d)
		}
		header[name] = map[string]any{"dtype": "BF16", "shape": shape, "data_offsets": []int64{size, size + n}}
		size += n
	}
	add("model.embed_tokens.weight", int(cfg["vocab_size"].(float64)), hidden)
	if cfg["tie_word_embeddings"] != true {
		add("lm_head.weight", int(cfg["vocab_size"].(float64)), hidden)
	}
	add("model.norm.weight", hidden)
	for i := range layers {
		at := func(name string) string { return fmt.Sprintf("model.layers.%d.%s.weight", i, name) }
		for _, name := range []string{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"} {
			add(at(name), hidden, hidden)
		}
		add(at("mlp.gate_proj"), intermediate, hidden)
		add(at("mlp.up_proj"), intermediate, hidden)
		add(at("mlp.down_proj"), hidden, intermediate)
		add(at("input_layernorm"), hidden)
		add(at("post_attention_layernorm"), hidden)
	}
	head, err := json.Marshal(header)
	if err != nil {
		l.t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(l.dir, "tiny/model.safetensors"))
	if err != nil {
		l.t.Fatal(err)
	}
	defer f.Close()
	block, state := make([]byte, 1<<20), uint32(1)
	for i := 0; i < len(block); i += 2 {
		state = state*1664525 + 1013904223
		binary.LittleEndian.PutUint16(block[i:], uint16(state>>16)&0x807f|0x3c80) // ± 1/64 to 1/32
	}
	_, err = f.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(head))), head...))
	for left := size; left > 0 && err == nil; left -= int64(len(block)) {
		_, err = f.Write(block[:min(left, int64(len(block)))])
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return size
}

// TestModelLargerThanMemory: with offload: disk a run keeps its process below a memory_limit that is a third of the model, ends
// with the bytes that a run in memory ends with, and says what it has moved.
func TestModelLargerThanMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("trains 116 million weights twice")
	}
	l := newLab(t)
	size := l.widen(34, 512, 1536)
	const limit = 70 << 20
	if size < 3*limit {
		t.Fatalf("the model has %d bytes, which is less than three times %d", size, limit)
	}
	l.write("run.yaml", "model: tiny\ndatasets: [{path: text.txt, type: text}]\noptimizer: lomo\nlearning_rate: 1.0e-3\nsequence_len: 32\n"+
		"micro_batch_size: 1\nmax_steps: 2\nmax_grad_norm: 1\nclip_policy: exact\nthreads: 2\n")
	l.run("train", "--config", "run.yaml", "--set", "output_dir=memory")
	said := l.run("train", "--config", "run.yaml", "--set", "output_dir=disk", "--set", "offload=disk", "--set", "activation_offload=disk",
		"--set", fmt.Sprintf("memory_limit=%dB", limit))
	if !strings.Contains(said, "moved during the run") {
		t.Errorf("nothing is said of the bytes moved:\n%s", said)
	}
	peak := func(dir string) (most int64) {
		for line := range strings.Lines(string(l.read(dir + "/metrics.jsonl"))) {
			var m struct {
				Peak int64 `json:"peak_bytes"`
			}
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatal(err)
			}
			most = max(most, m.Peak)
		}
		return most
	}
	inMemory, onDisk := peak("memory"), peak("disk")
	t.Logf("%d bytes of weights, limit %d, peak %d; in memory %d", size, limit, onDisk, inMemory)
	if onDisk >= limit || onDisk == 0 {
		t.Errorf("the process held %d bytes, the limit is %d", onDisk, limit)
	}
	if inMemory < size {
		t.Errorf("in memory the process is said to have held %d bytes, the weights have %d: the figure is not VmHWM", inMemory, size)
	}
	if a, b := l.read("memory/model.safetensors"), l.read("disk/model.safetensors"); string(a) != string(b) {
		t.Error("the weights differ from those of the run in memory")
	}
}
