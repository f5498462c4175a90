package cli

import (
	"context"
	"fmt"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"lomo/internal/checkpoint"
	"lomo/internal/job"
	"lomo/internal/preset"
	"lomo/internal/report"
)

func newNewCmd(io *Streams, run func(context.Context, *Streams, *job.NewOptions) error) *cobra.Command {
	var o job.NewOptions
	c := &cobra.Command{
		Use:   "new PRESET DIR",
		Short: "Write a randomly initialised model with a byte-level tokenizer",
		Long: `New writes a Hugging Face folder with a randomly initialised model of a known size and
a tokenizer whose tokens are bytes. The weights go to disk piece by piece, so the model
may be larger than memory. DIR must be new or empty; what was written is removed when the
command fails or is interrupted. Presets, with their other names:
` + presetHelp(),
		Example: `  lomo new tiny models/tiny
  lomo new llama-7b models/random-7b --seed 7 --dtype bf16 --max-shard-size 5GB`,
		Args: wantArgs("PRESET", "DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			o.Preset, o.Dir = args[0], args[1]
			if o.Dir == "" {
				return usage("lomo new tiny DIR", "the folder's name is empty")
			}
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return run(ctx, io, &o)
		},
	}
	f := c.Flags()
	f.Uint64Var(&o.Seed, "seed", 42, "of the weights")
	f.StringVar(&o.DType, "dtype", "bf16", "of the weights: `bf16, f16 or f32`")
	f.StringVar(&o.MaxShardSize, "max-shard-size", "50GB", "largest safetensors file")
	return c
}

// presetHelp lists the presets, one a line.
func presetHelp() string {
	var b strings.Builder
	also := preset.Aliases()
	for _, name := range preset.Names() {
		b.WriteString(strings.TrimRight(fmt.Sprintf("  %-15s %s", name, strings.Join(also[name], ", ")), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

func runNew(ctx context.Context, s *Streams, o *job.NewOptions) error {
	w := &writing{talk: s.talk()}
	o.Begin = func(weights, bytes int64) {
		w.total, w.said = bytes, time.Now()
		w.talk.Say("%s: %s, %s weights in %s, %s", o.Dir, o.Preset, report.Count(float64(weights)), o.DType, checkpoint.FormatSize(bytes))
		w.talk.SetLine(func(width int) string { return w.line()[:min(width, len(w.line()))] })
	}
	o.Written = func(bytes int64) error {
		w.wrote(bytes)
		if ctx.Err() != nil {
			return &interrupted{"interrupted: what was written of " + o.Dir + " is removed"}
		}
		return nil
	}
	_, err := job.New(*o)
	w.talk.SetLine(nil)
	if err == nil {
		w.talk.Say("written: %s", o.Dir)
	}
	return err
}

// writing is how far the weights of a new model are written.
type writing struct {
	talk        *report.Console
	done, total int64
	said        time.Time
}

func (w *writing) line() string {
	return fmt.Sprintf("writing: %d%% of %s", 100*w.done/max(1, w.total), checkpoint.FormatSize(w.total))
}

// wrote shows the progress: on a terminal in a line that moves, else in a line every ten seconds.
func (w *writing) wrote(bytes int64) {
	w.done += bytes
	pause := 10 * time.Second
	if w.talk.Moves() {
		pause = time.Second / 5
	}
	if time.Since(w.said) < pause {
		return
	}
	if w.said = time.Now(); w.talk.Moves() {
		w.talk.Draw()
	} else {
		w.talk.Say("%s", w.line())
	}
}
