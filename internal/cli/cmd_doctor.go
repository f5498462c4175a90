package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"lomo/internal/cpukern"
	"lomo/internal/cudakern"
	"lomo/internal/doctor"
	"lomo/internal/report"
)

// doctorOptions is what `lomo doctor` was asked to do.
type doctorOptions struct{ JSON bool }

func newDoctorCmd(io *Streams, run func(*Streams, *doctorOptions) error) *cobra.Command {
	var o doctorOptions
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine offers, what is in the way, and what to do about it",
		Long: `Doctor looks at the build, the processor, memory, the disk of the working folder, the NVIDIA
driver, each card (memory, compute capability, PCIe link, which other cards it can address) and
the libraries that are used when found. Each problem comes with what to do about it. A card is
opened for the look, so it takes a second a card.

--json prints one object; sizes are in bytes, -1 where a limit is none.`,
		Example: `  lomo doctor
  lomo doctor --json | jq .problems`,
		RunE: func(*cobra.Command, []string) error { return run(io, &o) },
	}
	c.Flags().BoolVar(&o.JSON, "json", false, "print one JSON object")
	return c
}

// doctorLine is the report with the program it comes from.
type doctorLine struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	*doctor.Report
}

func runDoctor(s *Streams, o *doctorOptions) error {
	b := thisBuild()
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	r := doctor.Look(doctor.Host{
		CPU:    doctor.CPU{Name: cpukern.CPU(), Threads: runtime.GOMAXPROCS(0), Level: b.CPULevel, Levels: b.CPULevels},
		Built:  cudakern.Available,
		Driver: cudakern.Installed,
		Env:    s.Env, Root: "/", Dir: dir,
	})
	if o.JSON {
		return json.NewEncoder(s.Out).Encode(doctorLine{b.Version, b.Go, r})
	}
	return writeDoctor(s.Out, b, r)
}

// writeDoctor prints the report for people.
func writeDoctor(w io.Writer, b build, r *doctor.Report) error {
	lines := [][2]string{
		{"lomo", fmt.Sprintf("%s (%s, %s/%s), %s CUDA", b.Version, b.Go, r.OS, r.Arch, map[bool]string{true: "with", false: "without"}[r.CUDA.Built])},
		{"cpu", fmt.Sprintf("%s, %d threads, level %s (this machine has %s)", r.CPU.Name, r.CPU.Threads, r.CPU.Level, strings.Join(r.CPU.Levels, ", "))},
		{"memory", memoryLine(r.Memory)},
		{"disk", fmt.Sprintf("%s free of %s at %s", report.Bytes(r.Disk.Free), report.Bytes(r.Disk.Total), r.Disk.Path)},
		{"driver", driverLine(r.CUDA)},
	}
	for _, c := range r.Cards {
		lines = append(lines, [2]string{fmt.Sprintf("gpu %d", c.Index), cardLine(c)})
	}
	for _, l := range r.Libraries {
		text := l.Use
		if l.Path != "" {
			text = l.Path + ": " + text
		}
		if strings.HasPrefix(l.Use, "not used") {
			text += "; lomo's own " + l.For + " are"
		}
		lines = append(lines, [2]string{l.Name, text})
	}
	for _, p := range r.Problems {
		lines = append(lines, [2]string{"problem", p.What}, [2]string{"  fix", p.Fix})
	}
	if len(r.Problems) == 0 {
		lines = append(lines, [2]string{"problems", "none"})
	}
	for _, l := range lines {
		if _, err := fmt.Fprintf(w, "%-9s %s\n", l[0], l[1]); err != nil {
			return err
		}
	}
	return nil
}

func memoryLine(m doctor.Memory) string {
	line := fmt.Sprintf("%s available of %s", report.Bytes(m.Available), report.Bytes(m.Total))
	if m.Limit >= 0 {
		line += ", at most " + report.Bytes(m.Limit) + " in this container"
	}
	switch {
	case m.Locked < 0:
		line += "; locked memory: no limit"
	case m.Locked > 0:
		line += "; locked memory: " + report.Bytes(m.Locked) + " (ulimit -l; the driver's pinned memory does not count)"
	}
	return line
}

func driverLine(c doctor.CUDA) string {
	if c.Error != "" {
		return c.Error
	}
	line := fmt.Sprintf("%s, CUDA %s", c.Driver, doctor.Version(c.Version))
	if c.Module != "" {
		line += ", kernel module " + c.Module
	}
	return line
}

func cardLine(c doctor.Card) string {
	if c.Error != "" {
		return c.Name + ": " + c.Error
	}
	peers := "no other card can be addressed"
	if len(c.Peers) > 0 {
		peers = "addresses " + strings.Trim(fmt.Sprint(c.Peers), "[]")
	}
	line := fmt.Sprintf("%s, compute capability %s, %s free of %s, PCI %s", c.Name, c.Compute, report.Bytes(c.Free), report.Bytes(c.Total), c.PCI)
	if l := c.Link; l.Width > 0 {
		line += fmt.Sprintf(", %s x%d (at most %s x%d)", l.Speed, l.Width, l.MaxSpeed, l.MaxWidth)
	}
	return line + ", " + peers
}
