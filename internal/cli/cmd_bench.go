package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lomo/internal/bench"
	"lomo/internal/cpukern"
	"lomo/internal/preset"
	"lomo/internal/tensor"
)

// benchOptions is what `lomo bench` was asked to do.
type benchOptions struct {
	Models  []string // presets
	Threads int      // 0: all
	Quick   bool
	JSON    bool
}

func newBenchCmd(io *Streams, run func(*Streams, *benchOptions) error) *cobra.Command {
	var o benchOptions
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure this machine and every kernel on it",
		Long: `Bench measures what this machine can do at most, the multiply-adds of each CPU level and
the memory's bandwidth, and then every kernel of a training step at the shapes of a model:
how fast it is and what share of the peak (products, attention) or of the bandwidth (all
others) that makes. LOMO_CPU holds the kernels to a lower level.

Each figure is the fastest of several calls, so run it on an idle machine. A kernel runs on
the same tensors again and again: where they fit in the caches it can pass the bandwidth.
It takes under a minute and, as matrices are made one shape at a time, 1 GB for llama-7b.
--json prints one object a line, whose "kind" is machine, peak, bandwidth or kernel.`,
		Example: `  lomo bench
  lomo bench --model-shape 135m --quick
  LOMO_CPU=avx2 lomo bench --threads 1 --json`,
		RunE: func(c *cobra.Command, _ []string) error {
			for _, m := range o.Models {
				if !preset.Has(m) {
					return usage("`lomo new --help` lists them", "--model-shape %q is no preset", m)
				}
			}
			if o.Threads < 0 {
				return usage(seeHelp(c), "--threads %d is below 0", o.Threads)
			}
			return run(io, &o)
		},
	}
	f := c.Flags()
	f.StringSliceVar(&o.Models, "model-shape", []string{"135m", "llama-7b"}, "the `presets` whose shapes are measured")
	f.IntVar(&o.Threads, "threads", 0, "threads to use; 0: all")
	f.BoolVar(&o.Quick, "quick", false, "a rough answer in a few seconds")
	f.BoolVar(&o.JSON, "json", false, "print one JSON object a line")
	return c
}

// effort is how long and how large a measurement is.
type effort struct {
	budget time.Duration // of one kernel
	tokens int           // at most
	buffer int64         // bytes of each of the two buffers of the memory's test
}

var (
	fullEffort  = effort{50 * time.Millisecond, 1024, 256 << 20}
	quickEffort = effort{time.Millisecond, 64, 64 << 20}
)

func runBench(s *Streams, o *benchOptions) error {
	out := newBenchOutput(s, o.JSON)
	e := fullEffort
	if o.Quick {
		e = quickEffort
	}
	d, err := cpukern.Open(cpukern.Options{Threads: o.Threads})
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // its memory goes with the process
	out.add(benchLine{Kind: "machine", Device: d.Name(), CPU: cpukern.CPU(), Threads: d.Threads(), Version: version()})
	limits, err := bench.Measure(d, e.buffer)
	if err != nil {
		return err
	}
	if err := addPeaks(out, limits, d.Threads()); err != nil {
		return err
	}
	out.add(benchLine{Kind: "bandwidth", Op: "copy", GBs: limits.Copy / 1e9})
	out.add(benchLine{Kind: "bandwidth", Op: "triad", GBs: limits.Triad / 1e9})
	for _, name := range o.Models {
		if err := addKernels(out, d, limits, name, e); err != nil {
			return fmt.Errorf("kernels of %s: %w", name, err)
		}
	}
	return out.close()
}

// addPeaks measures the levels of this machine; that of the device is known.
func addPeaks(out *benchOutput, own bench.Limits, threads int) error {
	for _, level := range cpukern.Levels() {
		flops := own.FLOPS
		if level != thisBuild().CPULevel {
			d, err := cpukern.Open(cpukern.Options{Threads: threads, Level: level, Capacity: 1 << 20})
			if err != nil {
				return err
			}
			flops = map[tensor.DType]float64{}
			for _, dt := range bench.DTypes {
				flops[dt] = d.PeakFLOPS(dt)
			}
			_ = d.Close()
		}
		for _, dt := range bench.DTypes {
			out.add(benchLine{Kind: "peak", Level: level, DType: dtypeName(dt), GFLOPS: flops[dt] / 1e9})
		}
	}
	return nil
}

// addKernels measures every kernel at the shapes of one preset.
func addKernels(out *benchOutput, d *cpukern.Device, l bench.Limits, name string, e effort) error {
	m, err := preset.Config(name)
	if err != nil {
		return err
	}
	o := bench.Options{Model: m, Tokens: bench.Rows(m, l.FLOPS[tensor.F32], e.tokens), Budget: e.budget}
	return bench.Run(d, o, func(r bench.Result) error {
		line := benchLine{Kind: "kernel", Model: name, Tokens: o.Tokens, Kernel: r.Kernel, Shape: r.Shape, DType: dtypeName(r.DType),
			US: float64(r.Time.Nanoseconds()) / 1e3}
		if r.FLOPs > 0 {
			line.GFLOPS, line.PeakShare = r.Rate()/1e9, r.Share(l)
		} else {
			line.GBs, line.BandwidthShare = r.Rate()/1e9, r.Share(l)
		}
		out.add(line)
		return out.err
	})
}

func dtypeName(dt tensor.DType) string { return strings.ToLower(dt.String()) }
