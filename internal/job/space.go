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

// writes is what a run has on its disk at most, beside what is there already: how many checkpoints it finds counts against those it makes.
func writes(c *config.Config, o train.Options, sum *Summary, found int) (list []written, checkpointBytes int64) {
	weights := int64(0)
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
	if n := kept(c, sum.Steps, sum.Course.From) - found; c.SaveSteps > 0 && n > 0 {
		list = append(list, written{fmt.Sprintf("%s of %s", fault.Number(n, "checkpoint"), checkpoint.FormatSize(checkpointBytes)), int64(n) * checkpointBytes})
	}
	if c.SaveFinal {
		list = append(list, written{"the trained model " + checkpoint.FormatSize(weights), weights})
	}
	if o.Offload == train.OnDisk {
		list = append(list, written{"the weights while it runs (offload: disk) " + checkpoint.FormatSize(weights), weights})
	}
	if o.SpillInputs == train.OnDisk {
		n := int64(o.MicroBatch) * int64(o.Accumulation) * int64(o.SequenceLen) * int64(o.Model.HiddenSize) * int64(o.DType.Size()) * int64(o.Model.NumHiddenLayers)
		list = append(list, written{"block inputs (activation_offload: disk) " + checkpoint.FormatSize(n), n})
	}
	return list, checkpointBytes
}

// kept is how many checkpoints lie on the disk at once: those that are kept and the one being written.
func kept(c *config.Config, steps, from int) int {
	if c.SaveSteps <= 0 {
		return 0
	}
	n := steps/c.SaveSteps - from/c.SaveSteps
	if c.SaveTotalLimit > 0 {
		n = min(n, c.SaveTotalLimit+1)
	}
	return max(0, n)
}

// checkSpace refuses a run that its disk has no room for.
func checkSpace(c *config.Config, o train.Options, sum *Summary) error {
	free := freeDisk(c.OutputDir)
	if free < 0 {
		return nil
	}
	found := checkpoint.Whole(c.OutputDir) // others stay beside those of the run
	list, each := writes(c, o, sum, found)
	need, parts := int64(sideBytes), []string{}
	for _, w := range list {
		need += w.bytes
		parts = append(parts, w.what)
	}
	if need <= free || len(list) == 0 {
		return nil
	}
	parts = append(parts, "room for metrics, report and log "+checkpoint.FormatSize(sideBytes))
	return hint(roomier(c, sum, need, free, each, found), "output_dir %s: the run writes %s (%s), and %s are free on that disk",
		c.OutputDir, checkpoint.FormatSize(need), strings.Join(parts, ", "), checkpoint.FormatSize(free))
}

// roomier is the setting that makes the run fit on its disk.
func roomier(c *config.Config, sum *Summary, need, free, each int64, found int) string {
	elsewhere := "free some space, or choose an output_dir on another disk"
	now := kept(c, sum.Steps, sum.Course.From) - found
	if now <= 0 {
		return elsewhere
	}
	for limit := now - 2; limit >= 1; limit-- {
		less := *c
		less.SaveTotalLimit = limit
		if n := max(0, kept(&less, sum.Steps, sum.Course.From)-found); need-int64(now-n)*each <= free {
			return fmt.Sprintf("set save_total_limit: %d, %s; or choose an output_dir on another disk", limit, elsewhere[:len("free some space")])
		}
	}
	if need-int64(now)*each <= free {
		return "set save_steps: 0, which saves the trained model only; or " + elsewhere
	}
	return elsewhere
}
