package job

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lomo/internal/checkpoint"
	"lomo/internal/checkpoint/gguf"
	"lomo/internal/checkpoint/gguf/arch"
	"lomo/internal/tensor"
	"lomo/internal/tokenizer"
)

// goldenModel copies a tiny model of testdata and gives it a tokenizer.
func goldenModel(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "testdata", "golden", name))); err != nil {
		t.Fatal(err)
	}
	if err := tokenizer.NewByteLevel().WriteFiles(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// convert runs Convert and returns its notes.
func convert(o ConvertOptions) (c *Converted, notes []string, err error) {
	o.Note = func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if o.Begin == nil {
		o.Begin = func(string, int64) {}
	}
	c, err = Convert(o)
	return c, notes, err
}

// weightsOf reads all tensors as float32.
func weightsOf(t *testing.T, path string) map[string][]byte {
	t.Helper()
	m, err := OpenModel(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	all := map[string][]byte{}
	for _, p := range m.Net.Params() {
		all[p.Name] = make([]byte, 4*p.Len())
		if err := m.Source.ReadRows(p.Name, 0, p.Shape[0], all[p.Name], tensor.F32); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestConvertThereAndBack: models of every family go through a GGUF file in float32 and come back with every bit and the same mathematics, or
// are refused by name. Gemma's gains are stored with one added, which rounds them.
func TestConvertThereAndBack(t *testing.T) {
	refused := map[string]string{
		"gemma_mha": `tensor "lm_head.weight" has no place in the architecture gemma`, "gemma3_gqa": "cannot say the model's scale of attention scores",
		"gemma2_gqa": "cannot say the model's scale of attention scores", "gemma2_mha": `tensor "lm_head.weight" has no place`, "olmo3_yarn": "only with a head of their own",
		"gemma3_mha": "cannot say the model's biases of queries", "olmo2_gqa": "only with a head of their own", "smollm3_window": "cannot say the model's layers without rotation",
	}
	models, err := filepath.Glob(filepath.Join("..", "..", "testdata", "golden", "*", "config.json"))
	if err != nil || len(models) < 20 {
		t.Fatalf("%d models, %v", len(models), err)
	}
	families := map[string]bool{}
	for _, path := range models {
		name := filepath.Base(filepath.Dir(path))
		t.Run(name, func(t *testing.T) {
			dir := goldenModel(t, name)
			file, back := filepath.Join(t.TempDir(), "m.gguf"), filepath.Join(t.TempDir(), "back")
			_, _, err := convert(ConvertOptions{In: dir, Out: file, DType: "f32"})
			want, is := refused[name]
			kind := modelType(t, dir)
			if _, stored := arch.ForFamily(kind); !stored {
				want, is = fmt.Sprintf("models of model_type %q have no architecture in GGUF files that this build writes", kind), true
			}
			if is {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%v, want %q", err, want)
				}
				if _, there := os.Stat(file); there == nil {
					t.Error("a file was written")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := convert(ConvertOptions{In: file, Out: back}); err != nil {
				t.Fatal(err)
			}
			had, have := weightsOf(t, dir), weightsOf(t, back)
			if len(had) != len(have) {
				t.Errorf("%d tensors, want %d", len(have), len(had))
			}
			for n, w := range had {
				if strings.HasPrefix(name, "gemma") && strings.HasSuffix(n, "norm.weight") {
					if !nearBits(w, have[n], 1e-6) {
						t.Errorf("%s differs by more than what adding one rounds", n)
					}
				} else if !bytes.Equal(w, have[n]) {
					t.Errorf("%s differs", n)
				}
			}
			families[kind] = true
		})
	}
	if len(families) < 8 {
		t.Errorf("only the families %v went through", families)
	}
}

// modelType is what a model's config.json says of its family.
func modelType(t *testing.T, dir string) string {
	t.Helper()
	m, err := OpenModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	return m.Config.ModelType
}

// nearBits compares float32 numbers.
func nearBits(a, b []byte, most float32) bool {
	x, y := make([]float32, len(a)/4), make([]float32, len(b)/4)
	if tensor.Float32s(x, a, tensor.F32) != nil || tensor.Float32s(y, b, tensor.F32) != nil {
		return false
	}
	for i := range x {
		if d := x[i] - y[i]; d > most || d < -most {
			return false
		}
	}
	return true
}

// TestConvertTypes: each type is read again with errors no larger than its steps, what cannot have it is said with a count, and parts make a whole.
func TestConvertTypes(t *testing.T) {
	dir := goldenModel(t, "gqa_headdim")
	want := weightsOf(t, dir)
	for _, dtype := range []string{"f32", "f16", "bf16", "q8_0", "q4_0", "q4_k", "q6_k", "Q4_K_M"} {
		for _, shard := range []string{"", "5KB"} {
			file := filepath.Join(t.TempDir(), "m.gguf")
			c, notes, err := convert(ConvertOptions{In: dir, Out: file, DType: dtype, MaxShardSize: shard})
			if err != nil {
				t.Fatal(dtype, err)
			}
			if shard != "" {
				if len(c.Files) < 2 {
					t.Fatalf("%s: %d files", dtype, len(c.Files))
				}
				file = c.Files[1]
			}
			most := map[string]float32{"f32": 0, "f16": 1e-3, "bf16": 1e-2, "q8_0": 2e-2}[dtype]
			if most == 0 && dtype != "f32" {
				most = 0.5
			}
			for n, have := range weightsOf(t, file) {
				if !nearBits(want[n], have, most) {
					t.Errorf("%s: %s differs by more than %v", dtype, n, most)
				}
			}
			told := slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, "in a wider type than asked for") })
			if wide := dtype == "q4_k" || dtype == "q6_k" || dtype == "Q4_K_M"; wide != told && dtype != "q4_0" && dtype != "q8_0" {
				t.Errorf("%s: notes %q", dtype, notes)
			}
		}
	}
}

// TestConvertRefuses: what cannot be done is said before anything is written, by name and with the exit code of its kind.
func TestConvertRefuses(t *testing.T) {
	dir := goldenModel(t, "gqa_tied")
	tmp := t.TempDir()
	full := filepath.Join(tmp, "full")
	if err := os.MkdirAll(full, 0o755); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(full, "letter.txt"), []byte("x"), 0o644)
	there := filepath.Join(tmp, "there.gguf")
	os.WriteFile(there, []byte("old"), 0o644)
	bare := filepath.Join(tmp, "bare")
	if err := os.CopyFS(bare, os.DirFS(filepath.Join("..", "..", "testdata", "golden", "gqa_tied"))); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		o    ConvertOptions
		want string
		code int
	}{
		{ConvertOptions{In: dir, Out: "x.gguf", DType: "q5_k"}, `dtype "q5_k" is not one of f32, f16, bf16, q8_0, q4_0, q4_k, q6_k`, 2},
		{ConvertOptions{In: dir, Out: "x", DType: "q8_0"}, "dtype q8_0 is a type of GGUF files, and OUT is the folder x", 2},
		{ConvertOptions{In: dir, Out: "x", To: "ggfu"}, `to "ggfu" is not one of safetensors, gguf`, 2},
		{ConvertOptions{In: dir, Out: "x", To: "gguf"}, "OUT is x: the name of a GGUF file ends in .gguf", 2},
		{ConvertOptions{In: dir, Out: "x.gguf", To: "safetensors"}, "OUT is x.gguf, and safetensors are written into a folder", 2},
		{ConvertOptions{In: dir, Out: "x.safetensors"}, "OUT is x.safetensors, and safetensors are written into a folder", 2},
		{ConvertOptions{In: dir, Out: "pytorch_model.bin"}, "OUT is pytorch_model.bin, and safetensors are written into a folder", 2},
		{ConvertOptions{In: dir, Out: "x.gguf/"}, "OUT is x.gguf/: a folder by its end, a GGUF file by its name", 2},
		{ConvertOptions{In: dir, Out: "x.gguf", MaxShardSize: "5"}, `max-shard-size: "5" has no unit`, 2},
		{ConvertOptions{In: filepath.Join(tmp, "none"), Out: "x.gguf"}, "no such file", 1},
		{ConvertOptions{In: dir, Out: dir}, "is the model itself", 1},
		{ConvertOptions{In: dir, Out: there}, "is there already", 1},
		{ConvertOptions{In: dir, Out: full}, "is not empty: it holds letter.txt", 1},
		{ConvertOptions{In: dir, Out: full, Force: true}, "is no model that could be replaced: it holds letter.txt", 1},
		{ConvertOptions{In: bare, Out: filepath.Join(tmp, "b.gguf")}, "the model has no tokenizer, which a GGUF file must hold", 1},
	} {
		before, _ := filepath.Glob(filepath.Join(tmp, "*"))
		_, _, err := convert(c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) || Exit(err) != c.code {
			t.Errorf("%+v: %v (exit %d), want %q (%d)", c.o, err, Exit(err), c.want, c.code)
		}
		if after, _ := filepath.Glob(filepath.Join(tmp, "*")); !slices.Equal(before, after) {
			t.Errorf("%s: left behind %v", c.want, after)
		}
	}
	if raw, _ := os.ReadFile(there); string(raw) != "old" {
		t.Error("the file that was there has changed")
	}
	if _, _, err := convert(ConvertOptions{In: dir, Out: there, Force: true}); err != nil {
		t.Error(err)
	}
}

