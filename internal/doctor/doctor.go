// Package doctor says what this machine offers a run: processor, memory, disk, driver, cards and libraries; and what stands in
// the way, with what to do about it. It opens the cards and nothing else.
package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"lomo/internal/cudakern/driver"
)

// Report is what was found. Bytes are bytes.
type Report struct {
	OS        string    `json:"os"`
	Arch      string    `json:"arch"`
	CPU       CPU       `json:"cpu"`
	Memory    Memory    `json:"memory"`
	Disk      Disk      `json:"disk"`
	CUDA      CUDA      `json:"cuda"`
	Cards     []Card    `json:"cards"`
	Libraries []Library `json:"libraries"`
	Problems  []Problem `json:"problems"`
}

// CPU is the processor. Level is the one in use of Levels.
type CPU struct {
	Name    string   `json:"name"`
	Threads int      `json:"threads"`
	Level   string   `json:"level"`
	Levels  []string `json:"levels"`
}

// Memory is the host's. Limits are -1 where there is none, and 0 where the system does not say.
type Memory struct {
	Total     int64 `json:"total_bytes"`
	Available int64 `json:"available_bytes"`
	Limit     int64 `json:"cgroup_limit_bytes"` // of the container
	Locked    int64 `json:"locked_limit_bytes"` // ulimit -l
}

// Disk is the file system of the working folder.
type Disk struct {
	Path  string `json:"path"`
	Free  int64  `json:"free_bytes"`
	Total int64  `json:"total_bytes"`
}

// CUDA is the build and the driver.
type CUDA struct {
	Built   bool   `json:"built"`
	Driver  string `json:"driver"`  // the library's file, "" if none was opened
	Version int    `json:"version"` // 12040 for CUDA 12.4
	Module  string `json:"module"`  // version of the kernel's module, "" if none is loaded
	Boards  int    `json:"boards"`  // NVIDIA display controllers on the PCI bus
	Error   string `json:"error"`   // why no card can be used
}

// Card is one that the driver offers.
type Card struct {
	Index   int    `json:"index"`
	Name    string `json:"name"`
	UUID    string `json:"uuid"`
	Compute string `json:"compute_capability"`
	Free    int64  `json:"memory_free_bytes"`
	Total   int64  `json:"memory_total_bytes"`
	PCI     string `json:"pci"`
	Link    Link   `json:"pcie"`
	Peers   []int  `json:"peers"` // cards whose memory it can address
	Error   string `json:"error,omitempty"`
}

// Link is a card's way to the host, as it is now and at most. Zero where the system does not say; the speed falls while a card idles.
type Link struct {
	Speed    string `json:"speed"`
	Width    int    `json:"width"`
	MaxSpeed string `json:"max_speed"`
	MaxWidth int    `json:"max_width"`
	Node     int    `json:"numa_node"` // -1: none
}

// Library is one that is used when found.
type Library struct {
	Name string `json:"name"`
	For  string `json:"for"`
	Path string `json:"path"` // "" if it was not found
	Use  string `json:"use"`  // whether a run takes it, and why not
}

// Problem is something in the way of a run on this machine.
type Problem struct {
	What string `json:"what"`
	Fix  string `json:"fix"`
}

// Host is what the caller knows and this package does not ask: the program's build, and how to reach the driver.
type Host struct {
	CPU    CPU
	Built  bool // with CUDA
	Driver func() (driver.Driver, error)
	Env    []string
	Root   string // of /proc and /sys, "/" outside tests
	Dir    string // where runs would be written
}

// Look finds out.
func Look(h Host) *Report {
	r := &Report{OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: h.CPU, Memory: h.memory(), Disk: disk(h.Dir), Cards: []Card{}, Problems: []Problem{}}
	r.CUDA = CUDA{Built: h.Built, Module: h.module(), Boards: h.boards()}
	if drv, err := h.Driver(); err != nil {
		r.CUDA.Error = err.Error()
	} else {
		h.cards(r, drv)
	}
	r.Libraries = []Library{
		h.use(r, "nccl", "copies between cards", 2, "libnccl.so.2"),
		h.use(r, "cublas", "matrix products", 1, "libcublas.so.13", "libcublas.so.12", "libcublas.so.11"),
	}
	r.Problems = append(r.Problems, problems(r)...)
	return r
}

// use is a library that runs on so many cards or more take under one of some file names, or as its variable says.
func (h Host) use(r *Report, name, what string, cards int, files ...string) Library {
	l, key := Library{Name: name, For: what}, "LOMO_"+strings.ToUpper(name)
	asked := h.env(key)
	switch {
	case asked == "off":
	case asked == "":
		l.Path = h.library(files...)
	case exists(asked) || h.library(asked) != "":
		l.Path = asked
	}
	switch {
	case asked == "off":
		l.Use = "not used: " + key + "=off"
	case !h.Built:
		l.Use = "not used: this build of lomo has no CUDA"
	case l.Path == "" && asked != "":
		l.Use = fmt.Sprintf("not used: %s=%s is not found", key, asked)
	case l.Path == "":
		l.Use = "not used: not found"
	case len(r.Cards) < cards:
		l.Use = fmt.Sprintf("not used: it takes %d cards, this machine has %d", cards, len(r.Cards))
	default:
		l.Use = "used where it agrees with lomo's own at the start of a run; " + key + "=off leaves it out"
	}
	return l
}

// env is a variable of the environment, the last where it is set twice.
func (h Host) env(key string) (value string) {
	for _, e := range h.Env {
		if v, ok := strings.CutPrefix(e, key+"="); ok {
			value = v
		}
	}
	return value
}

// cards opens each card for a look.
func (h Host) cards(r *Report, drv driver.Driver) {
	r.CUDA.Version = drv.Version()
	if l, ok := drv.(interface{ Library() string }); ok {
		r.CUDA.Driver = l.Library()
	}
	open := make([]driver.Device, drv.Count())
	for i := range open {
		d, err := drv.Open(i)
		if err != nil {
			r.Cards = append(r.Cards, Card{Index: i, Error: err.Error(), Peers: []int{}})
			continue
		}
		open[i] = d
		defer d.Close() //nolint:errcheck // nothing was done with it
		r.Cards = append(r.Cards, h.card(d))
	}
	for i, d := range open {
		for j, other := range open {
			if i != j && d != nil && other != nil && d.CanAccessPeer(other) {
				r.Cards[i].Peers = append(r.Cards[i].Peers, j)
			}
		}
	}
}

func (h Host) card(d driver.Device) Card {
	i := d.Info()
	c := Card{Index: i.Index, Name: i.Name, UUID: i.UUID, Compute: compute(i.Major, i.Minor), PCI: i.PCI, Link: h.link(i.PCI), Peers: []int{}}
	var err error
	if c.Free, c.Total, err = d.Memory(); err != nil {
		c.Error = err.Error()
	}
	return c
}

// library is the first file found of some names, in the folders that the loader looks through.
func (h Host) library(names ...string) string {
	var folders []string
	for _, e := range h.Env {
		if list, ok := strings.CutPrefix(e, "LD_LIBRARY_PATH="); ok {
			folders = filepath.SplitList(list)
		}
	}
	for _, f := range []string{"usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib64", "usr/lib", "lib64", "usr/local/lib", "usr/local/cuda/lib64", "opt/cuda/lib64"} {
		folders = append(folders, filepath.Join(h.Root, f))
	}
	for _, name := range names {
		for _, f := range folders {
			if path := filepath.Join(f, name); f != "" && exists(path) {
				return path
			}
		}
	}
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
