package job

import (
	"fmt"
	"os"

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
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return 0, err
	}
	if err := tok.WriteFiles(o.Dir); err != nil {
		return 0, err
	}
	extra := map[string]any{"bos_token_id": nil, "eos_token_id": tok.EOS()}
	if bos := tok.BOS(); bos >= 0 {
		extra["bos_token_id"] = bos
	}
	if pad := tok.PAD(); pad >= 0 {
		extra["pad_token_id"] = pad
	}
	cfg, err = preset.Create(o.Dir, o.Preset, preset.Options{DType: dt, Seed: o.Seed, MaxShardSize: shard, Extra: extra})
	if err != nil {
		return 0, err
	}
	return model.NewNetwork(cfg).NumParams(), nil
}