// TestConvertSpares: with Force too, neither the files that a model is read from are written over, nor the folder that it lies in.
func TestConvertSpares(t *testing.T) {
	dir := goldenModel(t, "gqa_tied")
	c, _, err := convert(ConvertOptions{In: dir, Out: filepath.Join(dir, "m.gguf"), MaxShardSize: "5KB"})
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, o := range []ConvertOptions{
		{In: c.Files[0], Out: c.Files[2]},
		{In: c.Files[2], Out: filepath.Join(dir, "m.gguf"), MaxShardSize: "5KB"},
		{In: c.Files[0], Out: dir},
		{In: c.Files[0], Out: filepath.Dir(dir)},
	} {
		o.Force = true
		_, _, err := convert(o)
		if err == nil || !strings.Contains(err.Error(), "is a part of the model itself") && !strings.Contains(err.Error(), "is the folder in which the model") {
			t.Errorf("%s to %s: %v", o.In, o.Out, err)
		}
	}
	tmp := t.TempDir()
	for _, name := range []string{"Modelfile", "x.Modelfile"} {
		os.WriteFile(filepath.Join(tmp, name), []byte("FROM elsewhere"), 0o644)
	}
	_, _, err = convert(ConvertOptions{In: dir, Out: filepath.Join(tmp, "x.gguf")})
	if _, missing := os.Stat(filepath.Join(tmp, "x.gguf")); err == nil || !strings.Contains(err.Error(), "x.Modelfile is there already, and is not of ") || missing == nil {
		t.Errorf("over another's Modelfile: %v, %v", err, missing)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); !slices.Equal(files, left) {
		t.Errorf("%v became %v", files, left)
	}
}

