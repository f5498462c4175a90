package cudakern

import (
	"math"
	"strings"
	"testing"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// TestFactorSumsOfManyRows: a block that takes its rows in several chunks, with several warps, uses its shared sums again and again, which
// the shapes of the suite do not make it do. Without the barrier between two uses the checks of rung 1 find the race.
func TestFactorSumsOfManyRows(t *testing.T) {
	sums := func(b *both, m, n int) (rows, cols pair) {
		if _, rows := split(m, n); rows <= 32 {
			t.Fatalf("%d rows a range are one chunk", rows)
		}
		w, g := b.noise("w", tensor.BF16, 1, m, n), b.noise("g", tensor.F32, 1, m, n)
		rows, cols = b.new("rows", tensor.F32, m), b.new("cols", tensor.F32, n)
		stats := b.new("stats", tensor.F64, 4)
		b.card.FactorSums(rows.card, cols.card, stats.card, w.card, g.card, 1e-30, device.Step{})
		b.host.FactorSums(rows.host, cols.host, stats.host, w.host, g.host, 1e-30, device.Step{})
		return rows, cols
	}
	twin := func(t *testing.T, m, n int) {
		b := openBoth(t)
		rows, cols := sums(b, m, n)
		for what, p := range map[string]pair{"rows": rows, "cols": cols} {
			got := take(t, b.card, p.card)
			for i, want := range p.host.F32s() {
				if e := math.Abs(float64(got[i]/want) - 1); e > 1e-6 { // measured: 3.6e-7
					t.Fatalf("%s[%d] is %g, the host's %g", what, i, got[i], want)
				}
			}
		}
	}
	t.Run("twin", func(t *testing.T) { twin(t, 4100, 264) }) // 33 rows a range: a chunk of 32 and one more
	t.Run("wide", func(t *testing.T) {                       // with all warps, in one range, and a block for the rest of the columns
		shrink(t, &rangesMost, 1)
		twin(t, 70, 2061)
	})
	t.Run("without the barrier", func(t *testing.T) {
		ptxSource = swap(t, edited(t, "adalomo.ptx", "factor_sums", "bar.sync \t0;\n\tcvt.f64.f32", "cvt.f64.f32"))
		b := openBoth(t)
		sums(b, 4100, 264)
		if err := b.card.Sync(); err == nil || !strings.Contains(err.Error(), "no barrier") {
			t.Errorf("Sync: %v, want a fault about the barrier", err)
		}
	})
}
