package golden

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var models = []string{"mha_tied", "mha_untied", "gqa_tied", "gqa_untied", "gqa_llama3", "gqa_headdim", "pad_tied", "pad_untied"}

// TestFiles holds the golden files to what their users count on.
func TestFiles(t *testing.T) {
	for _, name := range models {
		t.Run(name, func(t *testing.T) {
			f := Load(t, "testdata/golden/"+name+".golden.safetensors")
			if len(f.Runs) != 8 || f.Versions["lomo-optim"] == "" || f.Versions["torch"] == "" {
				t.Errorf("runs %v, versions %v", f.Runs, f.Versions)
			}
			for run, o := range f.Runs {
				if n := len(f.F32("losses/" + run)); n != 10 || o.LR <= 0 {
					t.Errorf("run %s: %d losses, lr %g", run, n, o.LR)
				}
				if f.Has("norms/"+run) != (o.ClipGradNorm > 0) {
					t.Errorf("run %s: norms %v, clip_grad_norm %g", run, f.Has("norms/"+run), o.ClipGradNorm)
				}
				if noise := f.Noise[run]; noise <= 0 || noise > 1e-5 {
					t.Errorf("run %s: noise %g", run, noise)
				}
			}
			model, _, err := read(filepath.Join(f.ModelDir(), "model.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			for _, prefix := range []string{"grad/", "final/lomo/", "final/adalomo/"} {
				if got := f.Names(prefix); len(got) != len(model) {
					t.Errorf("%s: %d tensors, the model has %d", prefix, len(got), len(model))
				}
			}
			// The loss is the mean over the labels shifted by one that are not -100: nothing may contradict the logits.
			if got, want := meanLoss(f.F32("logits"), f.I32("labels")[:24], f.Shape("logits")), f.F32("loss")[0]; math.Abs(got-float64(want)) > 5e-6 {
				t.Errorf("loss from the logits %v, recorded %v", got, want)
			}
		})
	}
}

// meanLoss is the cross-entropy of logits (B, T, V) in float64.
func meanLoss(logits []float32, labels []int32, shape []int) float64 {
	T, V := shape[1], shape[2]
	sum, n := 0.0, 0
	for i, label := range labels {
		if i%T == 0 || label == -100 {
			continue
		}
		z, total := logits[(i-1)*V:i*V], 0.0
		for _, v := range z {
			total += math.Exp(float64(v))
		}
		sum += math.Log(total) - float64(z[label])
		n++
	}
	return sum / float64(n)
}

func read(path string) (map[string]Tensor, map[string]string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	return parse(raw)
}

// file is a safetensors file with this header and data.
func file(header, data string) []byte {
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), data...)
}

// TestStale: a changed script, a changed model and a missing script each fail.
func TestStale(t *testing.T) {
	const hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // of "hello"
	for _, c := range []struct{ name, script, model, want string }{
		{"as made", "hello", "hello", ""},
		{"script changed", "hello ", "hello", "make.py has changed"},
		{"model changed", "hello", "hell", "model.safetensors has changed"},
		{"script missing", "", "hello", "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			meta := strings.ReplaceAll(`{"scripts":{"make.py":"`+hash+`"},"model_sha256":"`+hash+`"}`, `"`, `\"`)
			write(t, filepath.Join(dir, "m.golden.safetensors"), string(file(`{"__metadata__":{"golden":"`+meta+`"}}`, "")))
			write(t, filepath.Join(dir, "m", "model.safetensors"), c.model)
			if c.script != "" {
				write(t, filepath.Join(dir, "make.py"), c.script)
			}
			_, err := load(dir, "m.golden.safetensors")
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// TestVectors: the vectors belong to their scripts, and say what a reader can check by hand.
func TestVectors(t *testing.T) {
	var v struct {
		Runs map[string]struct{ Steps []struct{ Loss float64 } }
	}
	LoadJSON(t, "testdata/golden/vectors.json", &v)
	for name, run := range v.Runs {
		if len(run.Steps) != 2 || math.Abs(run.Steps[0].Loss-15.119140625) > 1e-6 {
			t.Errorf("run %s: %v", name, run.Steps)
		}
	}
	dir := t.TempDir()
	for text, want := range map[string]string{`{}`: "no script", `{`: "JSON", `{"scripts":{"make.py":"00"}}`: "has changed"} {
		write(t, filepath.Join(dir, "make.py"), "hello")
		write(t, filepath.Join(dir, "v.json"), text)
		if err := loadJSON(dir, "v.json", &v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestParse(t *testing.T) {
	tensors, meta, err := parse(file(`{"__metadata__":{"a":"b"},"x":{"dtype":"F32","shape":[1,2],"data_offsets":[4,12]},`+
		`"i":{"dtype":"I32","shape":[],"data_offsets":[0,4]}}  `, "\xff\xff\xff\xff\x00\x00\x80\x3f\x00\x00\x00\xc0"))
	if err != nil {
		t.Fatal(err)
	}
	if x := tensors["x"].F32; meta["a"] != "b" || tensors["i"].I32[0] != -1 || x[0] != 1 || x[1] != -2 {
		t.Errorf("tensors %v, metadata %v", tensors, meta)
	}
}

func TestParseErrors(t *testing.T) {
	for name, raw := range map[string][]byte{
		"short":          []byte("1234567"),
		"header too big": binary.LittleEndian.AppendUint64(nil, 1<<63),
		"not json":       file(`{`, ""),
		"past the end":   file(`{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, "1234"),
		"backwards":      file(`{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, "1234"),
		"wrong size":     file(`{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, "1234"),
		"negative":       file(`{"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, "1234"),
		"huge shape":     file(`{"x":{"dtype":"F32","shape":[9223372036854775807,4],"data_offsets":[0,4]}}`, "1234"),
		"dtype":          file(`{"x":{"dtype":"F16","shape":[1],"data_offsets":[0,4]}}`, "1234"),
	} {
		if _, _, err := parse(raw); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestCompare(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		name      string
		got, want []float32
		rel       float64
	}{
		{"equal", []float32{1, -2}, []float32{1, -2}, 0},
		{"relative to the largest", []float32{1, -2}, []float32{1, -4}, 0.5},
		{"zeros", []float32{0, 0.25}, []float32{0, 0}, 0.25},
		{"NaN", []float32{1, nan}, []float32{1, 2}, math.Inf(1)},
		{"both NaN", []float32{nan}, []float32{nan}, math.Inf(1)},
		{"infinite", []float32{inf}, []float32{1}, math.Inf(1)},
	} {
		if d, err := compare(c.got, c.want); err != nil || d.rel != c.rel {
			t.Errorf("%s: %v, %v, want %g", c.name, d, err, c.rel)
		}
	}
	for _, got := range [][]float32{nil, {1}} {
		if _, err := compare(got, []float32{1, 2}[:2*len(got)]); err == nil {
			t.Errorf("%d elements: no error", len(got))
		}
	}
}

// TestClose: a result past the bound fails its test. The failing test is a stand-in that only counts.
func TestClose(t *testing.T) {
	c := &counter{TB: t}
	for _, got := range [][]float32{{1, 2.1}, {1, float32(math.NaN())}, {1}} {
		before := c.errors
		Close(c, "x", got, []float32{1, 2}, 1e-3)
		if c.errors != before+1 {
			t.Errorf("%v passed", got)
		}
	}
	if Close(c, "x", []float32{1, 2.001}, []float32{1, 2}, 1e-3); c.errors != 3 {
		t.Error("an error within the bound failed")
	}
}

type counter struct {
	testing.TB
	errors int
}

func (c *counter) Errorf(string, ...any) { c.errors++ }
