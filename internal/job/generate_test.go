package job

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lomo/internal/config"
	"lomo/internal/infer"
)

// newTiny is a random model in float32 with the byte-level tokenizer of 259 tokens, and rows for 320.
func newTiny(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "m")
	if _, err := New(NewOptions{Preset: "tiny", Dir: dir, DType: "f32", Seed: 3, MaxShardSize: "1GB"}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// embeddings lets edit change the rows of a float32 model's embedding.
func embeddings(t *testing.T, dir string, edit func(row func(id int) []byte)) {
	t.Helper()
	path := filepath.Join(dir, "model.safetensors")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head := binary.LittleEndian.Uint64(raw)
	var tensors map[string]struct {
		Shape   []int
		Offsets []int `json:"data_offsets"`
	}
	if err := json.Unmarshal(raw[8:8+head], &tensors); err != nil {
		t.Fatal(err)
	}
	e := tensors["model.embed_tokens.weight"]
	table, n := raw[8+int(head)+e.Offsets[0]:], 4*e.Shape[1]
	edit(func(id int) []byte { return table[n*id : n*(id+1)] })
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

func generate(t *testing.T, o GenerateOptions) (all []Continuation, notes string) {
	t.Helper()
	o.Runtime.Device = "cpu"
	var lines []string
	err := Generate(o, GenerateOutput{Done: func(c Continuation) error { all = append(all, c); return nil }},
		func(format string, args ...any) { lines = append(lines, format) })
	if err != nil {
		t.Fatal(err)
	}
	return all, strings.Join(lines, "\n")
}

// TestPaddedRowsAreNeverChosen: a row beyond the tokenizer's tokens, made a hundred times the likeliest one, would win every time.
func TestPaddedRowsAreNeverChosen(t *testing.T) {
	dir := newTiny(t)
	o := GenerateOptions{Model: dir, Prompts: []string{"The sea", "x"}, MaxTokens: 40}
	before, _ := generate(t, o)
	loudPadding(t, dir, int(before[0].IDs[0]))
	for _, temperature := range []float64{0, 0.5, 3} {
		for seed := range uint64(4) {
			o.Sampler = infer.Sampler{Temperature: temperature, Seed: seed}
			after, _ := generate(t, o)
			for i, c := range after {
				if c.Tokens == 0 || slices.ContainsFunc(c.IDs, func(id int32) bool { return id >= 259 }) {
					t.Errorf("temperature %v, seed %d, prompt %d: tokens %v", temperature, seed, i+1, c.IDs)
				}
				if temperature == 0 && !slices.Equal(c.IDs, before[i].IDs) {
					t.Errorf("prompt %d: %v, want %v as before", i+1, c.IDs, before[i].IDs)
				}
			}
		}
	}
}

// loudPadding makes the rows behind the vocabulary a hundred times that of a token, so that the likeliest of all is one of them wherever that token is likely.
func loudPadding(t *testing.T, dir string, like int) {
	t.Helper()
	embeddings(t, dir, func(row func(int) []byte) {
		for id := 259; id < 320; id++ {
			for i := 0; i < len(row(like)); i += 4 {
				v := math.Float32frombits(binary.LittleEndian.Uint32(row(like)[i:]))
				binary.LittleEndian.PutUint32(row(id)[i:], math.Float32bits(100*v))
			}
		}
	})
}

// asked keeps what the model of a run answers.
type asked struct {
	losses
	got []Sample
}

func (a *asked) Sampled(_ int, s []Sample, _ string) error { a.got = append(a.got, s...); return nil }

// TestPaddedRowsElsewhere: nor does a chat choose them, nor do the answers of a run. The padding is loud for the token that is chosen without it.
func TestPaddedRowsElsewhere(t *testing.T) {
	c, _ := newChat(t, nil)
	first := say(t, c, "The sea?")
	loudPadding(t, c.o.Model, int(first.IDs[0]))
	for _, temperature := range []float64{0, 1, 3} {
		loud, _ := newChat(t, func(o *ChatOptions) { o.Model, o.Temperature = c.o.Model, &temperature })
		r := say(t, loud, "The sea?")
		if r.Tokens == 0 || slices.ContainsFunc(r.IDs, func(id int32) bool { return id >= 259 }) || temperature == 0 && r.IDs[0] != first.IDs[0] {
			t.Errorf("temperature %v: tokens %v, at first %v", temperature, r.IDs, first.IDs)
		}
	}

	dir := newTiny(t)
	answers := func() []Sample {
		text := filepath.Join(t.TempDir(), "d.txt")
		if err := os.WriteFile(text, []byte("The sea is wide.\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		l, err := config.Load(config.Input{Set: []string{"model=" + dir, "output_dir=" + filepath.Join(t.TempDir(), "out"), "datasets=[{path: '" + text + "', type: text}]", "device=cpu",
			"dtype=f32", "max_steps=1", "lr_scheduler=constant", "learning_rate=1e-12", "save_steps=0", "sample_prompts=1", "sequence_len=32"}})
		if err != nil {
			t.Fatal(err)
		}
		a := &asked{}
		if err := Train(t.Context(), l, a, TrainOptions{}); err != nil || len(a.got) == 0 {
			t.Fatalf("%d answers, %v", len(a.got), err)
		}
		return a.got
	}
	before := answers()
	ids := []rune(before[0].Text)
	if len(ids) == 0 || ids[0] > 127 {
		t.Fatalf("the first answer is %q: its first token is not known", before[0].Text)
	}
	loudPadding(t, dir, int(ids[0]))
	if after := answers(); after[0].Text != before[0].Text {
		t.Errorf("a run's answer is %q, without the padding %q", after[0].Text, before[0].Text)
	}
}

// TestPromptsDrawApart: the draws of a prompt do not depend on those beside it, and are not those of another.
func TestPromptsDrawApart(t *testing.T) {
	dir := newTiny(t)
	o := GenerateOptions{Model: dir, Prompts: []string{"a", "b", "a"}, MaxTokens: 30, Sampler: infer.Sampler{Temperature: 50, Seed: 5}} // nearly uniform
	all, _ := generate(t, o)
	o.Prompts = []string{"b"}
	alone, _ := generate(t, o)
	if !slices.Equal(alone[0].IDs, all[1].IDs) || !slices.Equal(all[0].IDs, all[2].IDs) {
		t.Error("what stands beside a prompt changes its draws")
	}
	same := 0
	for i := range min(len(all[0].IDs), len(all[1].IDs)) {
		if all[0].IDs[i] == all[1].IDs[i] {
			same++
		}
	}
	if same > 5 {
		t.Errorf("%d of 30 draws of two prompts are the same: %v, %v", same, all[0].IDs, all[1].IDs)
	}
}

// TestGenerationConfig: what a model's generation_config.json says of the choice of tokens is applied or told, and refused where it makes no sense.
func TestGenerationConfig(t *testing.T) {
	dir := newTiny(t)
	o := GenerateOptions{Model: dir, Prompts: []string{"The sea"}, MaxTokens: 40}
	plain, _ := generate(t, o)
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "generation_config.json"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"temperature": 1.0, "top_k": 50, "repetition_penalty": 1000.0}`)
	penalized, notes := generate(t, o)
	if got := slices.Compact(slices.Sorted(slices.Values(penalized[0].IDs))); len(got) != len(penalized[0].IDs) || !strings.Contains(notes, "repetition_penalty") {
		t.Errorf("a penalty of 1000 repeats tokens: %v; notes %q", penalized[0].IDs, notes)
	}
	one := 1.0
	o.Penalty = &one
	if off, notes := generate(t, o); !slices.Equal(off[0].IDs, plain[0].IDs) || strings.Contains(notes, "penalty") {
		t.Errorf("without the penalty: %v, want %v; notes %q", off[0].IDs, plain[0].IDs, notes)
	}
	o.Penalty = nil
	text := plain[0].Text
	stop, err := json.Marshal(text[len(text)/2:][:1])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{string(stop), "[" + string(stop) + "]"} {
		write(`{"stop_strings": ` + c + `}`)
		if got, _ := generate(t, o); got[0].Finish != infer.Stop || len(got[0].Text) > len(text)/2 || !strings.HasPrefix(text, got[0].Text) {
			t.Errorf("stop_strings %s: %q, %v; without them %q", c, got[0].Text, got[0].Finish, text)
		}
	}
	write(`{"min_p": 0.05, "num_beams": 1, "no_repeat_ngram_size": 3, "typical_p": 1.0, "bad_words_ids": null}`)
	if _, notes := generate(t, o); !strings.Contains(notes, "not applied") {
		t.Errorf("notes %q", notes)
	}
	for text, want := range map[string]string{
		`{"repetition_penalty": 0}`:     "repetition_penalty 0 is not above 0",
		`{"repetition_penalty": "big"}`: "line 1: repetition_penalty: string found, want number",
		`{"top_p": 1.5}`:                "top_p 1.5 is not above 0 and at most 1",
		`{"temperature": -1}`:           "temperature -1 is not above 0",
		`{"top_k": -5}`:                 "top_k -5 is below 0",
		`{"stop_strings": [3]}`:         "line 1: stop_strings: ",
	} {
		write(text)
		err := Generate(o, GenerateOutput{}, t.Logf)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "generation_config.json") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
