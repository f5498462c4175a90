package job

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"lomo/internal/checkpoint"
	"lomo/internal/config"
	"lomo/internal/cudakern"
	"lomo/internal/memprof"
	"lomo/internal/model"
	"lomo/internal/train"
)

// Cards is what a plan for GPUs takes as given of each: no card needs to be there.
type Cards struct {
	DeviceMemory int64     // bytes of a card; 0: no limit
	HostMemory   int64     // bytes of the machine that may be pinned; 0: no limit
	TFLOPS       float64   // memprof.Rates
	MemoryGBps   float64   // of the card's own memory
	LinkGBps     []float64 // a step time is predicted for each
}

// DefaultCards is the RTX 3090 in a box without peer access: 24 GB; 42 of the 71 TFLOP/s that its tensor cores do in bf16
// with float32 sums; 800 of the 936 GB/s of its memory; and 6 or 3 GB/s each way to host memory and the other cards, as such
// boxes report.
func DefaultCards() Cards {
	return Cards{DeviceMemory: 24e9, TFLOPS: 42, MemoryGBps: 800, LinkGBps: []float64{6, 3}}
}

// channels is how many channels ranks have between them: one to gather weights and one to sum gradients.
const channels = 2

// contextBytes is what the CUDA driver takes on a card for the process: context, code, local memory of threads.
const contextBytes = 500e6

// cardBeside is what a card holds beside the arena of its device.
func cardBeside() int64 { return contextBytes + cudakern.WorkspaceBytes }

// planCards is the plan of a run on cards: bytes of each, and the time of a step.
func planCards(o train.Options, c *config.Config, evalRows, evalLen int, a Cards) (*memprof.Profile, error) {
	m := memprof.Machine{Ranks: c.Devices, Cards: true, Beside: map[string]int64{
		"driver context": contextBytes, "kernel workspace": cudakern.WorkspaceBytes}}
	if c.Devices > 1 {
		m.Beside["communication"] = channels * cudakern.ChannelBytes
	}
	p, err := memprof.Run(o, m, evalRows, evalLen)
	if err != nil {
		return nil, err
	}
	for _, link := range a.LinkGBps {
		p.Steps = append(p.Steps, p.Predict(memprof.Rates{TFLOPS: a.TFLOPS, MemoryGBps: a.MemoryGBps, LinkGBps: link}))
	}
	return p, nil
}

// fits reports whether a plan keeps the limits.
func (a Cards) fits(p *memprof.Profile, ranks int) bool {
	return (a.DeviceMemory == 0 || p.Peak <= a.DeviceMemory) && (a.HostMemory == 0 || p.Pinned*int64(ranks) <= a.HostMemory)
}

// TooLargeError says that a plan does not fit a card or the host memory, and who needs what.
type TooLargeError struct {
	Profile *memprof.Profile
	Config  *config.Config
	Cards   Cards
	Model   *model.Config
	Fits    []string // settings that fit, as --set takes them; none found: empty
	With    *memprof.Profile
}

func (e *TooLargeError) Error() string {
	var b strings.Builder
	p, n := e.Profile, e.Config.Devices
	if e.Cards.DeviceMemory > 0 && p.Peak > e.Cards.DeviceMemory {
		fmt.Fprintf(&b, "the plan needs %s on each card, which has %s", checkpoint.FormatSize(p.Peak), checkpoint.FormatSize(e.Cards.DeviceMemory))
	} else {
		fmt.Fprintf(&b, "the plan needs %s of pinned host memory, of which there is %s", checkpoint.FormatSize(p.Pinned*int64(n)), checkpoint.FormatSize(e.Cards.HostMemory))
	}
	return b.String()
}

// Detail lists who holds how much, a line each.
func (e *TooLargeError) Detail() []string {
	var out []string
	for _, r := range e.Profile.Rows() {
		out = append(out, fmt.Sprintf("  %-18s %9s", r.Owner, checkpoint.FormatSize(r.Bytes)))
	}
	return append(out, fmt.Sprintf("  %-18s %9s, in %s", "together", checkpoint.FormatSize(e.Profile.Peak), e.Profile.At))
}

