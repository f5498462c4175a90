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

// larger is a model of 262 rows whose tokenizer has the 259 of the byte-level one and what config names besides.
func larger(t *testing.T, config string) string {
	t.Helper()
	model := filepath.Join(t.TempDir(), "model")
	if err := os.Mkdir(model, 0o755); err != nil {
		t.Fatal(err)
	}
	extra := map[string]any{"vocab_size": 260, "hidden_size": 32, "intermediate_size": 40, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
	if _, err := preset.Create(model, "tiny", preset.Options{DType: tensor.F32, Seed: 3, Extra: extra}); err != nil {
		t.Fatal(err)
	}
	if err := tokenizer.NewByteLevel().WriteFiles(model); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(model, "added_tokens.json"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	// As uploads have it: the new tokens stand beside tokenizer.json only.
	if err := os.WriteFile(filepath.Join(model, "tokenizer_config.json"), []byte(`{"eos_token": "<|endoftext|>", "pad_token": "[PAD]", "model_max_length": 77}`), 0o644); err != nil {
		t.Fatal(err)
	}
	return model
}

// TestTokenizerLarger: a tokenizer with more tokens than the model has rows trains where no text has them, and is told; a text that has one is refused,
// with the token's name, wherever texts become ids.
func TestTokenizerLarger(t *testing.T) {
	for _, c := range []struct {
		name, added, text string
		note, refused     string
	}{
		{"one pad token", `{"<|a|>": 259, "[PAD]": 260}`, "The optimizer takes a step. ", `the tokenizer has 261 tokens and the model 260 (vocab_size): "[PAD]" (260) has no row`, ""},
		{"the same in a text", `{"<|a|>": 259, "[PAD]": 260}`, "The optimizer [PAD] takes", `has no row`, `text.txt:1: token 14, "[PAD]": id 260, and the model's vocabulary has 260 (vocab_size)`},
		{"as many", `{"[PAD]": 259}`, "A [PAD] step. ", "", ""},
		{"several", `{"<|a|>": 259, "<|b|>": 260, "<|c|>": 261, "[PAD]": 262}`, "<|a|> step", `the last 3 have no row, the first of them "<|b|>" (260)`, ""},
		{"several in a text", `{"<|a|>": 259, "<|b|>": 260, "<|c|>": 261, "[PAD]": 262}`, "a <|c|> step", `the last 3`, `token 2, "<|c|>": id 261`},
		{"many", `{"<|a|>": 259, "[PAD]": 260, "<|z|>": 9000}`, "a step", `the last 2 have no row`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			model, text := larger(t, c.added), filepath.Join(t.TempDir(), "text.txt")
			if err := os.WriteFile(text, []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			l, out, err := run(t, model, text, "datasets=[{path: '"+text+"', type: text}]", "dtype=f32", "optimizer=lomo", "learning_rate=0.01", "device=cpu")
			notes := strings.Join(l.notes, "\n")
			if !strings.Contains(notes, c.note) || c.note == "" && strings.Contains(notes, "no row") {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
			_, evalErr := EvalText(EvalOptions{Model: model, Data: text, Type: "text", BatchSize: 1, SequenceLen: 16, Runtime: Runtime{Device: "cpu"}}, t.Logf)
			genErr := Generate(GenerateOptions{Model: model, Prompts: []string{c.text}, MaxTokens: 2, Runtime: Runtime{Device: "cpu"}}, GenerateOutput{}, t.Logf)
			for what, err := range map[string]error{"train": err, "eval": evalErr, "generate": genErr} {
				want := c.refused
				if _, rest, ok := strings.Cut(want, "text.txt:1: "); ok && what == "generate" {
					want = rest
				}
				if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(err.Error(), want)) {
					t.Errorf("%s: %v, want %q", what, err, want)
				}
			}
			if c.refused != "" || err != nil {
				return
			}
			// The saved tokenizer.json holds what the side files added.
			if err := os.Remove(filepath.Join(out, "added_tokens.json")); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			before, err := tokenizer.Open(model)
			if err != nil {
				t.Fatal(err)
			}
			after, err := tokenizer.Open(out)
			if err != nil {
				t.Fatal(err)
			}
			want, _ := before.Encode("<|a|> b[PAD]", true)
			if got, err := after.Encode("<|a|> b[PAD]", true); err != nil || !slices.Equal(got, want) || after.PAD() != before.PAD() {
				t.Errorf("saved: %v (%v), want %v", got, err, want)
			}
			raw, err := os.ReadFile(filepath.Join(out, "tokenizer_config.json"))
			if err != nil || !bytes.Contains(raw, []byte(`"model_max_length": 77`)) {
				t.Errorf("saved tokenizer_config.json %s (%v) has lost model_max_length", raw, err)
			}
		})
	}
}
