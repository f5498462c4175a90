package job

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"lomo/internal/config"
	"lomo/internal/memprof"
	"lomo/internal/model"
	"lomo/internal/preset"
)

// Profile plans the memory of a run: of a model folder or file, or of a preset, whose weights are never read.
func Profile(c *config.Loaded, cards Cards) (*memprof.Profile, *model.Config, error) {
	at, _, err := Locate(c.Model)
	switch there := err == nil && isThere(at); {
	case there:
	case err != nil && !preset.Has(c.Model):
		return nil, nil, fmt.Errorf("model %w", err)
	case !preset.Has(c.Model):
		way := "give a folder, a .gguf file or a preset: `lomo new --help` lists them"
		if near := preset.Nearest(c.Model); near != "" {
			way = fmt.Sprintf("did you mean the preset %s?", near)
		}
		return nil, nil, hint(way, "model %s: no such file or preset", c.Model)
	default:
		cfg, err := preset.Config(c.Model)
		if err != nil {
			return nil, nil, err
		}
		c.FitSequenceLen(cfg.Reach())
		p, err := PlanOnly(&c.Config, cfg, cards)
		return p, cfg, err
	}
	m, err := OpenModel(c.Model)
	if err != nil {
		return nil, nil, err
	}
	defer m.Close()
	c.FitSequenceLen(m.Config.Reach())
	p, err := PlanOnly(&c.Config, m.Config, cards)
	return p, m.Config, err
}

// measuredSteps is enough to reach the peak: the first step touches everything the later ones do.
const measuredSteps = 2

// Measure runs the first steps of the run in a process of its own and returns its peak resident memory in bytes. Without
// data sets in the configuration it trains on made-up sequences of full length.
func Measure(c *config.Loaded, talk io.Writer) (int64, error) {
	if at, _, err := Locate(c.Model); err != nil || !isThere(at) {
		return 0, hint("make one with `lomo new PRESET DIR` and give --model DIR", "--measure needs a model on disk, and %s is not there", c.Model)
	}
	dir, err := os.MkdirTemp("", "lomo-measure-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "measure.yaml")
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	if err := c.WriteYAML(f); err != nil {
		return 0, err
	}
	if err := f.Close(); err != nil {
		return 0, err
	}
	args := []string{"train", "--config", path, "--set", "output_dir=" + filepath.Join(dir, "run"), "--set", fmt.Sprintf("max_steps=%d", measuredSteps),
		"--set", "save_final=false", "--set", "save_steps=0", "--set", "eval_on_start=false", "--resume", "none"}
	if len(c.Datasets) == 0 {
		if err := madeUp(filepath.Join(dir, "data.jsonl"), &c.Config); err != nil {
			return 0, err
		}
		args = append(args, "--set", "datasets=[{path: "+filepath.Join(dir, "data.jsonl")+", type: tokenized}]")
	}
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(self, args...)
	cmd.Stderr = talk
	cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool { // the settings are all in the file
		return strings.HasPrefix(e, "LOMO_") && !strings.HasPrefix(e, "LOMO_CPU=")
	})
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("measured run: %w", err)
	}
	return maxRSS(cmd.ProcessState)
}

// madeUp writes enough sequences of full length for the measured steps.
func madeUp(path string, c *config.Config) error {
	m, err := OpenModel(c.Model)
	if err != nil {
		return err
	}
	defer m.Close()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	enc := json.NewEncoder(f)
	for s := 0; s < measuredSteps*c.MicroBatchSize*c.GradientAccumulationSteps; s++ {
		ids := make([]int, c.SequenceLen)
		for i := range ids {
			ids[i] = (s*c.SequenceLen + i) % m.Config.VocabSize
		}
		if err := enc.Encode(map[string]any{"input_ids": ids}); err != nil {
			return err
		}
	}
	return f.Close()
}
