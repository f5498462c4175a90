package job

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"

	"lomo/internal/checkpoint"
	"lomo/internal/comm"
	"lomo/internal/config"
	"lomo/internal/cpukern"
	"lomo/internal/cudakern"
	"lomo/internal/device"
	"lomo/internal/fault"
)

// Driver finds what device: cuda takes its cards from. Tests put a simulated machine there.
var Driver = cudakern.Installed

// compute is where a model is computed: the keys device, devices and threads of a run.
type compute struct {
	Device  string // cpu or cuda, once settled
	Devices int
	Threads int
}

func computeOf(c *config.Config) compute { return compute{c.Device, c.Devices, c.Threads} }

// settle makes auto a cuda or a cpu, and refuses cuda where its cards cannot be had. offloads are the places weights and block inputs
// are put: a card's are never on disk.
func (c *compute) settle(note func(format string, args ...any), offloads ...string) error {
	if c.Device == "cpu" {
		return nil
	}
	drv, err := Driver()
	if c.Device == "auto" {
		c.Device = "cpu"
		if err != nil {
			return nil // no card: the CPU is what auto means then
		}
		if n := drv.Count(); n < c.Devices {
			note("device: auto: this machine has %d usable GPUs, the run wants %d devices: it runs on the CPU", n, c.Devices)
			return nil
		}
		for _, o := range offloads {
			if o == "disk" {
				note("device: auto: offload to disk is for the CPU, so it runs there")
				return nil
			}
		}
		c.Device = "cuda"
		return nil
	}
	if err != nil {
		advice := "set device: cpu, which trains the same models; `lomo doctor` says what is in the way"
		if !cudakern.Available {
			advice = "build one with `make cuda` (docs/gpu.md), or set device: cpu, which trains the same models; `lomo train --dry-run` and `lomo memprofile` plan for cards without one"
		}
		return &UsageError{hint(advice, "device: cuda: %w", err)}
	}
	if n := drv.Count(); n < c.Devices {
		return &UsageError{hint(fmt.Sprintf("set devices: %d or fewer; CUDA_VISIBLE_DEVICES hides cards", n), "devices: %d: this machine has %d usable GPUs", c.Devices, n)}
	}
	return nil
}

// noteMissing says why a plan for cards is all that this machine can do.
func (c *compute) noteMissing(note func(format string, args ...any), cards Cards) {
	plan := "the plan is for " + fault.Number(c.Devices, "GPU")
	if cards.DeviceMemory > 0 {
		plan += " of " + checkpoint.FormatSize(cards.DeviceMemory) + " (--device-memory)"
	}
	drv, err := Driver()
	switch {
	case !cudakern.Available && err != nil:
		note("note: this build has no CUDA; %s", plan)
	case err != nil:
		note("note: %v; %s", err, plan)
	case drv.Count() < c.Devices:
		note("note: this machine has %s; %s", fault.Number(drv.Count(), "usable GPU"), plan)
	}
}

// cardMemory is the bytes of the smallest of the cards.
func (c *compute) cardMemory() (least int64, err error) {
	drv, err := Driver()
	if err != nil {
		return 0, err
	}
	for i := range c.Devices {
		card, err := drv.Open(i)
		if err != nil {
			return 0, fmt.Errorf("open GPU %d: %w", i, err)
		}
		_, total, err := card.Memory()
		if err = errors.Join(err, card.Close()); err != nil {
			return 0, fmt.Errorf("memory of GPU %d: %w", i, err)
		}
		if i == 0 || total < least {
			least = total
		}
	}
	return least, nil
}

// open opens the device of a rank with an arena of capacity bytes; 0 is as much as there is.
func (c *compute) open(rank int, capacity int64) (device.Device, error) {
	if c.Device != "cuda" {
		d, err := cpukern.Open(cpukern.Options{Threads: rankThreads(c.Threads, c.Devices), Capacity: capacity})
		if errors.Is(err, syscall.ENOMEM) {
			return nil, advise("something limits the memory of the process: raise it (`ulimit -v` shows it, in KiB), or take a smaller plan (`lomo memprofile`)", err)
		}
		if err != nil {
			return nil, &UsageError{err}
		}
		return d, nil
	}
	drv, err := Driver()
	if err != nil {
		return nil, err
	}
	d, err := cudakern.Open(drv, rank, cudakern.Options{Capacity: capacity})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// openAll opens the devices of all ranks, each with an arena of capacity bytes. close closes them.
func (c *compute) openAll(capacity int64) (devices []device.Device, closeAll func(), err error) {
	closeAll = func() {
		for _, d := range devices {
			d.Close() //nolint:errcheck // what matters of a device was reported by Sync
		}
	}
	for rank := range c.Devices {
		d, err := c.open(rank, capacity)
		if err != nil {
			closeAll()
			return nil, func() {}, err
		}
		devices = append(devices, d)
	}
	return devices, closeAll, nil
}

// group is what the ranks on these devices say to each other with.
func group(devices []device.Device) ([]comm.Comm, error) {
	if len(devices) == 1 {
		return []comm.Comm{comm.Single()}, nil
	}
	var cards []*cudakern.Device
	for _, d := range devices {
		if card, ok := d.(*cudakern.Device); ok {
			cards = append(cards, card)
		}
	}
	if len(cards) == 0 {
		return comm.NewLocal(len(devices)), nil
	}
	return cudakern.NewComm(cards)
}

// noteLibraries says which of NVIDIA's libraries take part, and why one that was found does not.
func noteLibraries(note func(format string, args ...any), devices []device.Device, ranks []comm.Comm) {
	if card, ok := devices[0].(*cudakern.Device); ok {
		switch name, refused := card.Library(); {
		case refused != nil:
			note("cuBLAS is not used (LOMO_CUBLAS=off leaves it out): %v", refused)
		case name != "":
			note("%s makes plain matrix products: it agrees with lomo's own", name)
		}
	}
	switch name, refused := cudakern.Collectives(ranks[0]); {
	case refused != nil:
		note("NCCL is not used (LOMO_NCCL=off leaves it out): %v", refused)
	case name != "":
		note("%s moves what the cards send to each other: it agrees with lomo's own copies", name)
	}
}

// rankThreads is the threads of each of a number of ranks that share this machine; 0 is all it has.
func rankThreads(threads, ranks int) int {
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	return max(1, threads/ranks)
}
