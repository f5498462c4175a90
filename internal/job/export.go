package job

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"lomo/internal/checkpoint"
	"lomo/internal/config"
	"lomo/internal/export"
	"lomo/internal/train"
)

// exportName is the GGUF file of a run with export: gguf.
const exportName = "model.gguf"

// exportable refuses a run whose trained model could not be exported, before it begins, and says what the file will lack.
func (m *Model) exportable(c *config.Config, note Note) error {
	if c.Export != toGGUF {
		return nil
	}
	d, err := export.ParseDType(c.ExportDType)
	if err != nil {
		return &UsageError{err}
	}
	plan, _, err := m.planGGUF(d)
	if err != nil {
		return &UsageError{hint("set export: none; the trained model is a folder all the same", "export: gguf: %w", err)}
	}
	for _, n := range plan.Notes {
		note("export: %s", n)
	}
	return nil
}

// exportRun writes the GGUF file of a finished run beside its trained model. Where one is there it is of an earlier end of the run, and replaced if
// again says so.
func exportRun(ctx context.Context, c *config.Config, note Note, again bool) error {
	path := filepath.Join(c.OutputDir, exportName)
	if c.Export != toGGUF {
		return nil
	}
	if _, err := os.Stat(path); err == nil && !again {
		return nil
	}
	done, err := Convert(ConvertOptions{
		In: c.OutputDir, Out: path, DType: c.ExportDType, Force: true,
		Note: func(string, ...any) {}, // it was said before the run began
		Begin: func(dtype string, bytes int64) {
			note("export: writing %s, %s in %s", path, checkpoint.FormatSize(bytes), dtype)
		},
		Written: func(int64) error {
			if ctx.Err() != nil {
				return train.ErrInterrupted
			}
			return nil
		},
	})
	if err != nil {
		return fmt.Errorf("export: the trained model is in %s, and its GGUF file could not be written: %w", c.OutputDir, err)
	}
	note("GGUF file: %s; for Ollama: ollama create NAME -f %s", done.Out, done.Modelfile)
	return nil
}
