package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"lomo/internal/job"
	"lomo/internal/preset"
	"lomo/internal/report"
)

func newNewCmd(io *Streams, run func(*Streams, *job.NewOptions) error) *cobra.Command {
	var o job.NewOptions
	c := &cobra.Command{
		Use:   "new PRESET DIR",
		Short: "Write a randomly initialised model with a byte-level tokenizer",
		Long: `New writes a Hugging Face folder with a randomly initialised model of a known size and
a tokenizer whose tokens are bytes. The weights go to disk piece by piece, so the model
may be larger than memory. DIR must be new or empty. Presets:
` + strings.Join(preset.Names(), ", "),
		Example: `  lomo new tiny models/tiny
  lomo new llama-7b models/random-7b --seed 7 --dtype bf16 --max-shard-size 5GB`,
		Args: wantArgs("PRESET", "DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			o.Preset, o.Dir = args[0], args[1]
			if o.Dir == "" {
				return usage("lomo new tiny DIR", "the folder's name is empty")
			}
			return run(io, &o)
		},
	}
	f := c.Flags()
	f.Uint64Var(&o.Seed, "seed", 42, "of the weights")
	f.StringVar(&o.DType, "dtype", "bf16", "of the weights: `bf16, f16 or f32`")
	f.StringVar(&o.MaxShardSize, "max-shard-size", "50GB", "largest safetensors file")
	return c
}

func runNew(s *Streams, o *job.NewOptions) error {
	params, err := job.New(*o)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.Err, "%s: %s, %s weights in %s\n", o.Dir, o.Preset, report.Count(float64(params)), o.DType)
	return nil
}
