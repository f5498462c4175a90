package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lomo/internal/config"
	"lomo/internal/cudakern"
	"lomo/internal/suggest"
)

// topics are help pages that are no commands: `lomo help exit-codes`.
func topics() []*cobra.Command {
	return []*cobra.Command{
		{Use: "exit-codes", Short: "What lomo's exit codes mean", Long: exitCodes},
	}
}

// newHelpCmd is cobra's help command, but for the pages of keys and a topic that is not known.
func newHelpCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND or TOPIC]",
		Short: "Show the help of a command or topic",
		Long:  "Help shows how a command is used, or a topic: exit-codes, config, config KEY.",
		Example: `  lomo help train
  lomo help config
  lomo help config optimizer`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			root := c.Root()
			found, rest, err := root.Find(args)
			if err != nil || found == nil || found == root && len(rest) > 0 {
				return knownCommand(root, args)
			}
			if found.Name() == "config" && found.Parent() == root {
				return printKeys(c.OutOrStdout(), rest)
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

// helpWidth is the widest line of a page about keys.
const helpWidth = 80

// configHelp lists the keys from their tags, by what they are about.
func configHelp() string {
	var b strings.Builder
	b.WriteString(`A run is described by a flat YAML file. A setting may also come from the
environment (LOMO_LEARNING_RATE, LOMO_ADAMW_EPS), or from the command line
(--set learning_rate=0.02, --set adamw.eps=1e-6). The stronger source counts:
default, then file, then environment, then command line.
` + "`lomo help config KEY`" + ` shows one key with an example. LOMO_CPU is no key: it
holds the CPU kernels to generic, avx2, avx512 or amx.
`)
	group := ""
	for _, k := range config.Keys() {
		if k.Group != group {
			group = k.Group
			fmt.Fprintf(&b, "\n%s\n", strings.ToUpper(group))
		}
		b.WriteString(wrapped("  ", "      ", fmt.Sprintf("%s: %s", strings.Join(append([]string{k.Name}, k.Aliases...), ", "), k.Values())))
		b.WriteString(wrapped("      ", "      ", fmt.Sprintf("%s%s Default: %s.", k.Help, onlyBuilt(k), defaultOf(k))))
	}
	return b.String()
}

// onlyBuilt says what of a key this program cannot do as it was built.
func onlyBuilt(k config.Key) string {
	if k.Name == "device" && !cudakern.Available {
		return " This build has no CUDA, and so the CPU alone (docs/gpu.md says how to build it)."
	}
	return ""
}

func defaultOf(k config.Key) string {
	d := config.Default()
	v, _ := d.Get(k.Name)
	if k.Name == "learning_rate" {
		return fmt.Sprintf("%v with adalomo", v)
	}
	if s := strings.ReplaceAll(fmt.Sprint(v), " ", ", "); s != "" && s != "[]" {
		return s
	}
	return "none"
}

// keyHelp is the page of one key.
func keyHelp(k config.Key) string {
	var b strings.Builder
	line := func(name, text string) {
		if text != "" {
			b.WriteString(wrapped(fmt.Sprintf("  %-10s", name), strings.Repeat(" ", 12), text))
		}
	}
	fmt.Fprintf(&b, "%s\n\n", k.Name)
	b.WriteString(wrapped("  ", "  ", k.Help+onlyBuilt(k)))
	b.WriteString("\n")
	line("values", k.Values())
	if k.Name == "datasets" || k.Name == "eval_datasets" {
		line("types", strings.Join(config.DatasetTypes(), ", ")+"; docs/data.md says what each holds")
	}
	line("default", defaultOf(k))
	line("aliases", strings.Join(k.Aliases, ", "))
	if other := config.OtherNames(k.Name); len(other) > 0 {
		line("elsewhere", strings.Join(other, ", ")+" (other trainers' names, which lomo does not take)")
	}
	text := k.Shown()
	if block, option, dotted := strings.Cut(k.Name, "."); dotted {
		line("example", fmt.Sprintf("%s: {%s: %s}", block, option, text))
	} else {
		line("example", k.Name+": "+text)
	}
	line("also", fmt.Sprintf("LOMO_%s, --set %s=…", strings.ToUpper(strings.ReplaceAll(k.Name, ".", "_")), k.Name))
	resumed := "it must stay as it is when a run is resumed"
	if k.Resume {
		resumed = "it may change when a run is resumed"
	}
	line("resume", resumed)
	return b.String()
}

// keyPage is what is known of a name: the page of a key, those of a block, or where another trainer's key has gone.
func keyPage(name string) (string, error) {
	var block []string
	for _, k := range config.Keys() {
		if k.Name == name || slices.Contains(k.Aliases, name) {
			return keyHelp(k), nil
		}
		if k.Block() == name {
			block = append(block, keyHelp(k))
		}
	}
	if len(block) > 0 {
		return strings.Join(block, "\n"), nil
	}
	if list, field, dotted := strings.Cut(name, "."); dotted && (list == "datasets" || list == "eval_datasets") && slices.Contains([]string{"path", "type", "split", "weight"}, field) {
		return keyPage(list)
	}
	if a, known := config.Elsewhere(strings.ToLower(name)); known {
		return "", usage(a.Hint(), "no key is called %q", name)
	}
	var all []string
	for _, k := range config.Keys() {
		all = append(append(all, k.Name, strings.TrimPrefix(k.Name, k.Block()+".")), k.Aliases...)
	}
	if n := suggest.Nearest(strings.ToLower(strings.ReplaceAll(name, "-", "_")), all); n != "" {
		for _, k := range config.Keys() {
			if k.Block() != "" && strings.TrimPrefix(k.Name, k.Block()+".") == n {
				n = k.Name
				break
			}
		}
		return "", usage(fmt.Sprintf("did you mean %q?", n), "no key is called %q", name)
	}
	return "", usage("`lomo help config` lists all keys", "no key is called %q", name)
}

// wrapped breaks a text into lines of at most helpWidth columns, the first after one indent, the others after another.
func wrapped(first, others, text string) string {
	var b strings.Builder
	line := first
	for i, w := range strings.Fields(text) {
		switch {
		case i == 0:
			line += w
		case len([]rune(line))+1+len([]rune(w)) > helpWidth:
			b.WriteString(line + "\n")
			line = others + w
		default:
			line += " " + w
		}
	}
	return b.String() + line + "\n"
}
