package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
)

// Input names the sources of a configuration, weakest first.
type Input struct {
	File  string   // YAML file, "" for none
	Env   []string // as os.Environ gives it
	Flags []Flag   // those that stand for one key
	Set   []string // key=value of --set
	Need  []string // keys that must not be empty
}

// Flag is a command-line flag that sets a key.
type Flag struct{ Name, Key, Value string }

// Loaded is a checked configuration that knows where each value came from.
type Loaded struct {
	Config
	Warnings []string // usable, but unusual

	origin map[string]string // key: "run.yaml:12"; absent for defaults
	rank   map[string]int    // key: its source, higher is stronger

	overruled map[string]string // key: the one that excludes it and is from a stronger source
}

// Load merges and checks the sources. Its error is an Errors or, for a file that cannot be read, one *Error.
func Load(in Input) (*Loaded, error) {
	sources, err := read(in)
	if err != nil {
		return nil, err
	}
	return merge(sources, in.Need)
}

// Parse checks a configuration that is a text; name is what errors call it.
func Parse(name string, text []byte, need ...string) (*Loaded, error) {
	s := &source{}
	if err := s.readYAML(name, text); err != nil {
		return nil, err
	}
	return merge([]*source{s}, need)
}

// merge lays the sources over the defaults, the later the stronger, and checks the result.
func merge(sources []*source, need []string) (*Loaded, error) {
	l := &Loaded{Config: Default(), origin: map[string]string{}, rank: map[string]int{}, overruled: map[string]string{}}
	v := viper.New()
	var wrong, last problems
	for rank, s := range sources {
		tree, origin := s.tree()
		wrong = append(wrong, s.problems...)
		if err := v.MergeConfigMap(tree); err != nil {
			return nil, fmt.Errorf("merge settings: %w", err)
		}
		last = append(last, s.last...)
		for key, where := range origin {
			l.origin[key], l.rank[key] = where, rank+1
		}
	}
	if err := append(wrong, last...).err(); err != nil {
		return nil, err
	}
	if err := v.UnmarshalExact(&l.Config, exactly); err != nil {
		return nil, fmt.Errorf("merge settings: %w", err)
	}
	l.settle()
	return l, l.check(need)
}

// read takes every source's settings. An error is a file that cannot be read at all.
func read(in Input) ([]*source, error) {
	file, env, flags, set := &source{}, &source{}, &source{}, &source{}
	if in.File != "" {
		if err := file.readFile(in.File); err != nil {
			return nil, err
		}
	}
	env.readEnv(in.Env)
	for _, f := range in.Flags {
		flags.text(f.Key, f.Value, "--"+f.Name)
	}
	set.readSet(in.Set)
	return []*source{file, env, flags, set}, nil
}

// tree is the source's settings as viper wants them, option blocks nested, and where each stands.
func (s *source) tree() (tree map[string]any, origin map[string]string) {
	tree, origin = map[string]any{}, map[string]string{}
	for _, x := range s.settings {
		v, ok := s.value(x)
		if !ok {
			continue
		}
		origin[x.key.Name] = x.where
		block, option, dotted := strings.Cut(x.key.Name, ".")
		if !dotted {
			tree[block] = v
			continue
		}
		if tree[block] == nil {
			tree[block] = map[string]any{}
		}
		tree[block].(map[string]any)[option] = v
	}
	return tree, origin
}

// exactly makes viper use our tags and convert nothing: values have their types already.
func exactly(c *mapstructure.DecoderConfig) {
	c.TagName, c.WeaklyTypedInput, c.ZeroFields = "yaml", false, true
}

// settle fills what depends on other keys: the optimizer's usual rate, and of two keys that exclude each other the
// one from the stronger source.
func (l *Loaded) settle() {
	if _, given := l.origin["learning_rate"]; !given {
		l.LearningRate = rates[l.Optimizer].usual
	}
	if l.MaxSteps > 0 && l.NumEpochs > 0 {
		switch l.stronger("max_steps", "num_epochs") {
		case "max_steps":
			l.NumEpochs = 0
		case "num_epochs":
			l.MaxSteps = 0
		}
	}
	if l.WarmupSteps > 0 && l.WarmupRatio > 0 {
		switch l.stronger("warmup_steps", "warmup_ratio") {
		case "warmup_steps":
			l.WarmupRatio = 0
		case "warmup_ratio":
			l.WarmupSteps = 0
		}
	}
	if !l.Given("reduce_dtype") && l.DType == "f32" {
		l.ReduceDType = "f32"
	}
	if l.OutputDir != "" {
		l.OutputDir = filepath.Clean(l.OutputDir)
	}
}

// stronger is the one of two keys whose source is stronger, "" when they are equal. The other is overruled.
func (l *Loaded) stronger(a, b string) string {
	switch {
	case l.rank[a] > l.rank[b]:
		l.overruled[b] = a
		return a
	case l.rank[b] > l.rank[a]:
		l.overruled[a] = b
		return b
	}
	return ""
}

// Origin says where a key's value came from: "default", "run.yaml:12", "LOMO_SEED", "--set".
func (l *Loaded) Origin(key string) string {
	if by := l.overruled[key]; by != "" {
		return by + " is given"
	}
	if where, given := l.origin[key]; given {
		return where
	}
	if key == "learning_rate" {
		return "default for " + l.Optimizer
	}
	return "default"
}

// Given tells whether some source gave the key a value.
func (l *Loaded) Given(key string) bool { return l.origin[key] != "" }

// FitSequenceLen lowers a sequence_len that nobody asked for to the positions a model knows. One that was asked for is
// left as it is, for the caller to speak of.
func (l *Loaded) FitSequenceLen(positions int) {
	if l.Given("sequence_len") || l.SequenceLen <= positions {
		return
	}
	l.SequenceLen = positions
	l.origin["sequence_len"] = "as far as the model's positions go"
}

// Get is the value of a key.
func (c *Config) Get(key string) (any, bool) {
	k, known := find(keys, key)
	if !known {
		return nil, false
	}
	return reflect.ValueOf(*c).FieldByIndex(k.index).Interface(), true
}
