package job

import (
	"fmt"
	"os"
	"path/filepath"

	"lomo/internal/checkpoint"
	"lomo/internal/data"
	"lomo/internal/fault"
	"lomo/internal/strictjson"
	"lomo/internal/tensor"
)

// ExportOptions is what `lomo debug export` is asked.
type ExportOptions struct {
	Model, Out   string
	DType        string
	MaxShardSize string
}

// Export writes a model as it is read, without training, as a Hugging Face folder.
func Export(o ExportOptions) error {
	m, err := OpenModel(o.Model)
	if err != nil {
		return err
	}
	defer m.Close()
	dt, err := storedDType(o.DType, m)
	if err != nil {
		return err
	}
	shard, err := size("max-shard-size", o.MaxShardSize)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return err
	}
	cfg, err := m.Config.JSON(dt.HFName())
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.Out, "config.json"), cfg, 0o644); err != nil {
		return err
	}
	if tok, err := m.Tokenizer(); err == nil {
		if err := tok.WriteFiles(o.Out); err != nil {
			return err
		}
	}
	return m.copyWeights(o.Out, dt, shard, nil)
}

// convertChunk is how many elements are converted at a time. Tests make it small.
var convertChunk = 1 << 20

// copyWeights streams every tensor from the source into dir, some rows at a time. written is told of the bytes of each piece; an error of it
// ends the work.
func (m *Model) copyWeights(dir string, dt tensor.DType, shard int64, written func(bytes int64) error) error {
	var specs []checkpoint.Spec
	for _, p := range m.Net.Params() {
		specs = append(specs, checkpoint.Spec{Name: p.Name, DType: dt, Shape: p.Shape})
	}
	w, err := checkpoint.NewWriter(dir, specs, checkpoint.WriterOptions{MaxShardSize: shard})
	if err != nil {
		return err
	}
	for _, p := range m.Net.Params() {
		cols := p.Len() / p.Shape[0]
		step := max(1, convertChunk/cols)
		buf := make([]byte, min(step, p.Shape[0])*cols*dt.Size())
		for r := 0; r < p.Shape[0]; r += step {
			e := min(r+step, p.Shape[0])
			part := buf[:(e-r)*cols*dt.Size()]
			err := m.Source.ReadRows(p.Name, r, e, part, dt)
			if err == nil {
				err = w.WriteRows(p.Name, r, part)
			}
			if err == nil && written != nil {
				err = written(int64(len(part)))
			}
			if err != nil {
				w.Abort()
				return err
			}
		}
	}
	return w.Close()
}

// Logits writes the logits of one sequence of token ids, a JSON array in the file ids, as the tensor "logits" (T, V) F32
// of a safetensors file.
func Logits(modelPath, ids, out string, dtype string) error {
	raw, err := fault.Read(ids, 64<<20)
	if err != nil {
		return err
	}
	var list []int32
	if err := strictjson.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("%s: %w", ids, err)
	}
	if len(list) == 0 {
		return fmt.Errorf("%s: no token ids", ids)
	}
	l, err := LoadModel(modelPath, Runtime{DType: dtype}, len(list))
	if err != nil {
		return err
	}
	defer l.Close()
	if n, key := l.Config.Exact(); n > 0 && len(list) > n {
		return hint(fmt.Sprintf("give no more than %d", n), "%s: %d token ids: this build computes the model exactly up to %d (%s)", ids, len(list), n, key)
	}
	b := data.Batch{B: 1, T: len(list), IDs: list, Tokens: len(list)}
	for i, id := range list {
		if id < 0 || int(id) >= l.Config.VocabSize {
			return fmt.Errorf("%s: token id %d: the vocabulary has %d", ids, id, l.Config.VocabSize)
		}
		b.Pos, b.Start, b.Targets = append(b.Pos, int32(i)), append(b.Start, 0), append(b.Targets, -100)
	}
	z, err := l.Ranks[0].Sweep.Logits(b)
	if err != nil {
		return err
	}
	w, err := checkpoint.NewFileWriter(out, []checkpoint.Spec{{Name: "logits", DType: tensor.F32, Shape: []int{len(list), l.Config.VocabSize}}}, checkpoint.WriterOptions{})
	if err != nil {
		return err
	}
	buf := make([]byte, 4*len(z))
	if err := tensor.PutFloat32s(buf, z, tensor.F32); err != nil {
		return err
	}
	if err := w.WriteRows("logits", 0, buf); err != nil {
		w.Abort()
		return err
	}
	return w.Close()
}
