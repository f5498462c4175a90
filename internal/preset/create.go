package preset

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"lomo/internal/checkpoint"
	"lomo/internal/grad"
	"lomo/internal/model"
	"lomo/internal/model/families"
	"lomo/internal/rng"
	"lomo/internal/tensor"
)

// Options of a new model.
type Options struct {
	DType        tensor.DType
	Seed         uint64
	MaxShardSize int64
	Vocab        int            // of the tokenizer; must not exceed the preset's
	Extra        map[string]any // further keys of config.json: token ids
	// Written is told of each piece of weights how many bytes it has, and may end the work. nil: not wanted.
	Written func(bytes int64) error
}

// chunk is how many elements are drawn and written at a time, and piece how many a goroutine draws. Tests make them small.
var (
	chunk = 1 << 20
	piece = 1 << 16
)

// Create writes config.json and the weights of a randomly initialised model into dir: matrices normal with standard
// deviation initializer_range, norm gains one (kept as zero where the model adds one), biases zero. Each element is a function of seed, tensor and index alone.
func Create(dir, name string, o Options) (*model.Config, error) {
	raw, err := ConfigJSON(name, o.DType.HFName())
	if err != nil {
		return nil, err
	}
	if raw, err = merge(raw, o.Extra); err != nil {
		return nil, err
	}
	cfg, err := families.Parse(raw)
	if err != nil {
		return nil, err
	}
	net := model.NewNetwork(cfg)
	var specs []checkpoint.Spec
	for _, p := range net.Params() {
		specs = append(specs, checkpoint.Spec{Name: p.Name, DType: o.DType, Shape: p.Shape})
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), raw, 0o644); err != nil {
		return nil, err
	}
	w, err := checkpoint.NewWriter(dir, specs, checkpoint.WriterOptions{MaxShardSize: o.MaxShardSize})
	if err != nil {
		return nil, err
	}
	for _, p := range net.Params() {
		if err := initialize(w, p, cfg, o); err != nil {
			w.Abort()
			return nil, err
		}
	}
	return cfg, w.Close()
}

func merge(raw []byte, extra map[string]any) ([]byte, error) {
	var c map[string]any
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	for k, v := range extra {
		c[k] = v
	}
	data, err := json.MarshalIndent(c, "", "  ")
	return append(data, '\n'), err
}

// initialize draws and writes one tensor, some rows at a time.
func initialize(w *checkpoint.Writer, p *grad.Param, cfg *model.Config, o Options) error {
	cols, std := p.Len()/p.Shape[0], cfg.InitializerRange
	step := max(1, chunk/cols)
	vals := make([]float32, 0, step*cols)
	buf := make([]byte, step*cols*o.DType.Size())
	for r := 0; r < p.Shape[0]; r += step {
		n := min(step, p.Shape[0]-r) * cols
		vals = vals[:n]
		if p.Matrix() {
			normals(vals, o.Seed, p.ID, uint64(r)*uint64(cols), std)
		} else {
			begin := float32(1)
			if strings.HasSuffix(p.Name, ".bias") || cfg.NormPlusOne {
				begin = 0
			}
			for i := range vals {
				vals[i] = begin
			}
		}
		if err := tensor.PutFloat32s(buf[:n*o.DType.Size()], vals, o.DType); err != nil {
			return err
		}
		if err := w.WriteRows(p.Name, r, buf[:n*o.DType.Size()]); err != nil {
			return err
		}
		if o.Written != nil {
			if err := o.Written(int64(n * o.DType.Size())); err != nil {
				return err
			}
		}
	}
	return nil
}

// normals fills out with the draws base, base+1, … of a tensor: Box–Muller on pairs of uniforms, one Philox block
// for two elements. Pieces are drawn side by side, for of a large model it is the most work.
func normals(out []float32, seed uint64, id uint32, base uint64, std float64) {
	var pieces sync.WaitGroup
	for lo := 0; lo < len(out); lo += piece {
		pieces.Go(func() { draw(out[lo:min(lo+piece, len(out))], seed, id, base+uint64(lo), std) })
	}
	pieces.Wait()
}

func draw(out []float32, seed uint64, id uint32, base uint64, std float64) {
	for i := 0; i < len(out); {
		n := base + uint64(i)
		w := rng.Philox4x32(seed, rng.Counter(rng.Init, id, 0, n/2))
		u1 := (float64(w[0]) + 0.5) / (1 << 32)
		u2 := float64(w[1]) / (1 << 32)
		radius, angle := std*math.Sqrt(-2*math.Log(u1)), 2*math.Pi*u2
		if n%2 == 0 {
			out[i] = float32(radius * math.Cos(angle))
			n, i = n+1, i+1
		}
		if i < len(out) && n%2 == 1 {
			out[i] = float32(radius * math.Sin(angle))
			i++
		}
	}
}
