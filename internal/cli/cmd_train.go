package cli

import (
	"context"

	"github.com/spf13/cobra"

	"lomo/internal/config"
	"lomo/internal/job"
)

// trainOptions is what `lomo train` was asked to do.
type trainOptions struct {
	Config *config.Loaded // checked
	DryRun bool           // check everything that needs no weights, print the plan, write nothing
	Cards  job.Cards      // what a plan for cards takes as given
	Stop   *stopper       // asks the run what to say when it is to stop
}

func newTrainCmd(io *Streams, run func(context.Context, *Streams, *trainOptions) error) *cobra.Command {
	var s settings
	var o trainOptions
	var printConfig bool
	var profile string
	var cards cardFlags
	c := &cobra.Command{
		Use:   "train [FILE]",
		Short: "Fine-tune all the weights of a model",
		Long: `Train fine-tunes all the weights of a model on the data sets of a configuration and
writes the trained model into output_dir, a Hugging Face folder, beside metrics.jsonl,
report.html and checkpoints. FILE is the configuration, a YAML file; every key of it is a
flag too, which is stronger: --learning-rate 2e-4 (` + "`lomo help config`" + ` lists the keys).

--dry-run checks model, data, memory and the output folder as the run would, and prints the plan
with the predicted time. A model that is not there is planned with the sizes of the preset its
path ends in.

Ctrl-C, SIGTERM or a terminal that is closed: the run finishes the step, saves a checkpoint and
exits 130; a second Ctrl-C stops at once. The same command then continues where it stopped
(resume: auto). All that is said on stderr is also in train.log of the run's folder.`,
		Example: `  lomo train configs/smollm2-135m-adalomo.yaml
  lomo train run.yaml --learning-rate 2e-4 --max-steps 100
  lomo train run.yaml --dry-run
  lomo train configs/llama-65b-8x3090.yaml --dry-run --link-gbps 6,3   # needs no card, model or data
  LOMO_THREADS=4 lomo train run.yaml --print-config`,
		Args: s.takeFile,
		RunE: func(c *cobra.Command, _ []string) error {
			io.talk().Keep() // also what is said of the configuration belongs into the run's log
			var err error
			if o.Config, err = s.load(io, c, "model", "output_dir", "datasets"); err != nil {
				return err
			}
			if o.Cards, err = cards.read(); err != nil {
				return err
			}
			if printConfig {
				return o.Config.WriteYAML(io.Out)
			}
			o.Stop = &stopper{}
			ctx, stop := untilStopped(c.Context(), io, o.Stop)
			defer stop()
			return profileCPU(profile, func() error { return run(ctx, io, &o) })
		},
	}
	s.addFile(c)
	s.addKeys(c, "resume", "max-shard-size")
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "check model, data and memory, print the plan, train nothing")
	cards.add(c)
	c.Flags().BoolVar(&printConfig, "print-config", false, "print every setting and where it came from, train nothing")
	c.Flags().StringVar(&profile, "cpuprofile", "", "write a profile of the processor time to this `file` (docs/performance.md)")
	_ = c.Flags().MarkHidden("cpuprofile")
	s.addEveryKey(c)
	return c
}
