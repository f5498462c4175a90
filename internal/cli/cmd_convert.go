package cli

import (
	"context"
	"encoding/json"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"lomo/internal/checkpoint"
	"lomo/internal/export"
	"lomo/internal/job"
)

// convertOptions is what `lomo convert` was asked to do.
type convertOptions struct {
	job.ConvertOptions
	JSON bool
}

func newConvertCmd(io *Streams, run func(context.Context, *Streams, *convertOptions) error) *cobra.Command {
	var o convertOptions
	c := &cobra.Command{
		Use:   "convert IN OUT",
		Short: "Write a model as a GGUF file, or as a Hugging Face folder, in the type asked for",
		Long: `Convert writes the model IN, a Hugging Face folder, Meta's, a GGUF file, a run's folder
or one of its checkpoints, as OUT: a GGUF file for llama.cpp and Ollama where the name
ends in .gguf, else a Hugging Face folder. Weights stream through: no model is held in
memory, and OUT has its name when all of it is on the disk. A GGUF file has tokenizer,
chat template and stops in it, and a Modelfile for Ollama beside it. What it cannot say
of a model is refused, or said on stderr and by --json in "remarks".
q8_0, q4_0, q4_k and q6_k are types of GGUF files; q4_k is what llama.cpp calls Q4_K_M.`,
		Example: `  lomo convert out/run model.gguf --dtype q8_0
  lomo convert smollm2.gguf models/smollm2
  lomo convert out/run/checkpoint-200 step-200.gguf --dtype q4_k
  lomo convert models/llama-13b models/llama-13b-bf16 --dtype bf16 --max-shard-size 5GB`,
		Args: wantArgs("IN", "OUT"),
		RunE: func(c *cobra.Command, args []string) error {
			o.In, o.Out = args[0], args[1]
			if o.In == "" || o.Out == "" {
				return usage("lomo convert IN OUT", "a name is empty")
			}
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return run(ctx, io, &o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.To, "to", "", "`safetensors|gguf`; gguf where OUT ends in .gguf, else safetensors")
	f.StringVar(&o.DType, "dtype", "", "of the matrices: `"+strings.Join(export.DTypes(), "|")+"`; as they are stored if not given")
	f.StringVar(&o.MaxShardSize, "max-shard-size", "", "largest file: 50GB of safetensors, one file of GGUF if not given")
	f.BoolVar(&o.Force, "force", false, "replace what is at OUT")
	f.BoolVar(&o.JSON, "json", false, "print one JSON object as the last line")
	return c
}

func runConvert(ctx context.Context, s *Streams, o *convertOptions) error {
	w := &writing{talk: s.talk()}
	o.Note = noteTo(s)
	o.Begin = func(dtype string, bytes int64) {
		w.total, w.said = bytes, time.Now()
		w.talk.Say("%s: %s in %s, %s", o.Out, o.In, dtype, checkpoint.FormatSize(bytes))
		w.talk.SetLine(func(width int) string { return w.line()[:min(width, len(w.line()))] })
	}
	o.Written = func(bytes int64) error {
		w.wrote(bytes)
		if ctx.Err() != nil {
			return &interrupted{"interrupted: what was written of " + o.Out + " is removed"}
		}
		return nil
	}
	done, err := job.Convert(o.ConvertOptions)
	w.talk.SetLine(nil)
	if err != nil {
		return err
	}
	if len(done.Files) > 0 {
		w.talk.Say("written: %s to %s", done.Files[0], done.Files[len(done.Files)-1])
	} else {
		w.talk.Say("written: %s", done.Out)
	}
	if done.Modelfile != "" {
		w.talk.Say("for Ollama: ollama create NAME -f %s", shellWord(done.Modelfile))
	}
	if o.JSON {
		return json.NewEncoder(s.Out).Encode(done)
	}
	return nil
}
