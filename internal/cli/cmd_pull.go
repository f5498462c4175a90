package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"lomo/internal/checkpoint"
	"lomo/internal/hub"
	"lomo/internal/hub/pull"
)

func newPullCmd(io *Streams, run func(context.Context, *Streams, *pull.Options) error) *cobra.Command {
	var o pull.Options
	var revision string
	c := &cobra.Command{
		Use:   "pull OWNER/NAME",
		Short: "Download a model from the Hugging Face hub",
		Long: `Pull downloads a model from the Hugging Face hub into the hub's cache, where
transformers and other programs find it too, or as plain files into a folder (--to), and
prints the folder, or the .gguf file. A model in the cache is used by its name:
--model OWNER/NAME. A download that was stopped goes on where it was; every file is
compared with its checksum.

It takes what a model needs: weights as safetensors, else pytorch_model.bin, Meta's
consolidated.*.pth or GGUF, and tokenizer, configuration and chat template. Of several
GGUF quantisations OWNER/NAME:Q4_K_M names one. What is left out is said.

HF_TOKEN gives access to gated and private models. HF_ENDPOINT names a mirror; HF_HOME,
HF_HUB_CACHE, HF_HUB_OFFLINE, HF_HUB_DOWNLOAD_TIMEOUT and HTTPS_PROXY work as they do elsewhere.`,
		Example: `  lomo pull HuggingFaceTB/SmolLM2-135M-Instruct --to models/SmolLM2-135M-Instruct
  lomo pull HuggingFaceTB/SmolLM2-135M-Instruct        # into the cache
  lomo pull bartowski/SmolLM2-135M-Instruct-GGUF:Q8_0
  lomo pull OWNER/NAME --revision v1.0 --include '*.json' --include '*.safetensors'`,
		Args: wantArgs("OWNER/NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := readPull(io, &o, args[0], revision); err != nil {
				return err
			}
			if c.Flags().Changed("to") && strings.TrimSpace(o.To) == "" {
				return usage("without --to the model goes into the hub's cache", "--to: the folder's name is empty")
			}
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return run(ctx, io, &o)
		},
	}
	f := c.Flags()
	f.StringVar(&revision, "revision", "", "`branch`, tag or commit (default main)")
	f.StringVar(&o.To, "to", "", "plain files in this `folder` instead of the hub's cache")
	f.StringArrayVar(&o.Include, "include", nil, "only files whose names match this `pattern`; may be repeated")
	f.BoolVar(&o.Force, "force", false, "with --to: put the model among other files, over those that differ")
	return c
}

// readPull reads the name of a model.
func readPull(s *Streams, o *pull.Options, name, revision string) error {
	mirror, _ := url.Parse(s.env("HF_ENDPOINT"))
	host := ""
	if mirror != nil {
		host = mirror.Host
	}
	var err error
	if o.ID, err = hub.Parse(name, host); err != nil {
		return &usageError{err, hintOf(err)}
	}
	switch {
	case revision != "" && o.ID.Revision != "" && revision != o.ID.Revision:
		return usage("keep one of them", "the revision is given twice, as %s and --revision %s", o.ID.Revision, revision)
	case revision != "":
		o.ID.Revision = revision
	}
	if rev := o.ID.Revision; strings.Contains(rev, "..") || strings.ContainsAny(rev, "\\ ?#*") || strings.HasPrefix(rev, "/") || strings.HasPrefix(rev, "-") {
		return usage("it is a branch, tag or commit, e.g. main", "--revision %q is no name of a revision", rev)
	}
	if o.Force && o.To == "" {
		return usage("add --to DIR", "--force without --to")
	}
	return nil
}

// env is a variable of the command's environment.
func (s *Streams) env(name string) string {
	value := ""
	for _, e := range s.Env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v
		}
	}
	return value
}

// hintOf is the advice that an error brings.
func hintOf(err error) string {
	if h := (interface{ Hint() string })(nil); errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

func runPull(ctx context.Context, s *Streams, o *pull.Options) error {
	client, err := pull.NewClient(s.env)
	if err != nil {
		return err
	}
	from := client.Endpoint.Host
	to := client.Cache + ", the hub's cache"
	if o.To != "" {
		to = o.To
	}
	m := newPullMeter(s)
	if !client.Offline {
		m.Note("%s from %s to %s", o.ID, from, to)
	}
	result, err := pull.Pull(ctx, client, *o, m)
	m.stop()
	if err != nil {
		return err
	}
	switch {
	case client.Offline:
		m.Note("HF_HUB_OFFLINE is set: taken from the cache as it is")
	case result.Copied > 0:
		m.Note("done: %s, %s, at commit %.12s, %d of them copied from the hub's cache; checksums agree", files(result.Files), checkpoint.FormatSize(result.Bytes), result.Commit, result.Copied)
	case result.Loaded == 0:
		m.Note("all there: %s, %s, at commit %.12s", files(result.Files), checkpoint.FormatSize(result.Bytes), result.Commit)
	default:
		m.Note("done: %s, %s, at commit %.12s; checksums agree", files(result.Files), checkpoint.FormatSize(result.Bytes), result.Commit)
	}
	_, err = fmt.Fprintln(s.Out, result.Path)
	return err
}

func files(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}