// TestConvertAgain: what is made of a GGUF file calls itself and its tokens as that does, so that q8_0 goes through f32 and comes back with the same
// bytes. Rows without a token stay such rows, and parts of one model are not taken for those of another with the same shapes.
func TestConvertAgain(t *testing.T) {
	spare := filepath.Join(t.TempDir(), "spare") // 320 rows, 259 tokens
	if _, err := New(NewOptions{Preset: "tiny", Dir: spare, DType: "f32"}); err != nil {
		t.Fatal(err)
	}
	tmp := t.TempDir()
	at := spare
	for i, dtype := range []string{"q8_0", "f32", "q8_0"} {
		out := filepath.Join(tmp, fmt.Sprintf("step %d.gguf", i))
		if _, _, err := convert(ConvertOptions{In: at, Out: out, DType: dtype}); err != nil {
			t.Fatal(err)
		}
		at = out
	}
	first, _ := os.ReadFile(filepath.Join(tmp, "step 0.gguf"))
	last, _ := os.ReadFile(at)
	if len(first) == 0 || !bytes.Equal(first, last) {
		t.Errorf("%d bytes in q8_0 became %d others by way of f32", len(first), len(last))
	}
	if tok, err := OpenTokenizer(at); err != nil || tok.VocabSize() != 259 {
		t.Errorf("%v, want 259 tokens", err)
	}
	var parts [2][]string
	for i, seed := range []string{"a", "b"} {
		in := filepath.Join(t.TempDir(), seed)
		if err := os.CopyFS(in, os.DirFS(spare)); err != nil {
			t.Fatal(err)
		}
		c, _, err := convert(ConvertOptions{In: in, Out: filepath.Join(t.TempDir(), "m.gguf"), MaxShardSize: "100KB"})
		if err != nil {
			t.Fatal(err)
		}
		parts[i] = c.Files
	}
	if err := os.Rename(parts[0][1], parts[1][1]); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenModel(parts[1][0]); err == nil || !strings.Contains(err.Error(), "general.name is a, the first part's is b") {
		t.Errorf("a part of another model: %v", err)
	}
}

