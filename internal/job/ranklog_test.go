package job

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"lomo/internal/train"
)

// TestRankLogs: a rank's log grows over tries, keeps its steps and how it ended, and leaves the run's own callbacks as they are.
func TestRankLogs(t *testing.T) {
	dir := t.TempDir()
	open := rankLogs(dir)
	seen, lost := 0, errors.New("the card is lost")
	for _, failure := range []error{lost, nil} {
		o := train.Options{OnStep: func(train.StepMetrics) error { seen++; return nil }}
		ended, err := open(3, "cuda test", &o)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.OnStep(train.StepMetrics{Step: 7, Total: 9, Loss: 1.5, StepMS: 12}); err != nil {
			t.Fatal(err)
		}
		if err := ended(failure); !errors.Is(err, failure) {
			t.Errorf("ended with %v, want %v", err, failure)
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "logs", "rank-3.log"))
	if err != nil {
		t.Fatal(err)
	}
	want := `^(\S+ \S+ rank 3 on cuda test, process \d+\n\S+ \S+ step 7/9 loss 1\.5000 12 ms\n\S+ \S+ (ended: the card is lost|done)\n){2}$`
	if !regexp.MustCompile(want).Match(raw) || seen != 2 {
		t.Errorf("%d steps seen, log:\n%s", seen, raw)
	}
}
