// Package report shows a run: step lines or a progress bar on a terminal, metrics.jsonl, tables, and report.html.
// It knows nothing of how the numbers are made.
package report

import (
	"fmt"
	"math"
	"time"

	"lomo/internal/checkpoint"
)

// Bytes writes a byte count in binary units: 512 B, 1.50 KiB, 21.3 GiB.
func Bytes(n int64) string { return checkpoint.FormatSize(n) }

// Count writes a number of tokens, weights or tokens a second: 812, 8.4k, 134.5M, 6.74G.
func Count(n float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(n) >= u.size {
			return fmt.Sprintf("%.*f%s", decimals(n/u.size), n/u.size, u.name)
		}
	}
	if n == math.Trunc(n) {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprintf("%.*f", decimals(n), n)
}

// decimals gives small numbers two places and those of three digits none.
func decimals(v float64) int {
	switch v = math.Abs(v); {
	case v < 9.995:
		return 2
	case v < 99.95:
		return 1
	}
	return 0
}

// Duration writes a time to the precision one plans with: 850 ms, 12.3 s, 3m20s, 1h02m, 2d04h.
func Duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// Clock writes a time in whole seconds, as a display that counts them does: 0 s, 12 s, 3m20s, 1h02m, 2d04h.
func Clock(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%d s", int(max(d, 0).Seconds()))
	}
	return Duration(d)
}
