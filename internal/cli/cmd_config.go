package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lomo/internal/config"
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
