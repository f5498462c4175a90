package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lomo/internal/config"
	"lomo/internal/cudakern"
	"lomo/internal/data"
)

// keyFlag is the text of a flag that stands for a key; values is what help shows in its place.
type keyFlag struct {
	text, values string
	times        int // given
}

func (f *keyFlag) String() string     { return f.text }
func (f *keyFlag) Set(s string) error { f.text, f.times = s, f.times+1; return nil }

func (f *keyFlag) Type() string {
	switch f.values {
	case "a whole number", "a number":
		return "N"
	case "true or false":
		return "bool"
	}
	return strings.ReplaceAll(f.values, ", ", "|")
}

// typesHelp lists the types of data sets for the help of --type.
var typesHelp = strings.Join(data.Types, ", ")

// settings are the flags of a command that end in a configuration.
type settings struct {
	file string
	set  []string
	keys map[string]string // flag name: key
}

// addFile gives c the flags --config and --set.
func (s *settings) addFile(c *cobra.Command) {
	c.Flags().StringVar(&s.file, "config", "", "YAML `file` with the settings of the run")
	s.addSet(c)
}

// addSet gives c the flag --set.
func (s *settings) addSet(c *cobra.Command) {
	c.Flags().StringArrayVar(&s.set, "set", nil, "`key=value` over the file and the environment; may be repeated")
}

// addKeys gives c flags that stand for one key each: "device", or "batch-size=micro_batch_size" where the flag has
// another name. Their values are checked with all others, so here they are text.
func (s *settings) addKeys(c *cobra.Command, flags ...string) {
	if s.keys == nil {
		s.keys = map[string]string{}
	}
	for _, f := range flags {
		name, key, renamed := strings.Cut(f, "=")
		if !renamed {
			key = strings.ReplaceAll(name, "-", "_")
		}
		s.keys[name] = key
		for _, k := range config.Keys() {
			if k.Name == key {
				c.Flags().Var(&keyFlag{values: k.Values()}, name, k.Help+onlyBuilt(k))
				_ = c.RegisterFlagCompletionFunc(name, completeKey(k))
				if k.Values() == "true or false" {
					c.Flags().Lookup(name).NoOptDefVal = "true"
				}
			}
		}
	}
}

// completeKey offers a shell the values that a key takes in this build, and files where it takes a text.
func completeKey(k config.Key) cobra.CompletionFunc {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		switch {
		case len(k.OneOf) > 0:
			values := slices.Clone(k.OneOf)
			if k.Name == "device" && !cudakern.Available {
				values = []string{"auto", "cpu"}
			}
			return values, cobra.ShellCompDirectiveNoFileComp
		case k.Values() == "true or false":
			return []string{"true", "false"}, cobra.ShellCompDirectiveNoFileComp
		case k.Values() == "text":
			return nil, cobra.ShellCompDirectiveDefault
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// load resolves the configuration that c's flags, the environment and the file make.
func (s *settings) load(io *Streams, c *cobra.Command, need ...string) (*config.Loaded, error) {
	var given []config.Flag
	var lists []string // that are given more than once, of which only the last would count
	c.Flags().Visit(func(f *pflag.Flag) {
		if key := s.keys[f.Name]; key != "" {
			if list, _ := f.Value.(*keyFlag); list != nil && list.times > 1 && strings.HasPrefix(list.values, "a list") {
				lists = append(lists, f.Name)
			}
			given = append(given, config.Flag{Name: f.Name, Key: key, Value: f.Value.String()})
		}
	})
	if len(lists) > 0 {
		return nil, usage("give the whole list at once, or use a configuration file", "--%s is given twice", lists[0])
	}
	if err := s.agree(given); err != nil {
		return nil, err
	}
	l, err := config.Load(config.Input{File: s.file, Env: io.Env, Flags: given, Set: s.set, Need: need})
	if err != nil {
		return nil, err
	}
	warn(io.Err, l.Warnings)
	return l, nil
}