// Hint is the nearest setting that fits.
func (e *TooLargeError) Hint() string {
	if e.With == nil {
		return "no offloading, smaller micro-batches nor up to 8 devices make it fit: take a smaller model, a shorter sequence_len or larger cards"
	}
	return fmt.Sprintf("%s fits: %s on each card, %s of pinned host memory a rank, about %.0f tokens/s a card at %v GB/s",
		"--set "+strings.Join(e.Fits, " --set "), checkpoint.FormatSize(e.With.Peak), checkpoint.FormatSize(e.With.Pinned), e.With.Steps[0].TokS, e.With.Steps[0].LinkGBps)
}

// change is one setting that takes less memory. It returns what was set, "" when it does not apply.
type change func(c *config.Config) string

// changes are what may be turned, each on its own, in the order of what it costs.
func changes(c *config.Config) [][]change {
	none := change(func(*config.Config) string { return "" })
	offload := change(func(c *config.Config) string {
		if c.ActivationOffload != "none" {
			return ""
		}
		c.ActivationOffload = "host"
		return "activation_offload=host"
	})
	gather := change(func(c *config.Config) string {
		if c.Devices == 1 || c.Gather == "matrix" {
			return ""
		}
		c.Gather = "matrix"
		return "gather=matrix"
	})
	weights := change(func(c *config.Config) string {
		if c.Offload != "none" || c.Optimizer == "adamw" {
			return ""
		}
		c.Offload = "host"
		return "offload=host"
	})
	micro := []change{none}
	for n := c.MicroBatchSize / 2; n >= 1 && c.MicroBatchSize%n == 0; n /= 2 {
		micro = append(micro, func(c *config.Config) string {
			k := c.GradientAccumulationSteps * c.MicroBatchSize / n
			c.MicroBatchSize, c.GradientAccumulationSteps = n, k
			return fmt.Sprintf("micro_batch_size=%d --set gradient_accumulation_steps=%d", n, k)
		})
	}
	devices := []change{none}
	for n := 2 * c.Devices; n <= 8; n *= 2 {
		devices = append(devices, func(c *config.Config) string {
			set := fmt.Sprintf("devices=%d --set sharding=zero3", n)
			if c.Offload != "none" {
				set += " --set offload=none"
			}
			c.Devices, c.Sharding, c.Offload = n, "zero3", "none"
			return set
		})
	}
	return [][]change{{none, offload}, {none, gather}, micro, {none, weights}, devices}
}

// nearest looks for the fewest changes of c with which its plan fits, on as many devices if it can be, and among those for
// the fastest step.
func nearest(c *config.Config, m *model.Config, evalLen int, a Cards) (sets []string, best *memprof.Profile) {
	axes := changes(c)
	choice := make([]int, len(axes))
	least := math.MaxInt
	for next(choice, axes) {
		try, given := *c, []string{}
		for i, axis := range axes {
			if s := axis[choice[i]](&try); s != "" {
				given = append(given, s)
			}
		}
		cost := len(given)
		if try.Devices > c.Devices {
			cost += len(axes)
		}
		if len(given) == 0 || cost > least {
			continue
		}
		if p := tryPlan(&try, m, evalLen, a); p != nil && (cost < least || p.Steps[0].TokS > best.Steps[0].TokS) {
			sets, best, least = given, p, cost
		}
	}
	return sets, best
}

// next counts choice up through all combinations.
func next(choice []int, axes [][]change) bool {
	for i := range choice {
		if choice[i]++; choice[i] < len(axes[i]) {
			return true
		}
		choice[i] = 0
	}
	return false
}

// tryPlan is the plan of c when it fits.
func tryPlan(c *config.Config, m *model.Config, evalLen int, a Cards) *memprof.Profile {
	o, err := trainOptions(c, m)
	if err != nil {
		return nil
	}
	rows := 0
	if evalLen > 0 {
		rows = c.MicroBatchSize
	}
	a.LinkGBps = slices.Concat(a.LinkGBps, []float64{6})[:1]
	p, err := planCards(o, c, rows, evalLen, a)
	if err != nil || !a.fits(p, c.Devices) {
		return nil
	}
	return p
}
