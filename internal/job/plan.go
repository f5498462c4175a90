package job

import (
	"fmt"

	"lomo/internal/config"
	"lomo/internal/cpukern"
	"lomo/internal/memprof"
	"lomo/internal/model"
	"lomo/internal/train"
)

// runtimeBytes is what the program itself keeps resident beside device memory: code, Go heap and stacks. Measured 27 to 33 MB
// with a vocabulary of 49,152.
const runtimeBytes = 30 << 20

// Plan counts the memory of a run before anything is loaded.
func Plan(o train.Options, c *config.Config, evalLen int) (*memprof.Profile, error) {
	h := memprof.Host{Ranks: c.Devices, Runtime: runtimeBytes,
		Workspace: int64(c.Devices) * cpukern.WorkspaceBytes(rankThreads(c.Threads, c.Devices))}
	rows := 0
	if evalLen > 0 {
		rows = c.MicroBatchSize
	}
	p, err := memprof.Run(o, h, rows, evalLen)
	if err != nil {
		return nil, err
	}
	limit, err := size("memory_limit", c.MemoryLimit)
	if err != nil {
		return nil, err
	}
	if limit > 0 && p.Peak > limit {
		return nil, &UsageError{hint("lower micro_batch_size or sequence_len, set gradient_checkpointing: true, or choose lomo or adalomo",
			"the plan needs %d bytes, memory_limit is %d; the largest holder is %s with %d", p.Peak, limit, p.Rows()[0].Owner, p.Rows()[0].Bytes)}
	}
	return p, nil
}

// PlanOnly is Plan for a configuration without its data: sequences are as long as sequence_len allows.
func PlanOnly(c *config.Config, m *model.Config) (*memprof.Profile, error) {
	o, err := trainOptions(c, m)
	if err != nil {
		return nil, err
	}
	if m.MaxPositions < o.SequenceLen {
		return nil, &UsageError{fmt.Errorf("sequence_len %d: the model knows %d positions (max_position_embeddings)", o.SequenceLen, m.MaxPositions)}
	}
	evalLen := 0
	if len(c.EvalDatasets) > 0 || c.ValSetSize > 0 {
		evalLen = c.SequenceLen
	}
	return Plan(o, c, evalLen)
}
