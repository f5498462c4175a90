package device

import (
	"errors"
	"strings"
	"testing"
)

func TestArenaPeak(t *testing.T) {
	a := NewArena("test", 0)
	take := func(owner string, n int64) {
		t.Helper()
		if _, err := a.Take(owner, owner, n); err != nil {
			t.Fatal(err)
		}
	}
	take("weights", 100) // 128 with alignment
	m := a.Mark()
	a.SetPhase("forward")
	take("activations", 640)
	a.Release(m)
	a.SetPhase("backward")
	take("activations", 320)
	take("gradient", 640)
	a.Release(m)
	a.SetPhase("after")
	take("gradient", 64)
	peak, phase, owners := a.Peak()
	if peak != 128+320+640 || phase != "backward" {
		t.Errorf("peak %d in %q, want %d in backward", peak, phase, 128+320+640)
	}
	if owners["weights"] != 128 || owners["activations"] != 320 || owners["gradient"] != 640 || len(owners) != 3 {
		t.Errorf("owners at the peak: %v", owners)
	}
	if got := a.OwnerPeak("activations"); got != 640 {
		t.Errorf("activations held at most %d, want 640", got)
	}
	if a.Used() != 192 {
		t.Errorf("in use: %d, want 192", a.Used())
	}
}

func TestArenaFull(t *testing.T) {
	a := NewArena("test", 256)
	if _, err := a.Take("weights", "w", 200); err != nil {
		t.Fatal(err)
	}
	_, err := a.Take("activations", "gate", 1)
	var oom *OutOfMemoryError
	if !errors.As(err, &oom) || oom.Want != 1 || oom.Used != 256 || oom.Capacity != 256 {
		t.Fatalf("got %v", err)
	}
	for _, s := range []string{`"gate"`, "activations", "weights"} {
		if !strings.Contains(strings.Join(append(oom.Detail(), err.Error()), "\n"), s) {
			t.Errorf("message and table lack %s: %v", s, err)
		}
	}
}
