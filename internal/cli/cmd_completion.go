package cli

import (
	"github.com/spf13/cobra"
)

func newCompletionCmd(io *Streams) *cobra.Command {
	shells := map[string]func(*cobra.Command) error{
		"bash":       func(root *cobra.Command) error { return root.GenBashCompletionV2(io.Out, true) },
		"zsh":        func(root *cobra.Command) error { return root.GenZshCompletion(io.Out) },
		"fish":       func(root *cobra.Command) error { return root.GenFishCompletion(io.Out, true) },
		"powershell": func(root *cobra.Command) error { return root.GenPowerShellCompletionWithDesc(io.Out) },
	}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print a shell's completion script",
		Long:  `Completion prints a script that makes a shell complete lomo's commands and flags.`,
		Example: `  source <(lomo completion bash)
  lomo completion zsh > "${fpath[1]}/_lomo"
  lomo completion fish > ~/.config/fish/completions/lomo.fish`,
		Args:      wantArgs("the shell's name"),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(c *cobra.Command, args []string) error {
			script, known := shells[args[0]]
			if !known {
				return usage("bash, zsh, fish or powershell", "unknown shell %q", args[0])
			}
			return script(c.Root())
		},
	}
}
