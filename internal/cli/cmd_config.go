package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"lomo/internal/config"
	"lomo/internal/config/peers"
	"lomo/internal/job"
)

func newConfigCmd(streams *Streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "config [KEY]",
		Short: "Every setting of a run, or one; and configurations of other trainers",
		Long: `Config lists every setting of a run with its values and default, or shows one with an
example. What a run makes of its configuration is shown by lomo train --print-config.`,
		Example: `  lomo config
  lomo config optimizer
  lomo config import axolotl.yml --out run.yaml`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error { return printKeys(streams.Out, args) },
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var out []string
			for _, k := range config.Keys() {
				out = append(out, k.Name)
			}
			return out, cobra.ShellCompDirectiveNoFileComp
		},
	}
	c.AddCommand(newImportCmd(streams))
	return c
}

// printKeys prints the page of all keys, or those of some.
func printKeys(w io.Writer, names []string) error {
	if len(names) == 0 {
		_, err := io.WriteString(w, configHelp())
		return err
	}
	for i, name := range names {
		page, err := keyPage(name)
		if err != nil {
			return err
		}
		if i > 0 {
			fmt.Fprintln(w)
		}
		if _, err := io.WriteString(w, page); err != nil {
			return err
		}
	}
	return nil
}

// importOptions is what `lomo config import` was asked to do.
type importOptions struct {
	peers.Options
	Out string // file to write; "" is stdout
}

func newImportCmd(streams *Streams) *cobra.Command {
	var o importOptions
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Write the configuration of another trainer as lomo's",
		Long: `Import reads a configuration of axolotl, LLaMA-Factory, torchtune, TRL or transformers and
writes it as lomo's, with comments: where each setting came from, what was left out
and why, and lines that begin with LOOK for what somebody must look at. It reads
dataset_info.json of LLaMA-Factory, and downloads nothing. Training on preferences or
rewards is refused.`,
		Example: `  lomo config import axolotl.yml --out run.yaml
  lomo config import examples/train_full/llama3_full_sft.yaml --devices 8 --out run.yaml
  lomo config import training_args.json > run.yaml`,
		Args: wantArgs("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			o.File = args[0]
			return runImport(streams, &o)
		},
	}
	asUsage(c)
	c.Flags().StringVar(&o.Out, "out", "", "write this new `file`, not stdout")
	c.Flags().IntVar(&o.Devices, "devices", 1, "the number of GPUs it was run on: accumulation is multiplied by it, so that a step stays as large")
	return c
}

func runImport(s *Streams, o *importOptions) error {
	if o.Devices < 1 || o.Devices > 4096 {
		return usage("such as --devices 8", "--devices %d is not from 1 to 4096", o.Devices)
	}
	im, err := peers.Import(o.Options)
	if err != nil {
		return err
	}
	if o.Out == "" {
		if _, err := io.WriteString(s.Out, im.Text); err != nil {
			return err
		}
	} else if err := writeNew(o.Out, im.Text); err != nil {
		return err
	}
	settings := "settings"
	if im.Taken == 1 {
		settings = "setting"
	}
	fmt.Fprintf(s.Err, "lomo: %s is a configuration of %s: %d %s taken over, %d left out, %d to look at\n", o.File, im.Tool, im.Taken, settings, im.Left, len(im.Look))
	for _, l := range im.Look {
		fmt.Fprintf(s.Err, "lomo: look: %s\n", l)
	}
	if o.Out != "" {
		fmt.Fprintf(s.Err, "lomo: `lomo train --config %s --dry-run` checks it with model and data\n", o.Out)
	}
	return nil
}

// writeNew writes a file that must not be there yet.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return usage("choose another name for --out, or remove that file", "%s is there already", path)
	} else if err != nil {
		return &job.HintError{Err: fmt.Errorf("--out: %w", err), Advice: "choose a folder that is there and may be written to"}
	}
	_, err = io.WriteString(f, text)
	return errors.Join(err, f.Close())
}
