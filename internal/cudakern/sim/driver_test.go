package sim

import (
	"fmt"
	"testing"

	"lomo/internal/cudakern/drivertest"
)

func TestDriver(t *testing.T) {
	for _, o := range []Options{{}, {Order: 1, Peers: true}, {Cards: 1}} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			m := New(o)
			drivertest.Suite(t, m)
			check(t, m.Close())
		})
	}
}
