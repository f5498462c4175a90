package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"lomo/internal/config"
	"lomo/internal/fault"
	"lomo/internal/hub"
	"lomo/internal/job"
)

// inspectOptions is what `lomo inspect` was asked to do.
type inspectOptions struct {
	Path    string
	Model   string // whose tokenizer reads a data set
	Type    string // of a data set
	Split   string // of a data set's folder
	Limit   int    // samples shown token by token
	First   bool   // read no more than these
	Tensors bool   // list every tensor
	JSON    bool
	Config  *config.Loaded // sequence_len and the label mask
}

func newInspectCmd(io *Streams, run func(*Streams, *inspectOptions) error) *cobra.Command {
	var s settings
	var o inspectOptions
	c := &cobra.Command{
		Use:   "inspect PATH",
		Short: "Show what a model, checkpoint, run, tokenizer or data set holds",
		Long: `Inspect describes a Hugging Face folder, Meta's, a GGUF file, a run's folder, a tokenizer or a
data set. Of a data set, which is a file, a folder or a pattern as in datasets, it shows the
first samples token by token, with the tokens that are learned; --type says what a record is,
--model gives the tokenizer, and what is cut or left out is said. No weights are read.`,
		Example: `  lomo inspect models/smollm2
  lomo inspect smollm2.gguf --tensors
  lomo inspect out/run
  lomo inspect train.jsonl --type messages --model models/smollm2 --limit 1
  lomo inspect data/ --split train --type alpaca --model models/smollm2`,
		Args: wantArgs("PATH"),
		RunE: func(c *cobra.Command, args []string) error {
			o.Path = args[0]
			o.First = c.Flags().Changed("limit") && o.Limit > 0
			if err := o.check(); err != nil {
				return err
			}
			var err error
			if o.Config, err = s.load(io, c); err != nil {
				return err
			}
			return run(io, &o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Model, "model", "", "`folder` or .gguf file whose tokenizer reads a data set")
	f.StringVar(&o.Type, "type", "", "`type` of a data set's records: "+typesHelp)
	f.StringVar(&o.Split, "split", "", "files of a data set's folder whose names begin with `NAME`")
	f.IntVar(&o.Limit, "limit", 3, "show `N` samples of a data set; when it is given, what stands behind them is not read")
	f.BoolVar(&o.Tensors, "tensors", false, "list every tensor of a model")
	f.BoolVar(&o.JSON, "json", false, "print JSON: one object, or one a sample of a data set")
	s.addFile(c)
	s.addKeys(c, "sequence-len", "train-on-inputs", "train-on-eos", "chat-template")
	return c
}

func (o *inspectOptions) check() error {
	switch {
	case o.Limit < 0:
		return usage("0 shows none", "--limit %d is below 0", o.Limit)
	case o.Type != "" && !config.KnownType(o.Type):
		return usage("", "--type %q is not one of %s", o.Type, strings.Join(config.DatasetTypes(), ", "))
	case o.Type != "" && o.Type != "tokenized" && o.Model == "":
		return usage("--model DIR gives the tokenizer", "--model is missing for --type %s", o.Type)
	case o.Split != "" && o.Type == "":
		return usage("e.g. --type messages", "--type is missing for a data set")
	case o.Model != "" && o.Type == "":
		return usage("e.g. --type messages", "--type is missing for a data set")
	}
	return nil
}

// runInspect shows names and texts of files from outside, wherever its output goes: none of them moves a terminal.
func runInspect(s *Streams, o *inspectOptions) error {
	calm := *s
	calm.Out = &fault.Screen{To: s.Out}
	return inspect(&calm, o)
}

func inspect(s *Streams, o *inspectOptions) error {
	if o.Type != "" { // of a data set, which may be a pattern
		return inspectData(s, o)
	}
	at, cached, err := job.Locate(o.Path)
	if err != nil {
		return err
	}
	if cached {
		fmt.Fprintf(s.Err, "%s: from the hub's cache, %s\n", o.Path, at)
		o.Path = at
	}
	st, err := os.Stat(o.Path)
	if err != nil && strings.ContainsAny(o.Path, "*?[") {
		return usage("a pattern names a data set, which needs --type, and --model for its tokenizer", "%s: --type is missing", o.Path)
	}
	if err != nil {
		return err
	}
	has := func(name string) bool {
		_, err := os.Lstat(filepath.Join(o.Path, name))
		return err == nil
	}
	switch {
	case st.IsDir() && (has("config.json") || has("params.json")), strings.EqualFold(filepath.Ext(o.Path), ".gguf"):
		return inspectModel(s, o)
	case st.IsDir() && (has("config.yaml") || len(hub.Glob(o.Path, "checkpoint-*")) > 0):
		return inspectRun(s, o)
	case st.IsDir(), strings.HasSuffix(o.Path, "tokenizer.json"), strings.HasSuffix(o.Path, "tokenizer.model"):
		return inspectTokenizer(s, o)
	}
	if what := sideFiles[filepath.Base(o.Path)]; what != "" {
		return usage("lomo inspect "+filepath.Dir(o.Path), "%s: %s: give the folder", o.Path, what)
	}
	switch strings.ToLower(filepath.Ext(o.Path)) {
	case ".safetensors", ".bin", ".pth", ".pt":
		return usage("give its folder: "+filepath.Dir(o.Path), "%s: one file of a model", o.Path)
	case ".yaml", ".yml":
		return usage("lomo train --config "+o.Path+" --dry-run shows what it would do", "%s: the configuration of a run, it seems", o.Path)
	}
	return usage("a data set needs --type, and --model for its tokenizer", "%s: --type is missing", o.Path)
}

// sideFiles are files that are a part of something, which is what can be inspected.
var sideFiles = map[string]string{
	"config.json": "the configuration of a model", "params.json": "the configuration of a model", "generation_config.json": "one of a model's files",
	"tokenizer_config.json": "one of a tokenizer's files", "special_tokens_map.json": "one of a tokenizer's files", "added_tokens.json": "one of a tokenizer's files",
	"vocab.json": "one of a tokenizer's files", "merges.txt": "one of a tokenizer's files", "chat_template.jinja": "a model's chat template", "chat_template.json": "a model's chat template",
	"model.safetensors.index.json": "the list of a model's parts", "pytorch_model.bin.index.json": "the list of a model's parts",
	"metrics.jsonl": "one of a run's files", "config.yaml": "one of a run's files", "report.html": "one of a run's files", "train.log": "one of a run's files", "finished.json": "one of a run's files",
	"lomo_state.json": "one of a checkpoint's files", "lomo_manifest.json": "one of a checkpoint's files",
}
