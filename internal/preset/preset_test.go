package preset

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/checkpoint"
	"lomo/internal/model"
	"lomo/internal/model/families"
	"lomo/internal/tensor"
)

// TestParameterCounts: the sizes the models are known by.
func TestParameterCounts(t *testing.T) {
	for name, want := range map[string]int64{
		"135m": 134515008, "360m": 361821120, "1.7b": 1711376384, "tinyllama-1.1b": 1100048384,
		"llama-7b": 6738415616, "llama-13b": 13015864320, "llama-30b": 32528943616, "llama-65b": 65285660672,
		"llama2-70b": 68976648192, "llama3-8b": 8030261248, "llama3.2-1b": 1235814400,
		"llama3.1-8b": 8030261248, "llama3.1-70b": 70553706496, "llama3.2-3b": 3212749824, "mistral-7b": 7241732096, "smollm3-3b": 3075098624,
		"qwen3-0.6b": 596049920, "qwen3-1.7b": 1720574976, "qwen3-4b": 4022468096, "qwen3-8b": 8190735360, "qwen3-14b": 14768307200, "qwen3-32b": 32762123264,
		"qwen3-30b-a3b": 30532122624, "mixtral-8x7b": 46702792704,
		"qwen2.5-0.5b": 494032768, "qwen2.5-1.5b": 1543714304, "qwen2.5-7b": 7615616512, "olmo2-7b": 7298617344,
		"phi-3-mini": 3821079552, "phi-3.5-mini": 3821079552, "phi-4": 14659507200, "phi-4-mini": 3836021760, "olmo3-7b": 7298011136, "exaone4-1.2b": 1279391488,
		"gemma-2b": 2506172416, "gemma-7b": 8537680896, "gemma2-2b": 2614341888, "gemma2-9b": 9241705984, "gemma2-27b": 27227128320,
		"gemma3-270m": 268098176, "gemma3-1b": 999885952, "gemma3-4b": 3880263168, "gemma3-12b": 11766034176, "gemma3-27b": 27009346304,
	} {
		cfg, err := Config(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := model.NewNetwork(cfg).NumParams(); got != want {
			t.Errorf("%s: %d parameters, want %d", name, got, want)
		}
	}
	for _, name := range Names() {
		if _, err := Config(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Config("llama-8b-instruct"); err == nil {
		t.Error("an unknown preset is accepted")
	}
}

// TestActiveParameters: of a mixture a token passes the experts that it is sent to, and all else.
func TestActiveParameters(t *testing.T) {
	for name, want := range map[string]int64{"qwen3-30b-a3b": 3353032704, "mixtral-8x7b": 12879925248, "qwen3-0.6b": 596049920} {
		cfg, err := Config(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := model.NewNetwork(cfg).Active(); got != want {
			t.Errorf("%s: %d parameters work on a token, want %d", name, got, want)
		}
	}
}

func create(t *testing.T, o Options) (string, checkpoint.Source) {
	t.Helper()
	dir := t.TempDir()
	if _, err := Create(dir, "tiny", o); err != nil {
		t.Fatal(err)
	}
	src, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return dir, src
}

// TestBiasesBeginAtZero: norm gains are 1, biases 0.
func TestBiasesBeginAtZero(t *testing.T) {
	begin(t, map[string]any{"attention_bias": true, "mlp_bias": true}, 1, 2*7)
	begin(t, map[string]any{"attention_bias": true, "model_type": "gemma", "architectures": nil, "hidden_act": "gelu"}, 0, 2*4) // 1 + w
}

func begin(t *testing.T, more map[string]any, gain float32, wantBiases int) {
	t.Helper()
	dir := t.TempDir()
	cfg, err := Create(dir, "tiny", Options{DType: tensor.F32, Extra: more})
	if err != nil {
		t.Fatal(err)
	}
	src, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	biases := 0
	for _, p := range model.NewNetwork(cfg).Params() {
		if p.Matrix() {
			continue
		}
		want := gain
		if strings.HasSuffix(p.Name, ".bias") {
			want, biases = 0, biases+1
		}
		x := tensor.NewHost(p.Name, tensor.F32, p.Shape...)
		if err := src.ReadRows(p.Name, 0, p.Shape[0], x.Host, tensor.F32); err != nil {
			t.Fatal(err)
		}
		for _, v := range x.F32s() {
			if v != want {
				t.Fatalf("%s begins with %v, want %v", p.Name, v, want)
			}
		}
	}
	if biases != wantBiases {
		t.Errorf("%d biases", biases)
	}
}

func TestCreate(t *testing.T) {
	_, src := create(t, Options{DType: tensor.F32, Seed: 3})
	cfg, err := families.Parse(src.Config())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range model.NewNetwork(cfg).Params() {
		x := tensor.NewHost(p.Name, tensor.F32, p.Shape...)
		if err := src.ReadRows(p.Name, 0, p.Shape[0], x.Host, tensor.F32); err != nil {
			t.Fatal(err)
		}
		var sum, squares float64
		for _, v := range x.F32s() {
			sum += float64(v)
			squares += float64(v) * float64(v)
		}
		n := float64(p.Len())
		mean, std := sum/n, math.Sqrt(squares/n-sum*sum/n/n)
		wantMean, wantStd := 0.0, 0.02
		if !p.Matrix() {
			wantMean, wantStd = 1, 0
		}
		// Five standard errors of 4,096 draws.
		if math.Abs(mean-wantMean) > 5*0.02/math.Sqrt(n) || math.Abs(std-wantStd) > 5*0.02/math.Sqrt(2*n) {
			t.Errorf("%s: mean %v, standard deviation %v", p.Name, mean, std)
		}
	}
}

// TestCreateInPieces: rows and draws in several pieces, the last of each shorter, are those of all at once, and no draw is that of another tensor or place.
func TestCreateInPieces(t *testing.T) {
	_, whole := create(t, Options{DType: tensor.F32, Seed: 3})
	defer func(c, p int) { chunk, piece = c, p }(chunk, piece)
	chunk, piece = 1000, 130
	_, cut := create(t, Options{DType: tensor.F32, Seed: 3})
	seen := map[float32]int{}
	total := 0
	for _, i := range whole.Tensors() {
		x, y := tensor.NewHost("x", tensor.F32, i.Shape...), tensor.NewHost("y", tensor.F32, i.Shape...)
		for src, v := range map[checkpoint.Source]tensor.Tensor{whole: x, cut: y} {
			if err := src.ReadRows(i.Name, 0, i.Shape[0], v.Host, tensor.F32); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(x.Host, y.Host) {
			t.Errorf("%s depends on how it is cut", i.Name)
		}
		if len(i.Shape) > 1 {
			for _, v := range x.F32s() {
				seen[v]++
			}
			total += x.Len()
		}
	}
	if len(seen) < total*98/100 {
		t.Errorf("%d draws have %d values: some are drawn twice", total, len(seen))
	}
}

// TestCreateIsAFunctionOfTheSeed: same seed, same bytes, however the file is cut; another seed, other weights.
func TestCreateIsAFunctionOfTheSeed(t *testing.T) {
	read := func(dir string) string {
		raw, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	a, _ := create(t, Options{DType: tensor.BF16, Seed: 3})
	b, _ := create(t, Options{DType: tensor.BF16, Seed: 3})
	c, _ := create(t, Options{DType: tensor.BF16, Seed: 4})
	if read(a) != read(b) {
		t.Error("the same seed gives other bytes")
	}
	if read(a) == read(c) {
		t.Error("another seed gives the same bytes")
	}
	_, sharded := create(t, Options{DType: tensor.BF16, Seed: 3, MaxShardSize: 40000})
	_, whole := create(t, Options{DType: tensor.BF16, Seed: 3})
	for _, i := range whole.Tensors() {
		x, y := tensor.NewHost("x", tensor.BF16, i.Shape...), tensor.NewHost("y", tensor.BF16, i.Shape...)
		if err := whole.ReadRows(i.Name, 0, i.Shape[0], x.Host, tensor.BF16); err != nil {
			t.Fatal(err)
		}
		if err := sharded.ReadRows(i.Name, 0, i.Shape[0], y.Host, tensor.BF16); err != nil {
			t.Fatal(err)
		}
		if string(x.Host) != string(y.Host) {
			t.Errorf("%s differs between one file and shards", i.Name)
		}
	}
}
