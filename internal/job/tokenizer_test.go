package job

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lomo/internal/preset"
	"lomo/internal/tensor"
	"lomo/internal/tokenizer"
)

// TestTokenizerModel trains on text with a model that has SentencePiece's tokenizer.model and no tokenizer.json: the trained model and each
// checkpoint have both, and transformers needs no other library for them.
func TestTokenizerModel(t *testing.T) {
	model := filepath.Join(t.TempDir(), "model")
	if err := os.Mkdir(model, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := preset.Create(model, "tiny", preset.Options{DType: tensor.F32, Seed: 3, Extra: map[string]any{"vocab_size": 640}}); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join("..", "..", "testdata", "tokenizer", "pieces.model"))
	if err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "text.txt")
	for path, content := range map[string][]byte{filepath.Join(model, "tokenizer.model"): raw, text: []byte(strings.Repeat("The optimizer takes a step. ", 40))} {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, out, err := run(t, model, text, "datasets=[{path: '"+text+"', type: text}]", "dtype=f32", "optimizer=lomo", "learning_rate=0.01", "device=cpu", "save_steps=2")
	if err != nil {
		t.Fatal(err)
	}
	before, err := tokenizer.Open(model)
	if err != nil {
		t.Fatal(err)
	}
	want, err := before.Encode("A step takes 12 weights.", true)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{out, filepath.Join(out, "checkpoint-2")} {
		kept, err := os.ReadFile(filepath.Join(dir, "tokenizer.model"))
		if err != nil || !bytes.Equal(kept, raw) {
			t.Errorf("%s: tokenizer.model: %v, or other bytes", dir, err)
		}
		if err := os.Remove(filepath.Join(dir, "tokenizer.model")); err != nil {
			t.Fatal(err)
		}
		after, err := tokenizer.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := after.Encode("A step takes 12 weights.", true); err != nil || !slices.Equal(got, want) || after.BOS() != 1 {
			t.Errorf("%s: %v (%v), want %v", dir, got, err, want)
		}
	}
}
