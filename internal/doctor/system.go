package doctor

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

func compute(major, minor int) string { return fmt.Sprintf("%d.%d", major, minor) }

// text is a file of /proc or /sys without its last newline, "" if there is none.
func (h Host) text(path string) string {
	b, err := os.ReadFile(filepath.Join(h.Root, path))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// HostMemory is the memory of the machine whose /proc and /sys are under root.
func HostMemory(root string) Memory { return Host{Root: root}.memory() }

// DiskOf is the file system of a folder, which must be there.
func DiskOf(dir string) Disk { return disk(dir) }

// memory reads /proc/meminfo, in kB there, and the container's limit.
func (h Host) memory() Memory {
	m := Memory{Limit: -1, Locked: lockedLimit()}
	lines := bufio.NewScanner(strings.NewReader(h.text("proc/meminfo")))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 2 {
			continue
		}
		kb, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			continue
		}
		switch f[0] {
		case "MemTotal:":
			m.Total = kb << 10
		case "MemAvailable:":
			m.Available = kb << 10
		}
	}
	for _, file := range []string{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		n, err := strconv.ParseInt(h.text(file), 10, 64)
		if err == nil && n < m.Total {
			m.Limit = n
		}
	}
	return m
}

// module is the version of the loaded kernel module.
func (h Host) module() string { return h.text("sys/module/nvidia/version") }

// boards counts NVIDIA's display controllers on the PCI bus, with a driver or without one.
func (h Host) boards() int {
	n := 0
	devices, _ := filepath.Glob(filepath.Join(h.Root, "sys/bus/pci/devices/*"))
	for _, d := range devices {
		at := strings.TrimPrefix(d, h.Root)
		if h.text(at+"/vendor") == "0x10de" && strings.HasPrefix(h.text(at+"/class"), "0x03") {
			n++
		}
	}
	return n
}

// link is how the card at a PCI address is attached.
func (h Host) link(pci string) Link {
	at := "sys/bus/pci/devices/" + strings.ToLower(pci) + "/"
	number := func(file string, unknown int) int {
		n, err := strconv.Atoi(h.text(at + file))
		if err != nil {
			return unknown
		}
		return n
	}
	return Link{
		Speed: h.text(at + "current_link_speed"), Width: number("current_link_width", 0),
		MaxSpeed: h.text(at + "max_link_speed"), MaxWidth: number("max_link_width", 0),
		Node: number("numa_node", -1),
	}
}
