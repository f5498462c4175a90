package cli

import (
	"testing"
	"time"
)

// TestProgressLine: what does not fit a terminal is left out, the least needed first.
func TestProgressLine(t *testing.T) {
	start := time.Unix(0, 0)
	marks := []mark{{start, 0}, {start.Add(10 * time.Second), 100 << 20}}
	for width, want := range map[int]string{
		120: " 37%  100 MiB of 269 MiB  10.0 MiB/s  16.0 s left", 43: " 37%  100 MiB of 269 MiB  10.0 MiB/s", 40: " 37%  100 MiB of 269 MiB  10.0 MiB/s", 24: " 37%  100 MiB of 269 MiB", 10: " 37%", 1: " 37%",
	} {
		if got := progressLine(100<<20, 269<<20, marks, width); got != want {
			t.Errorf("%d columns: %q, want %q", width, got, want)
		}
	}
	if got := progressLine(0, 269<<20, marks[:1], 80); got != "  0%  0 B of 269 MiB" {
		t.Errorf("at the beginning: %q", got)
	}
	if got := progressLine(5, 5, []mark{{start, 5}, {start.Add(time.Second), 5}}, 80); got != "100%  5 B of 5 B  0 B/s" {
		t.Errorf("at the end: %q", got)
	}
}
