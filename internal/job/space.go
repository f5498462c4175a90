package job

import (
	"fmt"
	"strings"

	"lomo/internal/checkpoint"
	"lomo/internal/config"
	"lomo/internal/fault"
	"lomo/internal/model"
	"lomo/internal/train"
)

// freeDisk is the bytes that are free where a folder is or would be, −1 where the system does not say. Tests put another there.
var freeDisk = checkpoint.FreeBytes

// written is something that a run writes into its folder.
type written struct {
	what  string
	bytes int64
}

// sideBytes is room for tokenizer, metrics, page and log.
const sideBytes = 16 << 20

// writes is what a run has on its disk at most, beside what is there already, found checkpoints among it.
func writes(c *config.Config, o train.Options, sum *Summary, found int) (list []written, checkpointBytes, weights int64) {
	for _, p := range model.NewNetwork(o.Model).Params() {
		n := int64(o.DType.Size())
		for _, d := range p.Shape {
			n *= int64(d)
		}
		weights += n
	}
	state := int64(0)
	if sum.Memory != nil {
		state = sum.Memory.State
	}
	checkpointBytes = weights + state
	n := added(c, sum.Steps, sum.Course.From, found)
	if n > 0 {
		list = append(list, written{fmt.Sprintf("%s of %s", fault.Number(n, "checkpoint"), checkpoint.FormatSize(checkpointBytes)), int64(n) * checkpointBytes})
	}
	if c.SaveFinal && n == 0 { // else it is the files of the last checkpoint
		list = append(list, written{"the trained model " + checkpoint.FormatSize(weights), weights})
	}
	if c.Export == toGGUF {
		list = append(list, written{"the GGUF file, at most " + checkpoint.FormatSize(2*weights), 2 * weights}) // f32 of bf16 weights; smaller types take less
	}
	if o.Offload == train.OnDisk {
		list = append(list, written{"the weights while it runs (offload: disk) " + checkpoint.FormatSize(weights), weights})
	}
	if o.SpillInputs == train.OnDisk {
		n := int64(o.MicroBatch) * int64(o.Accumulation) * int64(o.SequenceLen) * int64(o.Model.HiddenSize) * int64(o.DType.Size()) * int64(o.Model.NumHiddenLayers)
		list = append(list, written{"block inputs (activation_offload: disk) " + checkpoint.FormatSize(n), n})
	}
	return list, checkpointBytes, weights
}

// added is how many checkpoints a run has on its disk at most beside those that are found there: without a limit all that it makes, else as many as are kept and the one being written, which
// is there before another is removed. There is one after the last step, whatever save_steps.
func added(c *config.Config, steps, from, found int) int {
	if c.SaveSteps <= 0 || steps <= from {
		return 0
	}
	n := (steps+c.SaveSteps-1)/c.SaveSteps - from/c.SaveSteps
	if c.SaveTotalLimit > 0 {
		n = min(n, max(1, c.SaveTotalLimit+1-found))
	}
	return n
}

// checkSpace refuses a run that its disk has no room for.
func checkSpace(c *config.Config, o train.Options, sum *Summary) error {
	free := freeDisk(c.OutputDir)
	if free < 0 {
		return nil
	}
	found := checkpoint.Whole(c.OutputDir) // others stay beside those of the run
	list, each, weights := writes(c, o, sum, found)
	need, parts := int64(sideBytes), []string{}
	for _, w := range list {
		need += w.bytes
		parts = append(parts, w.what)
	}
	if need <= free || len(list) == 0 {
		return nil
	}
	parts = append(parts, "room for metrics, report and log "+checkpoint.FormatSize(sideBytes))
	return hint(roomier(c, sum, need, free, each, weights, found), "output_dir %s: the run writes %s (%s), and %s are free on that disk",
		c.OutputDir, checkpoint.FormatSize(need), strings.Join(parts, ", "), checkpoint.FormatSize(free))
}

// roomier is the setting that makes the run fit on its disk.
func roomier(c *config.Config, sum *Summary, need, free, each, weights int64, found int) string {
	elsewhere := "free some space, or choose an output_dir on another disk"
	now := added(c, sum.Steps, sum.Course.From, found)
	if now == 0 {
		return elsewhere
	}
	for limit := now + found - 2; limit >= 1; limit-- {
		less := *c
		less.SaveTotalLimit = limit
		if n := added(&less, sum.Steps, sum.Course.From, found); need-int64(now-n)*each <= free {
			return fmt.Sprintf("set save_total_limit: %d, %s; or choose an output_dir on another disk", limit, elsewhere[:len("free some space")])
		}
	}
	if need-int64(now)*each+weights <= free {
		return "set save_steps: 0, which saves the trained model only; or " + elsewhere
	}
	return elsewhere
}
