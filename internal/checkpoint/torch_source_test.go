package checkpoint

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/tensor"
)

const torchScript = "../../scripts/golden/torch_files.py"

// sameTensors compares every float tensor of golden with src, whatever rows are asked for at once.
func sameTensors(t *testing.T, src, golden Source) {
	t.Helper()
	for _, g := range golden.Tensors() {
		want := readAll(t, golden, g.Name, tensor.F32)
		rows, cols := dims(g.Shape)
		for _, step := range []int{max(rows, 1), 1, 3} {
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
	}
}

func openBoth(t *testing.T, dir, golden string) (src, want Source) {
	t.Helper()
	src, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	if want, err = OpenFile(golden); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { want.Close() })
	madeBy(t, golden, torchScript)
	return src, want
}

// TestTorchFile: views, shared storages and every float type of a file of torch.save, as PyTorch reads them.
func TestTorchFile(t *testing.T) {
	dir := t.TempDir()
	copyInto(t, dir, "testdata/torch/pytorch_model.bin")
	writeFiles(t, dir, map[string]string{configName: "{}"})
	src, golden := openBoth(t, dir, "testdata/torch.safetensors")
	sameTensors(t, src, golden)
	if n := len(src.Tensors()); n != len(golden.Tensors())+1 { // i64 is no weight
		t.Errorf("%d tensors, want %d", n, len(golden.Tensors())+1)
	}
	got := readAll(t, src, "i64", tensor.I64)
	if got[0] != 0xfe || got[16] != 0 || got[32] != 2 {
		t.Errorf("i64: % x", got)
	}
}

// TestTorchShards: an index spreads tensors over files; one that is missing is named.
func TestTorchShards(t *testing.T) {
	dir := t.TempDir()
	const index = `{"metadata":{},"weight_map":{"f32":"pytorch_model-00001-of-00001.bin","f16":"pytorch_model-00001-of-00001.bin"%s}}`
	writeFiles(t, dir, map[string]string{configName: "{}", torchIndexName: strings.ReplaceAll(index, "%s", "")})
	_, err := Open(dir)
	wantError(t, err, "1 of 1 shards missing, first pytorch_model-00001-of-00001.bin")
	raw, err := os.ReadFile("testdata/torch/pytorch_model.bin")
	if err != nil {
		t.Fatal(err)
	}
	writeFiles(t, dir, map[string]string{"pytorch_model-00001-of-00001.bin": string(raw)})
	src, golden := openBoth(t, dir, "testdata/torch.safetensors")
	sameTensors(t, src, golden)
	writeFiles(t, dir, map[string]string{torchIndexName: strings.ReplaceAll(index, "%s", `,"x":"pytorch_model-00001-of-00001.bin"`)})
	_, err = Open(dir)
	wantError(t, err, `tensor "x" in no shard`)
}

// TestMeta: parts joined by rows and columns, heads' rows put in order, a rank's rows read alone.
func TestMeta(t *testing.T) {
	for dir, c := range map[string][]string{
		"meta2": {`"max_position_embeddings": 4096`, `"num_key_value_heads": 4`, `"torch_dtype": "float16"`, `"vocab_size": 14`, `"intermediate_size": 24`, `"bos_token_id": 1`},
		"meta3": {`"max_position_embeddings": 131072`, `"num_key_value_heads": 2`, `"rope_theta": 500000`, `"rope_type": "llama3"`, `"tie_word_embeddings": false`},
	} {
		t.Run(dir, func(t *testing.T) {
			src, golden := openBoth(t, "testdata/"+dir, "testdata/"+dir+".safetensors")
			sameTensors(t, src, golden)
			if len(src.Tensors()) != len(golden.Tensors()) {
				t.Errorf("%d tensors, want %d", len(src.Tensors()), len(golden.Tensors()))
			}
			for _, s := range c {
				if !strings.Contains(string(src.Config()), s) {
					t.Errorf("config lacks %s:\n%s", s, src.Config())
				}
			}
			counted := Count(src)
			row := make([]byte, 2*16)
			if err := counted.ReadRows("model.layers.0.self_attn.o_proj.weight", 5, 6, row, src.Tensors()[0].DType); err != nil || counted.Bytes() != 32 {
				t.Errorf("one row of 16: %d bytes read, %v", counted.Bytes(), err)
			}
		})
	}
}

// TestMetaErrors: parts that are missing, or are not of one model.
func TestMetaErrors(t *testing.T) {
	lay := func(t *testing.T, from map[string]string) string {
		dir := t.TempDir()
		for name, path := range from {
			raw, err := os.ReadFile("testdata/" + path)
			if err != nil {
				t.Fatal(err)
			}
			writeFiles(t, dir, map[string]string{name: string(raw)})
		}
		return dir
	}
	const params, p0, p1 = "params.json", "consolidated.00.pth", "consolidated.01.pth"
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"first part":   {map[string]string{params: "meta2/params.json", p1: "meta2/consolidated.01.pth"}, []string{"part 0 is missing"}},
		"other part":   {map[string]string{params: "meta2/params.json", p0: "meta2/consolidated.00.pth", p1: "meta3/consolidated.01.pth"}, []string{"part 1 is"}},
		"other tensor": {map[string]string{params: "meta2/params.json", p0: "torch/pytorch_model.bin"}, []string{`"f32"`, "not part of a llama model"}},
		"old file":     {map[string]string{params: "meta2/params.json", p0: "torch_old.bin"}, []string{"before 1.6"}},
		"no params":    {map[string]string{params: "split.json", p0: "meta2/consolidated.00.pth"}, []string{params, "dim 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(lay(t, c.files))
			wantError(t, err, c.want...)
		})
	}
}

func copyInto(t *testing.T, dir, path string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	writeFiles(t, dir, map[string]string{filepath.Base(path): string(raw)})
}
