// Package verify shows on a machine what the tests show without it: every kernel of a device against its twin on the host, with its speed; for cards the
// ways between host and cards, and collectives; and a short training run beside the host's. Its report is one text to attach to a bug report.
package verify

import (
	"fmt"
	"runtime"
	"time"

	"lomo/internal/bench"
	"lomo/internal/cpukern"
	"lomo/internal/cudakern"
	"lomo/internal/cudakern/driver"
	"lomo/internal/device"
	"lomo/internal/model"
	"lomo/internal/model/families"
)

// Options say what is verified, and how much.
type Options struct {
	Driver driver.Driver // of the cards; nil: the host's kernels at their level against plain Go
	Quick  bool          // small shapes and one call each: the answer without the speed
	Temp   string        // folder for the tiny model that is trained
	Note   func(format string, args ...any)
}

// Report is what was found. Rates are bytes or floating-point operations a second, times seconds.
type Report struct {
	Device   string   `json:"device"`
	OS, Arch string   `json:"-"`
	Driver   int      `json:"driver_version,omitempty"` // 12040 for CUDA 12.4
	Took     float64  `json:"took_s"`
	Quick    bool     `json:"quick"`
	Cards    []Card   `json:"cards,omitempty"`
	Kernels  []Kernel `json:"kernels"`
	Speeds   []Speed  `json:"speeds,omitempty"`
	Links    []Link   `json:"links,omitempty"`
	Groups   []Group  `json:"collectives,omitempty"`
	Runs     []Run    `json:"training"`
	Problems []string `json:"problems"`
	started  time.Time
}

// Card is one of the machine.
type Card struct {
	driver.Info
	Free, Total int64
	BF16, F32   float64 // peak
	Memory      float64 // peak
	Library     string  // that makes plain products; "": our own kernels do
}

// Kernel is one kernel of the device beside its twin; see bench.Comparison.
type Kernel struct {
	Kernel string  `json:"kernel"`
	Shape  string  `json:"shape"`
	DType  string  `json:"dtype"`
	Error  float64 `json:"error"`
	Bound  float64 `json:"bound"`
	OK     bool    `json:"ok"`
}

// Speed is a kernel at the shapes of a model.
type Speed struct {
	Kernel string  `json:"kernel"`
	Shape  string  `json:"shape"`
	DType  string  `json:"dtype"`
	Time   float64 `json:"time_s"`
	FLOPS  float64 `json:"flop_s,omitempty"`
	Bytes  float64 `json:"bytes_s,omitempty"`
	Share  float64 `json:"share"` // of the peak, or of the memory's bandwidth
}

func (r *Report) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// shapes of the comparison: grouped heads, tails in every tile, and whole tiles.
func small() *model.Config {
	return &model.Config{VocabSize: 72, HiddenSize: 64, IntermediateSize: 96, NumAttentionHeads: 4, NumKeyValueHeads: 2, HeadDim: 16, RMSNormEps: 1e-5, Layers: families.Llama}
}

func medium() *model.Config {
	return &model.Config{VocabSize: 1000, HiddenSize: 512, IntermediateSize: 1400, NumAttentionHeads: 4, NumKeyValueHeads: 2, HeadDim: 128, RMSNormEps: 1e-5, Layers: families.Llama}
}

// seven is LLaMA-7B, whose kernels are timed.
func seven() *model.Config {
	return &model.Config{VocabSize: 32000, HiddenSize: 4096, IntermediateSize: 11008, NumAttentionHeads: 32, NumKeyValueHeads: 32, HeadDim: 128, RMSNormEps: 1e-6, Layers: families.Llama}
}

// Arenas: what the comparisons hold, and the largest group of bench at the shapes of 7B with a few thousand tokens.
const (
	quickArena = 96 << 20
	fullArena  = 3 << 30
	fullTokens = 2048
)

// Machine verifies the machine: what differs or fails is in the report's Problems; an error is only what keeps it from looking.
func Machine(o Options) (*Report, error) {
	r := &Report{OS: runtime.GOOS, Arch: runtime.GOARCH, Quick: o.Quick, Problems: []string{}, started: time.Now()}
	twin, err := cpukern.Open(cpukern.Options{Capacity: fullArena, Level: twinLevel(o)})
	if err != nil {
		return nil, err
	}
	defer twin.Close() //nolint:errcheck // its memory goes with the process
	if o.Driver == nil {
		err = r.host(o, twin)
	} else {
		err = r.cards(o, twin)
	}
	r.Took = time.Since(r.started).Seconds()
	return r, err
}

