package bench

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"lomo/internal/cpukern"
	"lomo/internal/device"
	"lomo/internal/model"
	"lomo/internal/model/families"
	"lomo/internal/tensor"
)

// tiny has grouped heads, so that k_proj has a shape of its own.
func tiny() *model.Config {
	return &model.Config{VocabSize: 40, HiddenSize: 32, IntermediateSize: 48, NumAttentionHeads: 4, NumKeyValueHeads: 2, HeadDim: 8, RMSNormEps: 1e-5, Layers: families.Llama}
}

func open(t *testing.T, capacity int64) *cpukern.Device {
	t.Helper()
	d, err := cpukern.Open(cpukern.Options{Capacity: capacity, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func run(t *testing.T, c *model.Config) []Result {
	t.Helper()
	d := open(t, 1<<20)
	var all []Result
	err := Run(d, Options{Model: c, Tokens: 16}, func(r Result) error { all = append(all, r); return nil })
	if err != nil {
		t.Fatal(err)
	}
	if used := d.Memory().Used(); used != 0 {
		t.Errorf("%d bytes of the arena are still in use", used)
	}
	return all
}

// TestEveryKernel holds the list of kernels to the interface: who adds a method there measures it here.
func TestEveryKernel(t *testing.T) {
	measured := map[string]bool{}
	for _, r := range run(t, tiny()) {
		measured[r.Kernel] = true
	}
	// What is left computes nothing worth a measurement: ClipCoef makes one number, queues and events none.
	for _, name := range strings.Fields("Name Memory Alloc Scratch Sync Close Record Wait NewQueue Pinned PinnedMemory ClipCoef") {
		measured[name] = true
	}
	seam := reflect.TypeFor[device.Device]()
	for i := range seam.NumMethod() {
		if name := seam.Method(i).Name; !measured[name] {
			t.Errorf("%s is not measured", name)
		}
	}
}

func TestResults(t *testing.T) {
	l := Limits{FLOPS: map[tensor.DType]float64{tensor.BF16: 4e9, tensor.F32: 2e9}, Copy: 1e9, Triad: 2e9}
	seen := map[string]Result{}
	for _, r := range run(t, tiny()) {
		key := r.Kernel + " " + r.Shape + " " + r.DType.String()
		if _, twice := seen[key]; twice {
			t.Errorf("%s comes twice", key)
		}
		seen[key] = r
		if rate := r.Rate(); r.Time <= 0 || (r.FLOPs > 0) == (r.Bytes > 0) || !(rate > 0) || math.IsInf(rate, 1) || !(r.Share(l) > 0) {
			t.Errorf("%s: %+v, rate %v, share %v", key, r, rate, r.Share(l))
		}
	}
	for key, work := range map[string]float64{
		"MatMul 16x32x32 BF16":             2 * 16 * 32 * 32,
		"MatMul 16x32x16 F32":              2 * 16 * 32 * 16, // k_proj
		"OuterUpdate 16x48x32 F32":         2 * 16 * 48 * 32, // down_proj
		"OuterSumSq 16x32x40 BF16":         2 * 16 * 32 * 40, // the head, smaller than one block
		"Attention 16x4x2x8 BF16":          2 * 16 * 16 * 32,
		"AttentionBackward 16x4x2x8 F32":   5 * 16 * 16 * 32,
		"SwiGLU 16x48 BF16":                3 * 2 * 16 * 48,
		"SwiGLU 16x48 F32":                 3 * 4 * 16 * 48,
		"GeGLU 16x48 F32":                  3 * 4 * 16 * 48,
		"AddRow 16x48 BF16":                2*2*16*48 + 2*48,
		"ColumnSum 16x48 BF16":             2*16*48 + 4*48,
		"AddScaled 16x32 F32":              3 * 4 * 16 * 32,
		"SoftCap 16x40 F32":                2 * 4 * 16 * 40,
		"Update 48x32 BF16":                (4 + 2 + 2) * 48 * 32,
		"RMSNorm 16x32 BF16":               2*2*16*32 + 2*32 + 4*16,
		"SoftmaxGrad 16x40 F32":            2*4*16*40 + 2*4*16,
		"FactorNorm 48x32 F32":             4*48*32 + 4*48 + 4*32,
		"Copy 48x32 BF16":                  (2 + 4) * 48 * 32,
		"RowsUpdate 40x32 F32":             3 * 4 * 16 * 32, // 16 rows of the table
		"MatMulBackwardInput 16x32x48 F32": 2 * 16 * 32 * 48,
	} {
		if r, ok := seen[key]; !ok || r.FLOPs+float64(r.Bytes) != work {
			t.Errorf("%s: %+v, want work %v", key, r, work)
		}
	}
}

func TestRate(t *testing.T) {
	l := Limits{FLOPS: map[tensor.DType]float64{tensor.BF16: 400e9}, Copy: 20e9, Triad: 25e9}
	r := Result{DType: tensor.BF16, Time: 2 * time.Second, FLOPs: 200e9}
	if r.Rate() != 100e9 || r.Share(l) != 0.25 {
		t.Errorf("%v and %v of the peak, want 1e11 and 0.25", r.Rate(), r.Share(l))
	}
	r = Result{DType: tensor.BF16, Time: 2 * time.Second, Bytes: 10e9}
	if r.Rate() != 5e9 || r.Share(l) != 0.2 {
		t.Errorf("%v and %v of the bandwidth, want 5e9 and 0.2", r.Rate(), r.Share(l))
	}
}

func TestRows(t *testing.T) {
	c := &model.Config{HiddenSize: 1000, IntermediateSize: 5000} // 10 million operations a token
	for _, k := range []struct {
		flops float64
		want  int
	}{{1e12, 1024}, {4.2e9 * 10, 1024}, {40e9, 512}, {1e9, 16}, {0, 16}} {
		if got := Rows(c, k.flops, 1024); got != k.want {
			t.Errorf("%v operations a second: %d tokens, want %d", k.flops, got, k.want)
		}
	}
}

func TestRunFails(t *testing.T) {
	var full *device.OutOfMemoryError
	err := Run(open(t, 1<<13), Options{Model: tiny(), Tokens: 16}, func(Result) error { return nil })
	if !errors.As(err, &full) || !strings.Contains(err.Error(), "in BF16") {
		t.Errorf("an arena that is too small: %v", err)
	}
	stop := errors.New("stop")
	times := 0
	err = Run(open(t, 1<<20), Options{Model: tiny(), Tokens: 16}, func(Result) error { times++; return stop })
	if !errors.Is(err, stop) || times != 1 {
		t.Errorf("after %d results: %v, want one and %v", times, err, stop)
	}
}

// broken is a machine whose memory cannot be measured.
type broken struct{ Machine }

func (broken) PeakFLOPS(dt tensor.DType) float64                 { return float64(dt.Size()) * 1e9 }
func (broken) Bandwidth(int64) (copying, triad float64, e error) { return 0, 0, errors.ErrUnsupported }

func TestMeasure(t *testing.T) {
	l, err := Measure(open(t, 4<<20), 1<<20)
	if err != nil || !(l.FLOPS[tensor.F32] > 0) || !(l.FLOPS[tensor.BF16] > 0) || !(l.Bandwidth() >= l.Copy) || !(l.Copy > 0) {
		t.Errorf("limits %+v, %v", l, err)
	}
	if _, err := Measure(broken{}, 1); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}
