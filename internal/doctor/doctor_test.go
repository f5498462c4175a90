package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lomo/internal/cudakern/driver"
	"lomo/internal/cudakern/sim"
)

// root is a machine with two of NVIDIA's cards, the second on half its lanes, and a sound chip that is no card.
func root(t *testing.T, more map[string]string) string {
	t.Helper()
	files := map[string]string{
		"proc/meminfo":                          "MemTotal:       65536000 kB\nMemFree:  1 kB\nMemAvailable:   32768000 kB\n",
		"sys/fs/cgroup/memory.max":              "max\n",
		"usr/lib/x86_64-linux-gnu/libnccl.so.2": "",
	}
	for at, width := range map[string]string{"0000:01:00.0": "16", "0000:02:00.0": "8"} {
		dir := "sys/bus/pci/devices/" + at + "/"
		files[dir+"vendor"], files[dir+"class"], files[dir+"numa_node"] = "0x10de\n", "0x030000\n", "1\n"
		files[dir+"current_link_width"], files[dir+"max_link_width"] = width+"\n", "16\n"
		files[dir+"current_link_speed"], files[dir+"max_link_speed"] = "8.0 GT/s PCIe\n", "16.0 GT/s PCIe\n"
	}
	files["sys/bus/pci/devices/0000:01:00.1/vendor"], files["sys/bus/pci/devices/0000:01:00.1/class"] = "0x10de\n", "0x040300\n"
	for path, text := range more {
		files[path] = text
	}
	dir := t.TempDir()
	for path, text := range files {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func host(t *testing.T, drv driver.Driver, err error, more map[string]string) Host {
	return Host{Built: true, Driver: func() (driver.Driver, error) { return drv, err }, Root: root(t, more), Dir: t.TempDir()}
}

func TestCards(t *testing.T) {
	m := sim.New(sim.Options{Cards: 2, Peers: true})
	defer m.Close()
	d, err := m.Open(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Alloc(5e9); err != nil { // another program
		t.Fatal(err)
	}
	m.Lose(1, 1)
	r := Look(host(t, m, nil, map[string]string{"sys/module/nvidia/version": "550.54.14\n"}))
	if len(r.Cards) != 2 || r.CUDA.Boards != 2 || r.CUDA.Version != 12040 || r.CUDA.Module != "550.54.14" {
		t.Fatalf("%+v", r)
	}
	c := r.Cards[1]
	want := Link{Speed: "8.0 GT/s PCIe", Width: 8, MaxSpeed: "16.0 GT/s PCIe", MaxWidth: 16, Node: 1}
	if c.Link != want || c.Compute != "8.6" || c.Total != 24e9 || c.Free <= 23e9 || !slices.Equal(c.Peers, []int{0}) {
		t.Errorf("card 1: %+v", c)
	}
	if r.Memory.Total != 65536000<<10 || r.Memory.Available != 32768000<<10 || r.Memory.Limit != -1 {
		t.Errorf("memory %+v", r.Memory)
	}
	if !strings.HasSuffix(r.Libraries[0].Path, "libnccl.so.2") || r.Libraries[1].Path != "" {
		t.Errorf("libraries %+v", r.Libraries)
	}
	if nccl, cublas := r.Libraries[0].Use, r.Libraries[1].Use; !strings.HasPrefix(nccl, "used where it agrees") || cublas != "not used: not found" {
		t.Errorf("nccl %q, cublas %q", nccl, cublas)
	}
	wantProblems(t, r, "GPU 0: other programs hold 5.0 of its 22.4 GiB", "GPU 1: PCIe runs x8 of x16")
}

// wantProblems compares the problems but for that of a nearly full disk, which the machine of the test may have.
func wantProblems(t *testing.T, r *Report, want ...string) {
	t.Helper()
	var got []string
	for _, p := range r.Problems {
		if p.Fix == "" {
			t.Errorf("%q has no fix", p.What)
		}
		if !strings.Contains(p.What, " GiB free: ") {
			got = append(got, p.What)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("problems %q, want %q", got, want)
	}
}

// TestLibraries: why a library is not used.
func TestLibraries(t *testing.T) {
	m := sim.New(sim.Options{Cards: 1})
	defer m.Close()
	h := host(t, m, nil, nil)
	for _, c := range []struct{ env, want string }{
		{"", "not used: it takes 2 cards, this machine has 1"},
		{"LOMO_NCCL=off", "not used: LOMO_NCCL=off"},
		{"LOMO_NCCL=libother.so", "not used: LOMO_NCCL=libother.so is not found"},
	} {
		h.Env = []string{"LOMO_NCCL=", c.env}
		if got := Look(h).Libraries[0].Use; got != c.want {
			t.Errorf("%s: %q, want %q", c.env, got, c.want)
		}
	}
	h.Env, h.Built = nil, false
	if got := Look(h).Libraries[0].Use; got != "not used: this build of lomo has no CUDA" {
		t.Errorf("without CUDA: %q", got)
	}
}

// old is a driver that is too old, with a card that is too.
type old struct{ *sim.Machine }

func (old) Version() int                        { return 11040 }
func (o old) Open(i int) (driver.Device, error) { d, err := o.Machine.Open(i); return pascal{d}, err }

type pascal struct{ driver.Device }

func (p pascal) Info() driver.Info { i := p.Device.Info(); i.Major = 6; return i }

func TestProblems(t *testing.T) {
	none := errors.New("no driver here")
	m := sim.New(sim.Options{Cards: 1})
	defer m.Close()
	wantProblems(t, Look(host(t, nil, none, nil)), "no driver here: 2 cards on the PCI bus, and the kernel has no nvidia module")
	wantProblems(t, Look(host(t, nil, none, map[string]string{"sys/module/nvidia/version": "1"})), "no driver here")
	wantProblems(t, Look(host(t, old{m}, nil, nil)), "the driver knows CUDA 11.4, the kernels need 11.8", "GPU 0: compute capability 6.6, the kernels need 8.0")
	h := host(t, nil, none, nil)
	h.Built = false
	wantProblems(t, Look(h), "this build of lomo has no CUDA, and the machine has 2 NVIDIA cards")
	h.Root = t.TempDir()
	wantProblems(t, Look(h)) // a machine without cards
	r := Look(host(t, nil, none, map[string]string{"sys/fs/cgroup/memory.max": "4294967296"}))
	if r.Memory.Limit != 4<<30 {
		t.Errorf("container's limit: %+v", r.Memory)
	}
}
