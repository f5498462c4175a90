package job

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"lomo/internal/checkpoint"
	"lomo/internal/config"
	"lomo/internal/doctor"
	"lomo/internal/memprof"
	"lomo/internal/train"
)

// turn is one setting that takes less of the host's memory, and what it costs: more where a run becomes slower or another one.
type turn struct {
	cost  int
	apply func(c *config.Config)
	said  []string // settings, as --set takes them
}

// hostTurns are what may be turned, each list a choice of one or none. What is set already is not in them.
func hostTurns(c *config.Config) (axes [][]turn) {
	add := func(cost int, apply func(c *config.Config), said ...string) {
		axes = append(axes, []turn{{cost, apply, said}})
	}
	if !c.GradientCheckpointing {
		add(2, func(c *config.Config) { c.GradientCheckpointing = true }, "gradient_checkpointing=true")
	}
	var micro, lengths []turn
	for n, cost := c.MicroBatchSize/2, 1; n >= 1 && c.MicroBatchSize%n == 0; n, cost = n/2, cost+1 {
		k := c.GradientAccumulationSteps * c.MicroBatchSize / n
		micro = append(micro, turn{cost, func(c *config.Config) { c.MicroBatchSize, c.GradientAccumulationSteps = n, k },
			[]string{fmt.Sprintf("micro_batch_size=%d", n), fmt.Sprintf("gradient_accumulation_steps=%d", k)}})
	}
	for n, cost := c.SequenceLen/2, 12; n >= 64; n, cost = n/2, cost+3 {
		lengths = append(lengths, turn{cost, func(c *config.Config) { c.SequenceLen = n }, []string{fmt.Sprintf("sequence_len=%d", n)}})
	}
	axes = append(axes, micro, lengths)
	if c.Devices == 1 && c.ActivationOffload != "disk" {
		add(5, func(c *config.Config) { c.ActivationOffload = "disk" }, "activation_offload=disk")
	}
	optimizer := c.Optimizer
	if c.Optimizer == "adamw" || c.Optimizer == "sgd" && c.SGD.Momentum > 0 {
		axes = append(axes, []turn{{8, func(c *config.Config) { c.Optimizer = "adalomo" }, []string{"optimizer=adalomo"}},
			{9, func(c *config.Config) { c.Optimizer = "lomo" }, []string{"optimizer=lomo"}}})
		optimizer = "" // the disk takes the others only
	} else if c.Optimizer == "adalomo" {
		add(9, func(c *config.Config) { c.Optimizer = "lomo" }, "optimizer=lomo")
	}
	if c.Devices == 1 && c.Offload != "disk" && optimizer != "" {
		add(7, func(c *config.Config) { c.Offload = "disk" }, "offload=disk")
	} else if c.Devices == 1 && c.Offload != "disk" {
		add(7, func(c *config.Config) {
			if c.Optimizer != "adamw" {
				c.Offload = "disk"
			}
		}, "offload=disk")
	}
	return axes
}

// combined is some turns together.
type combined struct {
	cost  int
	turns []turn
}

func (x combined) apply(c *config.Config) {
	for _, t := range x.turns {
		t.apply(c)
	}
}

func (x combined) String() string {
	var said []string
	for _, t := range x.turns {
		said = append(said, t.said...)
	}
	return "--set " + strings.Join(said, " --set ")
}

// combinations are all choices of turns, the cheapest first, without the choice of none.
func combinations(axes [][]turn) []combined {
	all := []combined{{}}
	for _, axis := range axes {
		for _, x := range slices.Clone(all) {
			for _, t := range axis {
				all = append(all, combined{x.cost + t.cost, append(slices.Clone(x.turns), t)})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b combined) int { return cmp.Compare(a.cost, b.cost) })
	return all[1:]
}

// maxTries bounds the plans that are made to find a setting that fits.
const maxTries = 60

// wayBelow is what makes the run of c and o fit in so many bytes of the host's memory, in words: the nearest settings, or that none do.
func wayBelow(o train.Options, c *config.Config, evalLen int, limit int64) string {
	plan := func(x combined) *memprof.Profile {
		try := *c
		x.apply(&try)
		to, err := trainOptions(&try, o.Model)
		if err != nil {
			return nil
		}
		to.SequenceLen = min(to.SequenceLen, o.SequenceLen)
		p, err := planHost(to, &try, min(evalLen, to.SequenceLen))
		if err != nil {
			return nil
		}
		return p
	}
	axes := hostTurns(c)
	most := combined{} // of each the last
	for _, axis := range axes {
		if len(axis) > 0 {
			most.turns = append(most.turns, axis[len(axis)-1])
		}
	}
	if len(most.turns) == 0 {
		return "no setting of batch, length, checkpointing, optimizer or offload takes less: take a smaller model or a machine with more memory"
	}
	least := plan(most)
	if least == nil || least.Peak > limit {
		text := "no setting of batch, length, checkpointing, optimizer and offload fits"
		if least != nil {
			text += fmt.Sprintf(": %s still needs %s", most, checkpoint.FormatSize(least.Peak))
		}
		return text
	}
	all := combinations(axes)
	for _, x := range all[:min(len(all), maxTries)] {
		if p := plan(x); p != nil && p.Peak <= limit {
			return fmt.Sprintf("%s fits: %s", x, checkpoint.FormatSize(p.Peak))
		}
	}
	return fmt.Sprintf("%s fits: %s", most, checkpoint.FormatSize(least.Peak))
}

// tooLargeForHost refuses a plan above memory_limit.
func tooLargeForHost(o train.Options, c *config.Config, p *memprof.Profile, evalLen int, limit int64) error {
	return &UsageError{hint(wayBelow(o, c, evalLen, limit-p.Owners["data"]), "the plan needs %s and memory_limit is %s; most of it is for %s, %s",
		checkpoint.FormatSize(p.Peak), checkpoint.FormatSize(limit), p.Rows()[0].Owner, checkpoint.FormatSize(p.Rows()[0].Bytes))}
}

// hostMemory is the memory of this machine; tests put another there.
var hostMemory = func() doctor.Memory { return doctor.HostMemory("/") }

// warnMemory says that the machine has not the memory that a plan on the CPU needs. It warns only: what is free changes, and there may be swap.
func warnMemory(o train.Options, c *config.Config, p *memprof.Profile, evalLen int, note func(format string, args ...any)) {
	m := hostMemory()
	if c.Device == "cuda" || p == nil || m.Total <= 0 {
		return
	}
	has, what := m.Total, "this machine has"
	if m.Limit >= 0 && m.Limit < has {
		has, what = m.Limit, "this container may take"
	}
	if m.Available > 0 && m.Available < has {
		has, what = m.Available, "this machine has free"
		if p.Peak > m.Total {
			has, what = m.Total, "this machine has"
		}
	}
	if p.Peak > has {
		note("lomo: warning: the plan needs %s of memory, %s %s: the run would swap or be killed; %s", checkpoint.FormatSize(p.Peak), what, checkpoint.FormatSize(has),
			wayBelow(o, c, evalLen, has-p.Owners["data"]))
	}
}
