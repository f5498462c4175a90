package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lomo/internal/config"
	"lomo/internal/suggest"
)

// addEveryKey gives c a flag for every key that has none: --learning-rate and --learning_rate set learning_rate, --adamw.eps
// an option of a block. Help does not list them: `lomo help config` does.
func (s *settings) addEveryKey(c *cobra.Command) {
	c.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
	})
	for _, k := range config.Keys() {
		for _, name := range append([]string{k.Name}, k.Aliases...) {
			name = strings.ReplaceAll(name, "_", "-")
			if c.Flags().Lookup(name) != nil {
				continue
			}
			s.addKeys(c, name+"="+k.Name)
			_ = c.Flags().MarkHidden(name)
		}
	}
}

// agree refuses a key that two flags, or a flag and --set, give different values: neither is the stronger by right.
func (s *settings) agree(given []config.Flag) error {
	first := map[string]config.Flag{}
	for _, f := range given {
		if before, twice := first[f.Key]; twice {
			return usage("keep one of them", "%s is given twice, as --%s and --%s", f.Key, before.Name, f.Name)
		}
		first[f.Key] = f
	}
	for _, word := range s.set {
		key, value, _ := strings.Cut(word, "=")
		if f, twice := first[config.NameOf(strings.TrimSpace(key))]; twice && f.Value != value {
			return usage("keep one of them", "%s is given twice, as --%s %s and --set %s", f.Key, f.Name, f.Value, word)
		}
	}
	return nil
}

// unknownFlag says which flag was probably meant: one that c has, listed or not, or the key that other trainers call so.
func unknownFlag(c *cobra.Command, err error) string {
	if _, word, single := strings.Cut(err.Error(), "unknown shorthand flag: "); single {
		_, word, _ = strings.Cut(word, " in -")
		if word, _, _ = strings.Cut(word, "="); len(word) > 1 && c.Flags().Lookup(strings.ReplaceAll(word, "_", "-")) != nil {
			return fmt.Sprintf("did you mean --%s?", strings.ReplaceAll(word, "_", "-"))
		}
		return ""
	}
	name, ok := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !ok {
		return ""
	}
	if f := c.Flags().Lookup(strings.TrimPrefix(strings.ReplaceAll(name, "_", "-"), "no-")); f != nil && f.Value.Type() == "bool" || f != nil && f.NoOptDefVal == "true" {
		return fmt.Sprintf("did you mean --%s=false?", f.Name)
	}
	var all []string
	c.Flags().VisitAll(func(f *pflag.Flag) { all = append(all, f.Name) })
	slices.Sort(all)
	if c.Flags().Lookup("learning-rate") != nil { // a command that takes every key
		var wrong config.Errors
		_, err := config.Load(config.Input{Flags: []config.Flag{{Name: name, Key: strings.ReplaceAll(name, "-", "_"), Value: "1"}}})
		if errors.As(err, &wrong) && len(wrong) > 0 {
			advice := wrong[0].Hint()
			if before, key, found := strings.Cut(advice, `did you mean "`); found && before == "" {
				return "did you mean --" + strings.ReplaceAll(strings.TrimSuffix(key, `"?`), "_", "-") + "?"
			}
			if near := suggest.Nearest(name, all); near == "" {
				return advice
			}
		}
	}
	if near := suggest.Nearest(strings.ReplaceAll(name, "_", "-"), all); near != "" {
		return fmt.Sprintf("did you mean --%s?", near)
	}
	return ""
}

// takeFile makes the one argument of a command its configuration: `lomo train run.yaml` is `lomo train --config run.yaml`.
func (s *settings) takeFile(c *cobra.Command, args []string) error {
	extra := ""
	if len(args) > 0 {
		extra = args[len(args)-1]
	}
	switch {
	case len(args) == 0:
		return nil
	case extra == "true" || extra == "false":
		return usage("a flag takes it with an equals sign: --packing="+extra, "unexpected argument %q", extra)
	case keyValue(extra) != "":
		return usage("write "+keyValue(extra), "unexpected argument %q", extra)
	case len(args) > 1:
		return usage(seeHelp(c), "unexpected argument %q", args[1])
	case s.file != "":
		return usage("a run has one configuration: keep one of them", "%s and --config %s are both given", args[0], s.file)
	}
	path := args[0]
	st, err := os.Stat(path)
	switch {
	case err == nil && st.IsDir():
		if run := filepath.Join(path, "config.yaml"); isRegular(run) {
			return usage(fmt.Sprintf("`%s %s` goes on with that run", c.CommandPath(), run), "%s is a folder, not a configuration", path)
		}
		return usage("give a model as --model "+path+", and a YAML file with the settings", "%s is a folder, not a configuration", path)
	case err == nil && !slices.Contains([]string{".yaml", ".yml", ".json", ""}, strings.ToLower(filepath.Ext(path))) && st.Mode().IsRegular():
		return usage(fmt.Sprintf("`lomo init run.yaml --model DIR --data %s` writes a configuration", path), "%s is no configuration: its name ends neither in .yaml nor .yml", path)
	case path == "-":
		return usage("give the file, or /dev/stdin for what comes through a pipe", "- is no configuration")
	case errors.Is(err, os.ErrNotExist):
		return usage(configAdvice(path), "%s: there is no such file", path)
	case err != nil:
		return usage("", "%s: %v", path, errors.Unwrap(err))
	}
	s.file = path
	return nil
}

// keyValue is key=value, as torchtune and Hydra take settings, as a flag; "" for any other word.
func keyValue(word string) string {
	key, value, ok := strings.Cut(word, "=")
	if key = config.NameOf(strings.ReplaceAll(strings.TrimLeft(key, "+~"), "-", "_")); !ok || !slices.ContainsFunc(config.Keys(), func(k config.Key) bool { return k.Name == key }) {
		return ""
	}
	return fmt.Sprintf("--%s %s", strings.ReplaceAll(key, "_", "-"), quoteArg(value))
}

// configAdvice is the way out of a configuration that is not there: the one that was probably meant, or how to get one.
func configAdvice(path string) string {
	var there []string
	for _, pattern := range []string{"*.yaml", "*.yml"} {
		found, _ := filepath.Glob(filepath.Join(filepath.Dir(path), pattern))
		there = append(there, found...)
	}
	if near := suggest.Nearest(path, there); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return "`lomo init run.yaml` writes a configuration; configs/ has examples"
}

func isRegular(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}
