package job

import (
	"fmt"
	"os"
	"path/filepath"

	"lomo/internal/checkpoint"
	"lomo/internal/model"
	"lomo/internal/preset"
	"lomo/internal/tensor"
	"lomo/internal/tokenizer"
)

// NewOptions is what `lomo new` is asked.
type NewOptions struct {
	Preset, Dir  string
	DType        string
	Seed         uint64
	MaxShardSize string
	// Begin is told before anything is written how many weights of how many bytes there will be, Written of each piece of them; an error
	// ends the work. nil: not wanted.
	Begin   func(weights, bytes int64)
	Written func(bytes int64) error
}

// New writes a randomly initialised model with a byte-level tokenizer into a new or empty folder. It returns the number of its parameters.
// What it began is gone when it fails.
func New(o NewOptions) (int64, error) {
	dt, err := tensor.ParseDType(o.DType)
	if err != nil || dt != tensor.F32 && dt != tensor.BF16 && dt != tensor.F16 {
		return 0, &UsageError{fmt.Errorf("dtype %q: want bf16, f16 or f32", o.DType)}
	}
	shard, err := size("max-shard-size", o.MaxShardSize)
	if err != nil {
		return 0, err
	}
	cfg, err := preset.Config(o.Preset)
	if err != nil {
		return 0, &UsageError{err}
	}
	tok := tokenizer.NewByteLevel()
	if tok.VocabSize() > cfg.VocabSize {
		return 0, fmt.Errorf("preset %s: vocab_size %d is below the tokenizer's %d", o.Preset, cfg.VocabSize, tok.VocabSize())
	}
	if entries, err := os.ReadDir(o.Dir); err == nil && len(entries) > 0 {
		return 0, hint("choose a new folder, or empty this one", "%s is not empty: it holds %s", o.Dir, entries[0].Name())
	}
	weights := model.NewNetwork(cfg).NumParams()
	need := weights * int64(dt.Size())
	made := missing(o.Dir)
	if err := enough(o.Dir, need); err != nil {
		return 0, err
	}
	if o.Begin != nil {
		o.Begin(weights, need)
	}
	if err = os.MkdirAll(o.Dir, 0o755); err == nil {
		err = writeNew(o, tok, dt, shard)
	}
	if err != nil {
		discard(o.Dir, made)
		return 0, err
	}
	return weights, nil
}

// missing are the folders of a path that are not there, the last one first.
func missing(dir string) (list []string) {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := os.Lstat(at); err == nil || at == filepath.Dir(at) {
			return list
		}
		list = append(list, at)
	}
}

// enough refuses a model that the disk has no space for.
func enough(dir string, need int64) error {
	const beside = 1 << 20 // tokenizer and configuration
	if free := checkpoint.FreeBytes(dir); free >= 0 && need+beside > free {
		return hint("free some space, choose a place on another disk or a smaller preset", "%s: the model takes %s, and %s are free there", dir, checkpoint.FormatSize(need), checkpoint.FormatSize(free))
	}
	return nil
}

// writeNew fills the empty folder with tokenizer, configuration and weights.
func writeNew(o NewOptions, tok *tokenizer.Tokenizer, dt tensor.DType, shard int64) error {
	if err := tok.WriteFiles(o.Dir); err != nil {
		return err
	}
	extra := map[string]any{"bos_token_id": nil, "eos_token_id": tok.EOSIDs()}
	if bos := tok.BOS(); bos >= 0 {
		extra["bos_token_id"] = bos
	}
	if pad := tok.PAD(); pad >= 0 {
		extra["pad_token_id"] = pad
	}
	_, err := preset.Create(o.Dir, o.Preset, preset.Options{DType: dt, Seed: o.Seed, MaxShardSize: shard, Extra: extra, Written: o.Written})
	return err
}

// discard empties a folder that was empty before, and removes those that were made for it, so that nothing half-written stays.
func discard(dir string, made []string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		os.RemoveAll(filepath.Join(dir, e.Name()))
	}
	for _, d := range made {
		os.Remove(d)
	}
}
