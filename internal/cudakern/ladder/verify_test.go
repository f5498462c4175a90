//go:build cuda && linux

package ladder

import (
	"testing"

	"lomo/internal/cudakern/driver"
	"lomo/internal/verify"
)

// two are the first cards of a machine.
type two struct{ driver.Driver }

func (two) Count() int { return 2 }

// TestVerify: what `lomo verify --device cuda --quick` looks at agrees, through the real binding.
func TestVerify(t *testing.T) {
	t.Setenv("LOMO_CUBLAS", "off")
	r, err := verify.Machine(verify.Options{Driver: two{installed(t)}, Quick: true, Temp: t.TempDir(), Note: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Problems {
		t.Error(p)
	}
	if len(r.Cards) != 2 || len(r.Runs) != 4 || len(r.Groups) != 3 {
		t.Errorf("%d cards, %d runs, %d collectives", len(r.Cards), len(r.Runs), len(r.Groups))
	}
}
