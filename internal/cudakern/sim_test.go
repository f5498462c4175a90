package cudakern

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"lomo/internal/cudakern/sim"
	"lomo/internal/device"
	"lomo/internal/devtest"
)

// Rung 1 of the ladder: the embedded PTX runs on the interpreter, with all its checks, against the references that the host's
// kernels are held to.

// launched is the kernels that the tests of this package have launched.
var (
	launchedLock sync.Mutex
	launched     = map[string]bool{}
)

// watch notes the kernels that d launches, also those of a channel's goroutine.
func watch(d *Device) {
	d.launched = func(kernel string) {
		launchedLock.Lock()
		defer launchedLock.Unlock()
		launched[kernel] = true
	}
}

// TestMain fails a whole run in which some kernel was never launched: every kernel of the embedded PTX belongs to rung 1.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 && flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.list").Value.String() == "" {
		for _, name := range Kernels() {
			if !launched[name] {
				fmt.Printf("FAIL: no test has launched the kernel %s\n", name)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// openSim is card 0 of a fresh simulated machine.
func openSim(t testing.TB, so sim.Options, o Options) *Device {
	t.Helper()
	if o.Capacity == 0 {
		o.Capacity = 64 << 20
	}
	if so.Cards == 0 {
		so.Cards = 1
	}
	m := sim.New(so)
	t.Cleanup(func() { m.Close() }) //nolint:errcheck // a machine of a test
	d, err := Open(m, 0, o)
	if err != nil {
		t.Fatal(err)
	}
	watch(d)
	return d
}

// twice are the cases whose sums go over many blocks: run again, with the queued work in another order, they must give the same bits.
var twice = []string{"MatMul", "OuterUpdateExact", "SumSq", "ColumnSum", "RMSNorm", "RowsUpdate", "Softmax", "AdaLomoMatrix", "AdaLomoVector"}

// TestSuite runs the suite with tensors at odd addresses and at aligned ones.
func TestSuite(t *testing.T) {
	run := func(name string, so sim.Options, options ...devtest.Option) (sums map[string]devtest.Digest) {
		t.Run(name, func(t *testing.T) {
			sums = devtest.Suite(t, func(t *testing.T) device.Device {
				return openSim(t, so, Options{PoisonReleased: true})
			}, append(options, devtest.Small)...)
		})
		return sums
	}
	run("odd", sim.Options{})
	first := run("aligned", sim.Options{}, devtest.Aligned)
	again := run("again", sim.Options{Order: 7}, devtest.Aligned, devtest.Only(twice...))
	for _, name := range twice {
		if a, b := first[name], again[name]; a != b && len(first) > 1 && len(again) > 1 { // both have run
			t.Errorf("%s: a second run gives other bits", name)
		}
	}
}
