// Package golden compares our results with files that PyTorch, transformers and lomo-optim wrote.
//
// The files lie in testdata/golden and are made by scripts/golden/*.py, which says what each holds. A file carries the hash
// of the scripts that made it: after a change to a script the tests fail until the files are made anew. It also carries the
// versions of the libraries, which every failure prints.
//
//	f := golden.Load(t, "testdata/golden/gqa_tied.golden.safetensors")
//	golden.Close(t, "logits", got, f.F32("logits"), 1e-5)
package golden

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Run is one training run of a golden file, in the words of lomo_optim and torch.optim; zero is the option's default.
// Weight decay acts on every tensor, norm gains too.
type Run struct {
	Optimizer     string     `json:"optimizer"`
	LR            float64    `json:"lr"` // constant
	ClipGradNorm  float64    `json:"clip_grad_norm"`
	ClipGradValue float64    `json:"clip_grad_value"`
	WeightDecay   float64    `json:"weight_decay"`
	Momentum      float64    `json:"momentum"`
	Betas         [2]float64 `json:"betas"`
	Eps           float64    `json:"eps"`
}

// Meta says how a golden file was made.
type Meta struct {
	Seed        int64              `json:"seed"`
	Scripts     map[string]string  `json:"scripts"`      // path in the repository -> sha256
	Versions    map[string]string  `json:"versions"`     // of the reference libraries
	ModelSHA256 string             `json:"model_sha256"` // of the model.safetensors in the folder of the same name
	Runs        map[string]Run     `json:"runs"`
	Noise       map[string]float64 `json:"noise"` // how far weights rounded otherwise move a run's losses: no bound can be below it
}

// File is an opened golden file.
type File struct {
	Meta
	Path    string // absolute
	tb      testing.TB
	tensors map[string]Tensor
}

// Root is the folder of go.mod, found upwards from the test's working directory.
func Root(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			tb.Fatal("no go.mod above the working directory")
		}
		dir = up
	}
}

// Load opens a golden file by its path in the repository. The test ends if the file is missing, or if it, its model or one
// of its scripts is not what belonged together when it was made.
func Load(tb testing.TB, path string) *File {
	tb.Helper()
	f, err := load(Root(tb), path)
	if err != nil {
		tb.Fatalf("golden: %s: %v", path, err)
	}
	f.tb = tb
	return f
}

func load(root, path string) (*File, error) {
	f := &File{Path: filepath.Join(root, path)}
	raw, err := os.ReadFile(f.Path)
	if err != nil {
		return nil, err
	}
	tensors, meta, err := parse(raw)
	if err != nil {
		return nil, err
	}
	f.tensors = tensors
	if err := json.Unmarshal([]byte(meta["golden"]), &f.Meta); err != nil {
		return nil, fmt.Errorf("metadata key \"golden\": %w", err)
	}
	if err := sameScripts(root, f.Scripts); err != nil {
		return nil, err
	}
	if f.ModelSHA256 != "" {
		return f, sameHash(filepath.Join(f.ModelDir(), "model.safetensors"), f.ModelSHA256)
	}
	return f, nil
}

// LoadJSON reads a golden file of few numbers, such as testdata/golden/vectors.json, into v. It checks the hashes in the
// file's key "scripts" as Load does.
func LoadJSON(tb testing.TB, path string, v any) {
	tb.Helper()
	if err := loadJSON(Root(tb), path, v); err != nil {
		tb.Fatalf("golden: %s: %v", path, err)
	}
}

func loadJSON(root, path string, v any) error {
	raw, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		return err
	}
	var meta Meta
	if err := json.Unmarshal(raw, &meta); err != nil {
		return err
	}
	if err := sameScripts(root, meta.Scripts); err != nil {
		return err
	}
	return json.Unmarshal(raw, v)
}

// sameScripts says whether the scripts that made a file are still those in the repository.
func sameScripts(root string, scripts map[string]string) error {
	if len(scripts) == 0 {
		return fmt.Errorf("records no script")
	}
	for script, want := range scripts {
		if err := sameHash(filepath.Join(root, script), want); err != nil {
			return fmt.Errorf("%w; make the golden files anew (scripts/golden)", err)
		}
	}
	return nil
}

// sameHash says whether a file is the one a golden file was made with.
func sameHash(path, want string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != want {
		return fmt.Errorf("%s has changed since: sha256 %x, recorded %s", filepath.Base(path), sum, want)
	}
	return nil
}

// ModelDir is the Hugging Face folder the results belong to.
func (f *File) ModelDir() string { return strings.TrimSuffix(f.Path, ".golden.safetensors") }

// Names lists the tensors whose names start with prefix, without it, sorted.
func (f *File) Names(prefix string) []string {
	var out []string
	for name := range f.tensors {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			out = append(out, rest)
		}
	}
	slices.Sort(out)
	return out
}

// Has reports whether the file holds the tensor.
func (f *File) Has(name string) bool { _, ok := f.tensors[name]; return ok }

// Shape is the tensor's shape; a scalar's is empty.
func (f *File) Shape(name string) []int { f.tb.Helper(); return f.get(name).Shape }

// F32 is the tensor's values, row-major. The test ends if it is missing or of another dtype.
func (f *File) F32(name string) []float32 {
	f.tb.Helper()
	t := f.get(name)
	if t.F32 == nil {
		f.tb.Fatalf("golden: %s: tensor %q is not float32", f.Path, name)
	}
	return t.F32
}

// I32 is the tensor's values, row-major. The test ends if it is missing or of another dtype.
func (f *File) I32(name string) []int32 {
	f.tb.Helper()
	t := f.get(name)
	if t.I32 == nil {
		f.tb.Fatalf("golden: %s: tensor %q is not int32", f.Path, name)
	}
	return t.I32
}

func (f *File) get(name string) Tensor {
	f.tb.Helper()
	t, ok := f.tensors[name]
	if !ok {
		f.tb.Fatalf("golden: %s: no tensor %q, has %v", f.Path, name, f.Names(""))
	}
	return t
}
