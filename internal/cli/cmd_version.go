package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lomo/internal/cpukern"
	"lomo/internal/cudakern"
)

// linkedVersion is what the linker gave, "" in a plain build.
var linkedVersion string

// versionOptions is what `lomo version` was asked to do.
type versionOptions struct{ JSON bool }

func newVersionCmd(io *Streams, run func(*Streams, *versionOptions) error) *cobra.Command {
	var o versionOptions
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version, and what this build can do on this machine",
		Long:  `Version prints the version of lomo, the Go release that built it, the CPU level in use and whether the build has CUDA.`,
		Example: `  lomo version
  lomo version --json`,
		RunE: func(*cobra.Command, []string) error { return run(io, &o) },
	}
	c.Flags().BoolVar(&o.JSON, "json", false, "print one JSON object")
	return c
}

// build describes this program on this machine.
type build struct {
	Version   string   `json:"version"`
	Go        string   `json:"go"`
	OS        string   `json:"os"`
	Arch      string   `json:"arch"`
	CPULevel  string   `json:"cpu_level"`  // in use
	CPULevels []string `json:"cpu_levels"` // this machine can run
	CUDA      bool     `json:"cuda"`
}

func thisBuild() build {
	b := build{Version: version(), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPULevels: cpukern.Levels(), CUDA: cudakern.Available}
	b.CPULevel = b.CPULevels[len(b.CPULevels)-1]
	if forced := strings.ToLower(os.Getenv("LOMO_CPU")); slices.Contains(b.CPULevels, forced) {
		b.CPULevel = forced
	}
	return b
}

// version is the linker's word, else the module's version or the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	switch {
	case linkedVersion != "":
		return linkedVersion
	case !ok:
		return "unknown"
	case info.Main.Version != "" && info.Main.Version != "(devel)":
		return info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "commit " + s.Value[:min(12, len(s.Value))]
		}
	}
	return "development"
}

func runVersion(s *Streams, o *versionOptions) error {
	b := thisBuild()
	if o.JSON {
		return json.NewEncoder(s.Out).Encode(b)
	}
	cuda := "no"
	if b.CUDA {
		cuda = "yes"
	}
	_, err := fmt.Fprintf(s.Out, "lomo %s (%s, %s/%s)\ncpu level: %s (this machine has %s)\ncuda: %s\n",
		b.Version, b.Go, b.OS, b.Arch, b.CPULevel, strings.Join(b.CPULevels, ", "), cuda)
	return err
}
