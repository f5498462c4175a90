package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"lomo/internal/bench"
	"lomo/internal/report"
)

// benchLine is one figure of `lomo bench`; Kind says which fields it has.
type benchLine struct {
	Kind string `json:"kind"` // machine, peak, bandwidth or kernel

	Device  string `json:"device,omitempty"`
	CPU     string `json:"cpu,omitempty"`
	Threads int    `json:"threads,omitempty"`
	Version string `json:"version,omitempty"`

	Level string `json:"level,omitempty"` // of a peak
	Op    string `json:"op,omitempty"`    // of a bandwidth: copy or triad

	Model  string `json:"model,omitempty"`
	Tokens int    `json:"tokens,omitempty"`
	Kernel string `json:"kernel,omitempty"` // a method of the device
	Shape  string `json:"shape,omitempty"`
	DType  string `json:"dtype,omitempty"` // of weights and activations

	US             float64 `json:"us,omitempty"` // of one call, in microseconds
	GFLOPS         float64 `json:"gflop_s,omitempty"`
	GBs            float64 `json:"gb_s,omitempty"`
	PeakShare      float64 `json:"peak_share,omitempty"`
	BandwidthShare float64 `json:"bandwidth_share,omitempty"`
}

// benchOutput prints lines as they come, as JSON, or all of them as tables at the end. The first failure sticks.
type benchOutput struct {
	w     io.Writer
	json  bool
	lines []benchLine
	err   error
}

func newBenchOutput(s *Streams, asJSON bool) *benchOutput {
	return &benchOutput{w: s.Out, json: asJSON}
}

func (o *benchOutput) add(l benchLine) {
	switch {
	case o.err != nil:
	case o.json:
		o.err = json.NewEncoder(o.w).Encode(l)
	default:
		o.lines = append(o.lines, l)
	}
}

func (o *benchOutput) close() error {
	if o.err == nil && !o.json {
		o.err = o.tables()
	}
	return o.err
}

// tables prints the machine, its limits, and one table of kernels a model.
func (o *benchOutput) tables() error {
	var machine, memory []string
	var peaks []benchLine
	var models []string
	kernels := map[string][]benchLine{}
	for _, l := range o.lines {
		switch l.Kind {
		case "machine":
			machine = append(machine, fmt.Sprintf("%s, %d threads, %s, lomo %s", l.Device, l.Threads, l.CPU, l.Version))
		case "peak":
			peaks = append(peaks, l)
		case "bandwidth":
			memory = append(memory, fmt.Sprintf("%s %.1f GB/s", l.Op, l.GBs))
		case "kernel":
			title := fmt.Sprintf("%s, %d tokens", l.Model, l.Tokens)
			if kernels[title] == nil {
				models = append(models, title)
			}
			kernels[title] = append(kernels[title], l)
		}
	}
	fmt.Fprintf(o.w, "%s\n\n", strings.Join(machine, "\n"))
	err := sideBySide([]string{"peak of level"}, []string{"GFLOP/s"}, peaks, benchLine.peakCells).Write(o.w)
	fmt.Fprintf(o.w, "\nmemory: %s\n", strings.Join(memory, ", "))
	for _, title := range models {
		if err == nil {
			fmt.Fprintln(o.w)
			err = sideBySide([]string{title, "shape"}, []string{"", "share"}, kernels[title], benchLine.kernelCells).Write(o.w)
		}
	}
	return err
}

func (l benchLine) peakCells() (key, figures []string) {
	return []string{l.Level}, []string{fmt.Sprintf("%.1f", l.GFLOPS)}
}

func (l benchLine) kernelCells() (key, figures []string) {
	rate := fmt.Sprintf("%.1f GB/s", l.GBs)
	if l.GFLOPS > 0 {
		rate = fmt.Sprintf("%.1f GFLOP/s", l.GFLOPS)
	}
	return []string{l.Kernel, l.Shape}, []string{rate, fmt.Sprintf("%.0f%%", 100*max(l.PeakShare, l.BandwidthShare))}
}

// sideBySide is a table whose rows have the same figures for each of the measured types. cells gives a line's row and figures.
func sideBySide(names, figures []string, lines []benchLine, cells func(benchLine) (key, figures []string)) *report.Table {
	t := &report.Table{Header: slices.Clone(names), Right: make([]bool, len(names))}
	column := map[string]int{}
	for _, dt := range bench.DTypes {
		column[dtypeName(dt)] = len(t.Header)
		for _, f := range figures {
			t.Header = append(t.Header, strings.TrimSpace(dtypeName(dt)+" "+f))
			t.Right = append(t.Right, true)
		}
	}
	rows := map[string][]string{}
	for _, l := range lines {
		key, figures := cells(l)
		row := rows[strings.Join(key, " ")]
		if row == nil {
			row = append(key, make([]string, len(t.Header)-len(key))...)
			rows[strings.Join(key, " ")] = row
			t.Rows = append(t.Rows, row)
		}
		copy(row[column[l.DType]:], figures)
	}
	return t
}
