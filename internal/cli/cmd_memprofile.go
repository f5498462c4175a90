package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"lomo/internal/config"
	"lomo/internal/job"
	"lomo/internal/memprof"
	"lomo/internal/model"
	"lomo/internal/report"
)

// memprofOptions is what `lomo memprofile` was asked to do.
type memprofOptions struct {
	Config  *config.Loaded // Model may be a preset's name
	Measure bool           // run steps too and compare
	JSON    bool
	Cards   job.Cards // what a plan for cards takes as given
}

func newMemprofCmd(io *Streams, run func(*Streams, *memprofOptions) error) *cobra.Command {
	var s settings
	var o memprofOptions
	var cards cardFlags
	c := &cobra.Command{
		Use:   "memprofile [FILE] [--model DIR|PRESET]",
		Short: "Tell before a run how much memory it takes, and who holds it",
		Long: `Memprofile runs one training step on a device that counts bytes and computes nothing:
who holds how many bytes at the peak, and in which phase of the step that is. It reads no
weights, so it answers at once, also for models that do not fit on this machine.
With device: cuda it counts the bytes of each card and predicts the time of a step; no card is needed.
--measure runs steps for real and prints the measured peak beside the predicted one.`,
		Example: `  lomo memprofile configs/llama-7b-lomo.yaml
  lomo memprofile --model llama-65b --optimizer adamw --micro-batch-size 1 --sequence-len 2048
  lomo memprofile --model llama-65b --device cuda --devices 8 --sharding zero3 --micro-batch-size 1 --sequence-len 1024
  lomo memprofile run.yaml --measure --json`,
		Args: s.takeFile,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if o.Config, err = s.load(io, c, "model"); err != nil {
				return err
			}
			if o.Cards, err = cards.read(); err != nil {
				return err
			}
			return run(io, &o)
		},
	}
	s.addFile(c)
	s.addKeys(c, "model", "method", "optimizer", "dtype", "micro-batch-size", "gradient-accumulation-steps", "sequence-len",
		"gradient-checkpointing", "max-grad-norm", "clip-policy", "device", "devices", "sharding", "offload", "activation-offload", "threads", "memory-limit")
	cards.add(c)
	c.Flags().BoolVar(&o.Measure, "measure", false, "run steps and print the measured peak too")
	c.Flags().BoolVar(&o.JSON, "json", false, "print one JSON object as the last line")
	s.addEveryKey(c)
	return c
}

// measuredProfile is the JSON form of a profile.
type measuredProfile struct {
	*memprof.Profile
	Measured int64 `json:"measured_peak_bytes,omitempty"`
}

func runMemprof(s *Streams, o *memprofOptions) error {
	p, m, err := job.Profile(o.Config, o.Cards)
	if err != nil {
		return err
	}
	out := measuredProfile{Profile: p}
	if o.Measure {
		if out.Measured, err = job.Measure(o.Config, s.Err); err != nil {
			return err
		}
	}
	if o.JSON {
		return json.NewEncoder(s.Out).Encode(out)
	}
	return printProfile(s, out, m, &o.Config.Config, o.Cards)
}

func printProfile(s *Streams, p measuredProfile, m *model.Config, c *config.Config, cards job.Cards) error {
	fmt.Fprintf(s.Out, "%s: %d blocks, hidden %d, %s, %s, %d x %d x %d tokens a step\n", c.Model, m.NumHiddenLayers, m.HiddenSize,
		c.Optimizer, c.DType, c.GradientAccumulationSteps, c.MicroBatchSize, c.SequenceLen)
	if len(p.Steps) > 0 {
		return printCards(s.Out, p.Profile, c, cards)
	}
	if err := owners(p.Profile).Write(s.Out); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "peak %s, in %s\n", report.Bytes(p.Peak), p.At)
	if p.Measured > 0 {
		fmt.Fprintf(s.Out, "measured %s: predicted %+.1f%%\n", report.Bytes(p.Measured), 100*float64(p.Peak-p.Measured)/float64(p.Measured))
	}
	return nil
}

// owners is the table of who holds what at the peak.
func owners(p *memprof.Profile) *report.Table {
	t := &report.Table{Header: []string{"owner", "bytes", "share"}, Right: []bool{false, true, true}}
	for _, r := range p.Rows() {
		t.Add(r.Owner, report.Bytes(r.Bytes), fmt.Sprintf("%.1f%%", 100*float64(r.Bytes)/float64(max(1, p.Peak))))
	}
	t.Add("total", report.Bytes(p.Peak), "100%")
	return t
}
