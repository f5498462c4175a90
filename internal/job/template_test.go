package job

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"lomo/internal/config"
	"lomo/internal/tokenizer"
)

// TestKeepTemplate: the trained model has the run's template, and stops where that ends turns; all else in its files stays as it was.
func TestKeepTemplate(t *testing.T) {
	const generation = `{"temperature": 0.60, "eos_token_id": 256, "_from_model_config": true}`
	chat := []config.Dataset{{Path: "d", Type: "messages"}}
	for _, c := range []struct {
		name, template, generation string
		data                       []config.Dataset
		written                    []string
		eos                        []int32 // of generation_config.json, nil for a file as it was
	}{
		{"nothing to keep", "tokenizer", "", []config.Dataset{{Type: "text"}}, nil, nil},
		{"its own template, which ends in another token", "tokenizer", "", chat, []string{"generation_config.json"}, []int32{256, 258}},
		{"its own template, with a file", "tokenizer", generation, chat, []string{"generation_config.json"}, []int32{256, 258}},
		{"its own template by name", "default", "", chat, []string{"generation_config.json"}, []int32{256, 258}},
		{"another, which ends in eos", "zephyr", generation, chat, []string{"chat_template.jinja", "tokenizer_config.json"}, nil},
		{"another, for data without chats", "qwen", generation, []config.Dataset{{Type: "text"}}, []string{"chat_template.jinja", "generation_config.json", "tokenizer_config.json"}, []int32{256, 258}},
		{"a text", "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}", "", chat, []string{"chat_template.jinja", "generation_config.json", "tokenizer_config.json"}, []int32{256, 258}},
	} {
		from, dir := t.TempDir(), filepath.Join(t.TempDir(), "tmp")
		if err := tokenizer.NewByteLevel().WriteFiles(from); err != nil {
			t.Fatal(err)
		}
		model := `{"eos_token_id": 256, "bos_token_id": null}`
		for name, text := range map[string]string{"config.json": model, "generation_config.json": c.generation} {
			if text == "" {
				continue
			}
			if err := os.WriteFile(filepath.Join(from, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		files := map[string]string{}
		for _, name := range []string{"tokenizer.json", "tokenizer_config.json", "generation_config.json"} {
			if _, err := os.Stat(filepath.Join(from, name)); err == nil {
				files[name] = filepath.Join(from, name)
			}
		}
		before := read(t, files["tokenizer_config.json"])
		tok, err := tokenizer.Open(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := keepTemplate(files, dir, tok, &config.Config{ChatTemplate: c.template, Datasets: c.data}); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var written []string
		for name, path := range files {
			if strings.HasPrefix(path, dir) {
				written = append(written, name)
			}
		}
		if slices.Sort(written); !slices.Equal(written, c.written) {
			t.Errorf("%s: wrote %v, want %v", c.name, written, c.written)
		}
		want, err := tok.TemplateSource(c.template)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(written, "chat_template.jinja") {
			if got, err := os.ReadFile(files["chat_template.jinja"]); err != nil || string(got) != want {
				t.Errorf("%s: chat_template.jinja %q (%v)", c.name, got, err)
			}
			after := read(t, files["tokenizer_config.json"])
			if after["chat_template"] != want {
				t.Errorf("%s: tokenizer_config.json has %q", c.name, after["chat_template"])
			}
			delete(after, "chat_template")
			delete(before, "chat_template")
			if !reflect.DeepEqual(before, after) {
				t.Errorf("%s: tokenizer_config.json is %v, was %v", c.name, after, before)
			}
		}
		if c.eos == nil {
			continue
		}
		raw, err := os.ReadFile(files["generation_config.json"])
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			EOS []int32 `json:"eos_token_id"`
			PAD *int32  `json:"pad_token_id"`
		}
		if err := json.Unmarshal(raw, &got); err != nil || !slices.Equal(got.EOS, c.eos) {
			t.Errorf("%s: generation_config.json %s (%v)", c.name, raw, err)
		}
		if c.generation != "" && !strings.Contains(string(raw), `"temperature": 0.60`) || c.generation == "" && (got.PAD == nil || *got.PAD != 256) {
			t.Errorf("%s: generation_config.json %s", c.name, raw)
		}
	}
}

// read is a JSON file.
func read(t *testing.T, path string) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
