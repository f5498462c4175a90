package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lomo/internal/config"
	"lomo/internal/data"
	"lomo/internal/job"
	"lomo/internal/tasks"
)

// evalOptions is what `lomo eval` was asked to do: the loss on a data set, or a task's accuracy.
type evalOptions struct {
	job.EvalOptions
	JSON bool
}

// runtimeKeys are the settings that eval and generate share with a run.
var runtimeKeys = []string{"batch-size=micro_batch_size", "device", "devices", "sharding", "offload", "dtype", "threads", "memory-limit"}

func newEvalCmd(io *Streams, run func(*Streams, *evalOptions) error) *cobra.Command {
	var s settings
	var o evalOptions
	c := &cobra.Command{
		Use:   "eval --model DIR --data FILE (--type TYPE | --task TASK)",
		Short: "Score a model: loss and perplexity on data, or accuracy on a task",
		Long: `Eval prints the mean loss and perplexity of a model on a data set, or its accuracy
on a multiple-choice task of SuperGLUE (` + strings.Join(tasks.Names(), ", ") + `) from the official jsonl file.
A choice's score is the sum of its tokens' log-probabilities, or their mean. What was
cut or left out is said on stderr, and by --json in "remarks". A long text is cut into
pieces of --sequence-len tokens; with --stride each piece begins so many tokens behind
the one before, and only the tokens that were not scored yet count, seen with what
stands before them.
Without --dtype the model computes in the type its weights are stored in (f16 in bf16, which is said). With --devices and
--sharding zero3 the weights are spread over several devices, as in the run that trained them.`,
		Example: `  lomo eval --model out/run --data held-out.jsonl --type messages
  lomo eval --model out/run --task rte --data superglue/RTE/val.jsonl --json
  lomo eval --model out/llama-65b --data held-out.jsonl --type text --device cuda --devices 8 --sharding zero3
  lomo eval --model smollm2.gguf --data book.txt --type text --sequence-len 1024 --stride 512 --dtype f32`,
		Args: noModelArg,
		RunE: func(c *cobra.Command, _ []string) error {
			o.Task = strings.TrimPrefix(o.Task, "superglue:")
			if err := o.check(); err != nil {
				return err
			}
			l, err := s.load(io, c)
			if err != nil {
				return err
			}
			o.BatchSize, o.SequenceLen, o.LenGiven = l.MicroBatchSize, l.SequenceLen, l.Given("sequence_len")
			o.ChatTemplate = l.ChatTemplate
			o.Runtime = runtimeOf(l)
			return run(io, &o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Model, "model", "", "Hugging Face `folder` or .gguf file")
	f.StringVar(&o.Data, "data", "", "data `file`")
	f.StringVar(&o.Type, "type", "", "`type` of the file's records: "+typesHelp)
	f.StringVar(&o.Task, "task", "", "score a `task` instead: "+strings.Join(tasks.Names(), ", "))
	f.StringVar(&o.Score, "score", "sum", "`sum|mean` of the log-probabilities of a choice's tokens")
	f.IntVar(&o.MaxExamples, "max-examples", 0, "use the first `N` examples; 0 uses all")
	f.IntVar(&o.Stride, "stride", 0, "score long texts through a window that moves on by `N` tokens; 0 cuts them into pieces")
	f.BoolVar(&o.JSON, "json", false, "print one JSON object as the last line")
	s.addKeys(c, append([]string{"sequence-len", "chat-template"}, runtimeKeys...)...)
	return c
}

// runtimeOf is how a model is to be computed with: as a run would be, but in the dtype it is stored in unless somebody
// asked for another.
func runtimeOf(l *config.Loaded) job.Runtime {
	r := job.Runtime{Device: l.Device, Devices: l.Devices, Offload: l.Offload, Threads: l.Threads, MemoryLimit: l.MemoryLimit}
	if l.Given("dtype") {
		r.DType = l.DType
	}
	return r
}

// check finds flags that are missing or do not go together.
func (o *evalOptions) check() error {
	switch {
	case o.Model == "":
		return usage("--model DIR names a Hugging Face folder or a .gguf file", "--model is missing")
	case o.Data == "":
		return usage("--data FILE names the data to score", "--data is missing")
	case o.Task != "" && o.Type != "":
		return usage("a task knows its own format: leave --type out", "--task %s and --type %s exclude each other", o.Task, o.Type)
	case o.Task == "" && o.Type == "":
		return usage("e.g. --type messages or --task rte", "--type or --task is missing")
	case o.Stride < 0:
		return usage("0 cuts long texts into pieces", "--stride %d is below 0", o.Stride)
	case o.Stride > 0 && o.Task != "":
		return usage("a task's prompts are cut at their beginning where they are too long", "--stride and --task %s exclude each other", o.Task)
	case o.MaxExamples < 0:
		return usage("0 uses all", "--max-examples %d is below 0", o.MaxExamples)
	case o.Score != "sum" && o.Score != "mean":
		return usage("sum is LOMO's score, mean is MeZO's", "--score %q is not one of sum, mean", o.Score)
	case o.Task != "" && !slices.Contains(tasks.Names(), o.Task):
		return usage("", "--task %q is not one of %s", o.Task, strings.Join(tasks.Names(), ", "))
	case o.Type != "" && !config.KnownType(o.Type):
		return usage("", "--type %q is not one of %s", o.Type, strings.Join(config.DatasetTypes(), ", "))
	}
	return nil
}

func runEval(s *Streams, o *evalOptions) error {
	note := noteTo(s)
	var result any
	var text string
	var remarks data.Notes
	if o.Task != "" {
		r, err := job.EvalTask(o.EvalOptions, note)
		if err != nil {
			return err
		}
		result, remarks, text = r, r.Remarks, fmt.Sprintf("%s: %s %.4f on %d examples", r.Task, r.Metric, r.Value, r.N)
	} else {
		r, err := job.EvalText(o.EvalOptions, note)
		if err != nil {
			return err
		}
		result, remarks, text = r, r.Remarks, fmt.Sprintf("loss %.4f  perplexity %.4f  on %d tokens", r.Loss, r.Perplexity, r.Tokens)
	}
	for _, r := range remarks {
		note("lomo: warning: %s", r)
	}
	if o.JSON {
		return json.NewEncoder(s.Out).Encode(result)
	}
	_, err := fmt.Fprintln(s.Out, text)
	return err
}

// noteTo writes lines of talk.
func noteTo(s *Streams) job.Note {
	return func(format string, args ...any) { fmt.Fprintf(s.Err, format+"\n", args...) }
}
