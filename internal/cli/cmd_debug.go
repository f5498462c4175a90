package cli

import (
	"github.com/spf13/cobra"

	"lomo/internal/job"
)

// newDebugCmd holds what the proofs compare with other programs. It is not shown in the help.
func newDebugCmd() *cobra.Command {
	c := &cobra.Command{Use: "debug", Hidden: true, Short: "Numbers for comparisons with other programs"}
	var model, ids, out, dtype string
	logits := &cobra.Command{
		Use:     "logits --model DIR --ids FILE --out FILE",
		Short:   "Write the logits of one sequence of token ids as a safetensors file",
		Example: `  lomo debug logits --model out/run --ids ids.json --out logits.safetensors`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if model == "" || ids == "" || out == "" {
				return usage("", "debug logits needs --model, --ids and --out")
			}
			return job.Logits(model, ids, out, dtype)
		},
	}
	logits.Flags().StringVar(&ids, "ids", "", "JSON `file` with an array of token ids")
	var shard string
	export := &cobra.Command{
		Use:     "export --model DIR --out DIR",
		Short:   "Write a model as it is read, without training",
		Example: `  lomo debug export --model smollm2.gguf --out smollm2-f32 --dtype f32`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if model == "" || out == "" {
				return usage("", "debug export needs --model and --out")
			}
			return job.Export(job.ExportOptions{Model: model, Out: out, DType: dtype, MaxShardSize: shard})
		},
	}
	export.Flags().StringVar(&shard, "max-shard-size", "", "largest safetensors file")
	for _, sub := range []*cobra.Command{logits, export} {
		sub.Flags().StringVar(&model, "model", "", "Hugging Face `folder` or .gguf file")
		sub.Flags().StringVar(&out, "out", "", "where to write")
		sub.Flags().StringVar(&dtype, "dtype", "", "f32 or bf16; as the model is stored if not given")
		asUsage(sub)
		c.AddCommand(sub)
	}
	render := &cobra.Command{
		Use:     "render",
		Short:   "Render chat templates: a JSON line with template and vars in, a line with text or error out",
		Example: `  lomo debug render < requests.jsonl > texts.jsonl`,
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return job.RenderTemplates(c.InOrStdin(), c.OutOrStdout()) },
	}
	asUsage(render)
	c.AddCommand(render)
	return c
}
