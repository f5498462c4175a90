package config

import (
	"fmt"
	"os"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"

	"lomo/internal/fault"
)

// Setting is a key as a run's folder keeps it.
type Setting struct {
	Name, Value string
	Origin      string // where the value came from
	Default     bool   // it is the value the key has when nobody gives one
}

// maxSaved bounds what is read of a run's config.yaml.
const maxSaved = 16 << 20

// Saved reads the settings that a run wrote into its folder, to be shown: nothing is checked, so those of another version are shown too.
func Saved(path string) ([]Setting, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() || info.Size() > maxSaved {
		return nil, fmt.Errorf("%s is not a file of settings of at most %d bytes", path, maxSaved)
	}
	text, err := fault.Read(path, maxSaved)
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: no keys", path)
	}
	standard := Default()
	return saved(doc.Content[0], "", &standard), nil
}

func saved(m *yaml.Node, prefix string, standard *Config) (out []Setting) {
	for i := 0; i+1 < len(m.Content); i += 2 {
		key, value := m.Content[i], m.Content[i+1]
		if value.Kind == yaml.MappingNode && prefix == "" {
			out = append(out, saved(value, key.Value+".", standard)...)
			continue
		}
		s := Setting{Name: prefix + key.Value, Origin: strings.TrimPrefix(value.LineComment, "# ")}
		if s.Origin == "" {
			s.Origin = strings.TrimPrefix(key.LineComment, "# ")
		}
		s.Value = plainText(value)
		if v, known := standard.Get(s.Name); known {
			if n, err := nodeOf(reflect.ValueOf(v)); err == nil {
				s.Default = plainText(n) == s.Value
			}
		}
		s.Default = s.Default || s.Origin == "default" || strings.HasPrefix(s.Origin, "default for ")
		out = append(out, s)
	}
	return out
}

// plainText is a value as one reads it: a text without quotes, a list on one line.
func plainText(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return n.Value
	}
	bare := *n
	bare.HeadComment, bare.LineComment, bare.FootComment, bare.Style = "", "", "", yaml.FlowStyle
	text, err := yaml.Marshal(&bare)
	if err != nil {
		return n.Value
	}
	return strings.TrimSuffix(string(text), "\n")
}
