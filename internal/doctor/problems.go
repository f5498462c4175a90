package doctor

import (
	"fmt"
	"strings"

	"lomo/internal/fault"
)

const (
	needVersion = 11080 // CUDA of the driver that reads PTX 7.8
	heldBytes   = 1 << 30
	leastDisk   = 20e9
	leastMemory = 1 << 30
)

// problems is what stands in the way of a run, worst first.
func problems(r *Report) []Problem {
	var all []Problem
	add := func(fix, format string, args ...any) {
		all = append(all, Problem{What: fmt.Sprintf(format, args...), Fix: fix})
	}
	c := r.CUDA
	switch {
	case !c.Built && c.Boards+len(c.Module) > 0:
		add("build one with `make cuda`", "this build of lomo has no CUDA, and the machine has %s", count(c.Boards, "NVIDIA card"))
	case !c.Built:
	case c.Error != "" && c.Boards > 0 && c.Module == "":
		add("install NVIDIA's driver (520 or later) and load its module (modprobe nvidia)", "%s: %s on the PCI bus, and the kernel has no nvidia module", c.Error, count(c.Boards, "card"))
	case c.Error != "" && c.Boards > 0:
		add("nvidia-smi says more; after an update of the driver, reboot; in a container, pass the cards on (--gpus all)", "%s", c.Error)
	case c.Error == "" && c.Version < needVersion:
		add("install driver 520 or later", "the driver knows CUDA %s, the kernels need 11.8", Version(c.Version))
	}
	for _, card := range r.Cards {
		all = append(all, cardProblems(card)...)
	}
	if m := r.Memory; m.Total > 0 && m.Available < leastMemory {
		add("end other programs, or train with offload: disk (docs/memory.md)", "%.1f of %.1f GiB of memory are free: AdaLomo on a model of 135M weights takes 0.6 GiB", gib(m.Available), gib(m.Total))
	}
	if d := r.Disk; d.Total > 0 && d.Free < leastDisk {
		add("write to another disk (output_dir), or keep fewer checkpoints (save_total_limit)", "%s has %.1f GiB free: a checkpoint of a 7B model takes 12.6 GiB", d.Path, gib(d.Free))
	}
	return all
}

func gib(n int64) float64 { return float64(n) / (1 << 30) }

func cardProblems(c Card) []Problem {
	var all []Problem
	add := func(fix, format string, args ...any) {
		all = append(all, Problem{What: fmt.Sprintf("GPU %d: ", c.Index) + fmt.Sprintf(format, args...), Fix: fix})
	}
	if c.Error != "" {
		add("see dmesg for Xid messages; nvidia-smi -r resets a card, or reboot", "%s", c.Error)
		return all
	}
	if strings.HasPrefix(c.Compute, "5.") || strings.HasPrefix(c.Compute, "6.") || strings.HasPrefix(c.Compute, "7.") {
		add("hide it with CUDA_VISIBLE_DEVICES; RTX 30 series, A100 and later will do", "compute capability %s, the kernels need 8.0", c.Compute)
	}
	if held := c.Total - c.Free; held > heldBytes {
		add("nvidia-smi lists who holds it: end them, or pick other cards with CUDA_VISIBLE_DEVICES", "other programs hold %.1f of its %.1f GiB", gib(held), gib(c.Total))
	}
	if l := c.Link; l.Width > 0 && l.Width < l.MaxWidth {
		add("look at the slot, the riser and the BIOS's lanes: transfers take longer in proportion", "PCIe runs x%d of x%d", l.Width, l.MaxWidth)
	}
	return all
}

// Version is a driver's version for people: 12.4.
func Version(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }

func count(n int, what string) string {
	if n == 0 {
		return what + "s' driver loaded"
	}
	return fault.Number(n, what)
}
