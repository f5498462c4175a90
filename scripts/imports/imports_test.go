// Package imports holds the rule that imports point down only, as a test over the whole module.
package imports

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// layers are the packages under internal/ from the bottom up. A package imports only from layers below its own.
var layers = []string{
	"strictjson",
	"fault",
	"suggest tensor rng golden tfevents data/records cudakern/driver ptx jinja onig",
	"hub hub/hubtest device checkpoint/gguf checkpoint/safetensors checkpoint/torch tasks cudakern/sim cudakern/drivertest",
	"comm checkpoint/meta checkpoint/gguf/arch",
	"grad checkpoint cpukern cudakern memdev devtest commtest tokenizer cudakern/simserver cudakern/ladder doctor",
	"hub/pull model optim store data",
	"model/families",
	"train preset infer report bench export",
	"eval memprof config verify",
	"config/peers",
	"job",
	"cli",
}

// owners are modules that one package alone may import.
var owners = map[string]string{
	"github.com/spf13/cobra":             "cli",
	"github.com/spf13/viper":             "config",
	"gopkg.in/yaml.v3":                   "config",
	"github.com/schollz/progressbar":     "report",
	"github.com/nlpodyssey/gotokenizers": "tokenizer",
	"github.com/klauspost/compress":      "data/records",
	"github.com/parquet-go/parquet-go":   "data/records",
	"github.com/andybalholm/brotli":      "data/records",
	"github.com/pierrec/lz4":             "data/records",
	"github.com/klauspost/cpuid":         "cpukern",
	"gorgonia.org/cu":                    "cudakern",
}

const internal = "lomo/internal/"

func TestImportsPointDown(t *testing.T) {
	seen := 0
	for _, dir := range []string{"internal", "cmd"} {
		err := filepath.WalkDir(filepath.Join("../..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				if err == nil && d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), "_")) {
					return fs.SkipDir
				}
				return err
			}
			seen++
			check(t, path)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen == 0 {
		t.Fatal("no Go file found")
	}
}

// check reports the imports of one file that break a rule.
func check(t *testing.T, path string) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	pkg := strings.TrimPrefix(strings.Replace(filepath.ToSlash(filepath.Dir(path)), "../..", "lomo", 1), internal)
	if !strings.HasPrefix(pkg, "lomo/cmd/") && layer(pkg) < 0 {
		t.Errorf("%s: package %s is in no layer: add it to the list in this file", path, pkg)
	}
	for _, spec := range file.Imports {
		imported := strings.Trim(spec.Path.Value, `"`)
		if why := refused(pkg, imported); why != "" {
			t.Errorf("%s imports %s: %s", path, imported, why)
		}
	}
}

// refused says why pkg, a path under internal/ or a command's whole path, may not import what it does; "" if it may.
func refused(pkg, imported string) string {
	if below, ours := strings.CutPrefix(imported, internal); ours {
		switch {
		case strings.HasPrefix(pkg, "lomo/cmd/"):
			if below != "cli" {
				return "a command imports cli only"
			}
		case layer(below) >= layer(pkg):
			return "it is not in a layer below"
		}
		return ""
	}
	for module, owner := range owners {
		if pkg != owner && !strings.HasPrefix(pkg, owner+"/") && (imported == module || strings.HasPrefix(imported, module+"/")) {
			return "only " + owner + " may"
		}
	}
	return ""
}

func layer(pkg string) int {
	return slices.IndexFunc(layers, func(l string) bool { return slices.Contains(strings.Fields(l), pkg) })
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		pkg, imported string
		refused       bool
	}{
		{"model", internal + "device", false},
		{"model", internal + "optim", true},
		{"device", internal + "model", true},
		{"train", "github.com/spf13/viper", true},
		{"config", "github.com/spf13/viper", false},
		{"report", "github.com/schollz/progressbar/v3", false},
		{"lomo/cmd/lomo", internal + "cli", false},
		{"lomo/cmd/lomo", internal + "train", true},
		{"train", "errors", false},
	} {
		if why := refused(c.pkg, c.imported); (why != "") != c.refused {
			t.Errorf("%s imports %s: %q, want refused %v", c.pkg, c.imported, why, c.refused)
		}
	}
}
