package comm_test

import (
	"testing"

	"lomo/internal/comm"
	"lomo/internal/commtest"
	"lomo/internal/cpukern"
	"lomo/internal/device"
)

// TestLocal: fewer rows than ranks, uneven ones, even ones, and several messages.
func TestLocal(t *testing.T) {
	commtest.Suite(t, func(t *testing.T, size int) commtest.Group {
		g := commtest.Group{Comms: comm.NewLocal(size)}
		for _, c := range g.Comms {
			d, err := cpukern.Open(cpukern.Options{Capacity: 16 << 20, Threads: 1})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close(); d.Close() })
			g.Devices = append(g.Devices, device.Device(d))
		}
		return g
	}, 1, 7, 16, 200_001)
}

func TestRows(t *testing.T) {
	for _, n := range []int{1, 5, 8, 24, 49152} {
		for _, size := range []int{1, 2, 3, 8} {
			at := 0
			for r := range size {
				r0, r1 := comm.Rows(n, size, r)
				if r0 != at || r1 < r0 || r1-r0 > comm.Each(n, size) {
					t.Fatalf("%d rows on %d: rank %d owns [%d, %d), the one before ends at %d", n, size, r, r0, r1, at)
				}
				at = r1
			}
			if at != n {
				t.Errorf("%d rows on %d: %d are owned", n, size, at)
			}
		}
	}
}