// twinLevel is plain Go for the host's kernels; a card's twin may be the host's fastest, which is held to plain Go by itself.
func twinLevel(o Options) string {
	if o.Driver == nil {
		return "generic"
	}
	return ""
}

func (r *Report) host(o Options, twin device.Device) error {
	d, err := cpukern.Open(cpukern.Options{Capacity: fullArena})
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // its memory goes with the process
	r.Device = d.Name()
	if err := r.compare(o, d, twin); err != nil {
		return err
	}
	if !o.Quick {
		if err := r.speeds(o, d, bench.Rows(seven(), d.PeakFLOPS(bench.DTypes[0]), 512)); err != nil {
			return err
		}
	}
	return r.training(o, d, twin)
}

func (r *Report) cards(o Options, twin device.Device) error {
	r.Driver = o.Driver.Version()
	capacity := int64(fullArena)
	if o.Quick {
		capacity = quickArena
	}
	var cards []*cudakern.Device
	defer func() {
		for _, d := range cards {
			d.Close() //nolint:errcheck // the report is made
		}
	}()
	for i := range o.Driver.Count() {
		d, err := cudakern.Open(o.Driver, i, cudakern.Options{Capacity: capacity})
		if err != nil {
			r.problem("GPU %d: %v", i, err)
			continue
		}
		cards = append(cards, d)
		free, total, err := d.Card().Memory()
		if err != nil {
			r.problem("GPU %d: %v", i, err)
		}
		memory, _, _ := d.Bandwidth(0)
		library, refused := d.Library()
		if refused != nil {
			r.problem("GPU %d: cuBLAS is not used: %v", i, refused)
		}
		r.Cards = append(r.Cards, Card{Info: d.Info(), Library: library, Free: free, Total: total, BF16: d.PeakFLOPS(bench.DTypes[0]), F32: d.PeakFLOPS(bench.DTypes[1]), Memory: memory})
	}
	if len(cards) == 0 {
		return fmt.Errorf("no card can be opened: %v", r.Problems)
	}
	r.Device = cards[0].Name()
	for i, d := range cards {
		if err := r.card(o, i, d, twin); err != nil {
			r.problem("GPU %d: %v", d.Info().Index, err)
		}
	}
	r.links(o, cards)
	r.collectives(o, cards)
	return r.training(o, cards[0], twin)
}

// card compares every card's kernels, and times those of the first: cards of one kind differ in faults, hardly in speed.
func (r *Report) card(o Options, i int, d *cudakern.Device, twin device.Device) error {
	if i > 0 {
		o.Quick = true
	}
	if err := r.compare(o, d, twin); err != nil {
		return err
	}
	if o.Quick {
		return nil
	}
	return r.speeds(o, d, fullTokens)
}

// compare holds every kernel to its twin.
func (r *Report) compare(o Options, d, twin device.Device) error {
	shapes := []*model.Config{small()}
	if !o.Quick {
		shapes = append(shapes, medium())
	}
	for i, c := range shapes {
		o.Note("comparing every kernel of %s with %s, hidden size %d", d.Name(), twin.Name(), c.HiddenSize)
		err := bench.Compare(d, twin, bench.Options{Model: c, Tokens: []int{70, 333}[i]}, func(c bench.Comparison) error {
			r.Kernels = append(r.Kernels, Kernel{Kernel: c.Kernel, Shape: c.Shape, DType: c.DType.String(), Error: c.Error, Bound: c.Bound, OK: c.OK()})
			if !c.OK() {
				r.problem("%s: %s %s %v: an element is %g, its twin %g (error %.2g, at most %.2g; %.1f%% of the elements differ)",
					d.Name(), c.Kernel, c.Shape, c.DType, c.Got, c.Want, c.Error, c.Bound, 100*c.Differ)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// speeds times every kernel at the shapes of LLaMA-7B.
func (r *Report) speeds(o Options, m bench.Machine, tokens int) error {
	o.Note("timing every kernel of %s, %d tokens of LLaMA-7B", m.Name(), tokens)
	limits, err := bench.Measure(m, 256<<20)
	if err != nil {
		return err
	}
	return bench.Run(m, bench.Options{Model: seven(), Tokens: tokens, Budget: 50 * time.Millisecond}, func(k bench.Result) error {
		s := Speed{Kernel: k.Kernel, Shape: k.Shape, DType: k.DType.String(), Time: k.Time.Seconds(), Share: k.Share(limits)}
		if k.FLOPs > 0 {
			s.FLOPS = k.Rate()
		} else {
			s.Bytes = k.Rate()
		}
		r.Speeds = append(r.Speeds, s)
		return nil
	})
}
