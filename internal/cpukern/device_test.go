package cpukern

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"lomo/internal/device"
	"lomo/internal/devtest"
)

func TestMain(m *testing.M) {
	k, err := chooseLevel(os.Getenv("LOMO_CPU"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("cpukern: %s (levels here: %s)\n", k.name, strings.Join(Levels(), ", "))
	os.Exit(m.Run())
}

func openTest(t testing.TB, o Options) *Device {
	t.Helper()
	if o.Capacity == 0 {
		o.Capacity = 1 << 30
	}
	d, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestSuite runs the suite on every level of this machine with one, two and three threads, which must agree to the bit.
func TestSuite(t *testing.T) {
	for _, level := range Levels() {
		var first map[string]devtest.Digest
		for threads := 1; threads <= 3; threads++ {
			t.Run(fmt.Sprintf("%s/threads=%d", level, threads), func(t *testing.T) {
				got := devtest.Suite(t, func(t *testing.T) device.Device {
					return openTest(t, Options{Level: level, Threads: threads, PoisonReleased: threads == 2})
				})
				if first == nil {
					first = got
				}
				for name, sum := range got {
					if sum != first[name] {
						t.Errorf("%s: the bits differ from those with one thread", name)
					}
				}
			})
		}
	}
}
