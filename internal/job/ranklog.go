package job

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"lomo/internal/train"
)

// logsDir holds a log for each rank of a run on several devices.
const logsDir = "logs"

// rankLogs is what makes each rank of a run write down, in a file of its own under dir, what it does: its steps, and how it ended.
// The files grow over the tries of a run.
func rankLogs(dir string) func(rank int, device string, o *train.Options) (func(error) error, error) {
	return func(rank int, device string, o *train.Options) (func(error) error, error) {
		if err := os.MkdirAll(filepath.Join(dir, logsDir), 0o755); err != nil {
			return nil, err
		}
		f, err := os.OpenFile(filepath.Join(dir, logsDir, fmt.Sprintf("rank-%d.log", rank)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, err
		}
		say := func(format string, args ...any) {
			fmt.Fprintf(f, "%s %s\n", time.Now().Format(time.DateTime), fmt.Sprintf(format, args...)) // a full disk is met by the checkpoints too
		}
		say("rank %d on %s, process %d", rank, device, os.Getpid())
		step := o.OnStep
		o.OnStep = func(m train.StepMetrics) error {
			say("step %d/%d loss %.4f %.0f ms", m.Step, m.Total, m.Loss, m.StepMS)
			if step == nil {
				return nil
			}
			return step(m)
		}
		return func(failed error) error {
			if failed == nil {
				say("done")
			} else {
				say("ended: %v", failed)
			}
			return errors.Join(failed, f.Close())
		}, nil
	}
}
