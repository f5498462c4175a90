package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"lomo/internal/config"
)

// topics are help pages that are no commands: `lomo help exit-codes`.
func topics() []*cobra.Command {
	return []*cobra.Command{
		{Use: "exit-codes", Short: "What lomo's exit codes mean", Long: exitCodes},
		{Use: "config", Short: "Every setting of a run, with its default", Long: configHelp()},
	}
}

// newHelpCmd is cobra's help command, but for a topic that is not known.
func newHelpCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND or TOPIC]",
		Short: "Show the help of a command or topic",
		Long:  "Help shows how a command is used, or a topic: exit-codes, config.",
		Example: `  lomo help train
  lomo help config`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			root := c.Root()
			found, rest, err := root.Find(args)
			if err != nil || found == nil || found == root && len(rest) > 0 {
				return knownCommand(root, args)
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}

const exitCodes = `  0    done
  1    failed: a file or data set cannot be used, the disk is full, …
  2    wrong usage or configuration; nothing was written
  3    diverged: the loss or a gradient is not finite
  130  interrupted, after a checkpoint was saved; the same command continues the run`

// configHelp lists the keys from their tags.
func configHelp() string {
	var b strings.Builder
	b.WriteString(`A run is described by a flat YAML file. A setting may also come from the environment
(LOMO_LEARNING_RATE, LOMO_ADAMW_EPS) or from --set learning_rate=0.02, --set adamw.eps=1e-6.
Stronger sources come later: default, file, environment, flags. Some values are names of what
later versions will do; they are refused with a list of what this build has.
LOMO_CPU=generic|avx2|avx512|amx is no setting: it holds the CPU kernels to a level.
`)
	defaults := config.Default()
	for _, k := range config.Keys() {
		v, _ := defaults.Get(k.Name)
		name := k.Name
		for _, a := range k.Aliases {
			name += ", " + a
		}
		fmt.Fprintf(&b, "\n%s: %s\n    %s (default %s)\n", name, k.Values(), k.Help, shownDefault(v))
	}
	return b.String()
}

func shownDefault(v any) string {
	if s, ok := v.(string); ok && s == "" {
		return "none"
	}
	return strings.ReplaceAll(fmt.Sprint(v), " ", ", ")
}
