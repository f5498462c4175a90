package cli

import (
	"github.com/spf13/cobra"

	"lomo/internal/job"
)

func newGenerateCmd(io *Streams, run func(*Streams, *job.GenerateOptions) error) *cobra.Command {
	var s settings
	var o job.GenerateOptions
	c := &cobra.Command{
		Use:   "generate --model DIR --prompt TEXT",
		Short: "Continue a text, or answer a question, with a model",
		Long: `Generate writes the continuation of a text to stdout; --prompt may be repeated. With
--chat the text is a user's turn, put through the model's chat template or another. With
--temperature 0 (the default) the likeliest token is taken each time; else tokens are
drawn, the same ones for the same seed.`,
		Example: `  lomo generate --model out/run --prompt "Once upon a time"
  lomo generate --model out/run --chat --prompt "Who are you?" --max-new-tokens 64
  lomo generate --model out/run --prompt "The sea" --temperature 0.8 --top-p 0.95 --seed 7`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkGenerate(&o, c.Flags().Changed("chat-template")); err != nil {
				return err
			}
			l, err := s.load(io, c)
			if err != nil {
				return err
			}
			o.Runtime, o.ChatTemplate = runtimeOf(l), l.ChatTemplate
			return run(io, &o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Model, "model", "", "Hugging Face `folder` or .gguf file")
	f.StringArrayVar(&o.Prompts, "prompt", nil, "the `text` to continue")
	f.BoolVar(&o.Chat, "chat", false, "the text is a user's turn of a chat")
	f.StringVar(&o.System, "system", "", "with --chat: the `text` of a system turn before it")
	f.IntVar(&o.MaxTokens, "max-new-tokens", 128, "stop after `N` tokens")
	f.Float64Var(&o.Sampler.Temperature, "temperature", 0, "0 takes the likeliest token; higher is more varied")
	f.IntVar(&o.Sampler.TopK, "top-k", 0, "draw from the `K` likeliest tokens; 0 from all")
	f.Float64Var(&o.Sampler.TopP, "top-p", 1, "draw from the likeliest tokens that make up this `share`")
	f.Uint64Var(&o.Sampler.Seed, "seed", 42, "of the draws")
	s.addKeys(c, append([]string{"chat-template"}, runtimeKeys...)...)
	return c
}

// checkGenerate finds flags that are missing or out of range.
func checkGenerate(o *job.GenerateOptions, template bool) error {
	switch {
	case o.Model == "":
		return usage("--model DIR names a Hugging Face folder or a .gguf file", "--model is missing")
	case len(o.Prompts) == 0:
		return usage(`e.g. --prompt "Once upon a time"`, "--prompt is missing")
	case o.MaxTokens < 1:
		return usage("", "--max-new-tokens %d is below 1", o.MaxTokens)
	case !(o.Sampler.Temperature >= 0):
		return usage("0 takes the likeliest token", "--temperature %v is below 0", o.Sampler.Temperature)
	case o.Sampler.TopK < 0:
		return usage("0 draws from all tokens", "--top-k %d is below 0", o.Sampler.TopK)
	case !(o.Sampler.TopP > 0 && o.Sampler.TopP <= 1):
		return usage("1 draws from all tokens", "--top-p %v is not above 0 and at most 1", o.Sampler.TopP)
	case o.System != "" && !o.Chat:
		return usage("add --chat", "--system without --chat")
	case template && !o.Chat:
		return usage("add --chat", "--chat-template without --chat")
	}
	return nil
}

// runGenerate writes each continuation as it appears, and ends it with a line feed.
func runGenerate(s *Streams, o *job.GenerateOptions) error {
	_, err := job.Generate(*o, s.Out, noteTo(s))
	return err
}
