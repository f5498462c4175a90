package job

import (
	"fmt"
	"os"
	"path/filepath"

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
}

// New writes a randomly initialised model with a byte-level tokenizer into a new or empty folder. It returns the number of its parameters.
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
		return 0, hint("choose a new folder", "%s is not empty: it holds %s", o.Dir, entries[0].Name())
	}
	_, missing := os.Stat(o.Dir)
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return 0, err
	}
	if cfg, err = writeNew(o, tok, dt, shard); err != nil {
		discard(o.Dir, missing != nil)
		return 0, err
	}
	return model.NewNetwork(cfg).NumParams(), nil
}

// writeNew fills the empty folder with tokenizer, configuration and weights.
func writeNew(o NewOptions, tok *tokenizer.Tokenizer, dt tensor.DType, shard int64) (*model.Config, error) {
	if err := tok.WriteFiles(o.Dir); err != nil {
		return nil, err
	}
	extra := map[string]any{"bos_token_id": nil, "eos_token_id": tok.EOSIDs()}
	if bos := tok.BOS(); bos >= 0 {
		extra["bos_token_id"] = bos
	}
	if pad := tok.PAD(); pad >= 0 {
		extra["pad_token_id"] = pad
	}
	return preset.Create(o.Dir, o.Preset, preset.Options{DType: dt, Seed: o.Seed, MaxShardSize: shard, Extra: extra})
}

// discard empties a folder that was empty before, and removes it if it was not there, so that nothing half-written stays.
func discard(dir string, whole bool) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		os.RemoveAll(filepath.Join(dir, e.Name()))
	}
	if whole {
		os.Remove(dir)
	}
}