// TestConvertLeavesNothing: an interrupted or failed conversion leaves neither file nor folder, and a full disk is told of before.
func TestConvertLeavesNothing(t *testing.T) {
	dir := goldenModel(t, "gqa_tied")
	stop := errors.New("stopped")
	for _, out := range []string{"sub/m.gguf", "sub/folder"} {
		tmp := t.TempDir()
		_, _, err := convert(ConvertOptions{In: dir, Out: filepath.Join(tmp, filepath.FromSlash(out)), Written: func(int64) error { return stop }})
		if !errors.Is(err, stop) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", out, err)
		}
		if left, _ := filepath.Glob(filepath.Join(tmp, "*")); len(left) > 0 {
			t.Errorf("%s: left behind %v", out, left)
		}
	}
	free := freeDisk
	defer func() { freeDisk = free }()
	freeDisk = func(string) int64 { return 1000 }
	for _, out := range []string{"m.gguf", "folder"} {
		if _, _, err := convert(ConvertOptions{In: dir, Out: filepath.Join(t.TempDir(), out)}); err == nil || !strings.Contains(err.Error(), "and 1000 B are free there") {
			t.Errorf("%s: %v", out, err)
		}
	}
}

// TestConvertNamed: llama.cpp goes by phi-3 in the name of a model, so that another's is left out, and said.
func TestConvertNamed(t *testing.T) {
	dir := goldenModel(t, "gqa_tied")
	for name, kept := range map[string]bool{"mine": true, "my-Phi-3-run": false, "phi3": false} {
		in, file := filepath.Join(t.TempDir(), name), filepath.Join(t.TempDir(), "m.gguf")
		if err := os.Rename(dir, in); err != nil {
			t.Fatal(err)
		}
		dir = in
		_, notes, err := convert(ConvertOptions{In: in, Out: file})
		if err != nil {
			t.Fatal(err)
		}
		f, err := gguf.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := f.String("general.name")
		f.Close()
		if said := strings.Contains(strings.Join(notes, "\n"), "is left out of the file"); (got == name) != kept || said == kept {
			t.Errorf("%s: %q, notes %q", name, got, notes)
		}
	}
}

// TestConvertFolder: what transformers reads stands beside the weights of a folder made of a GGUF file.
func TestConvertFolder(t *testing.T) {
	dir := goldenModel(t, "gqa_tied")
	file, back := filepath.Join(t.TempDir(), "m.gguf"), filepath.Join(t.TempDir(), "back")
	if _, _, err := convert(ConvertOptions{In: dir, Out: file}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := convert(ConvertOptions{In: file, Out: back, DType: "bf16"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} {
		if _, err := os.Stat(filepath.Join(back, name)); err != nil {
			t.Error(err)
		}
	}
	src, err := checkpoint.Open(back)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if dt := src.Tensors()[0].DType; dt != tensor.BF16 {
		t.Errorf("weights in %v", dt)
	}
	a, err := OpenTokenizer(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := OpenTokenizer(back)
	if err != nil {
		t.Fatal(err)
	}
	text, err := a.RenderChat([]tokenizer.Message{{Role: "user", Content: "hi"}}, "", true)
	again, err2 := b.RenderChat([]tokenizer.Message{{Role: "user", Content: "hi"}}, "", true)
	if err != nil || err2 != nil || text != again {
		t.Errorf("the chat template writes %q, it wrote %q (%v, %v)", again, text, err, err2)
	}
}
