package report

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// TestExtremeNumbers: whatever numbers a metrics.jsonl holds, a page is made at once, and no coordinate of it is Inf or NaN.
func TestExtremeNumbers(t *testing.T) {
	for i, values := range [][]float64{
		{0}, {0, 0, 0}, {-1, -1}, {1e308, -1e308, 0}, {math.MaxFloat64, 1}, {5e-324, 1e308}, {1e-30, 1e-30}, {1, math.NaN(), 1}, {math.Inf(1), 2}, {math.Inf(-1), math.NaN()},
		{1e15, 1e15 + 1}, {-1e-9, 1e-9}, {3, 3 + 1e-13},
	} {
		for _, at := range []func(int) int{func(i int) int { return i + 1 }, func(int) int { return 7 }, func(i int) int { return -i }, func(i int) int { return math.MaxInt64 - 1000 + i }} {
			c := &Curves{}
			for k := range 30 {
				v := Number(values[k%len(values)])
				c.Step(Step{Step: at(k), Epoch: v, Loss: v, LR: v, GradNorm: &v, TokS: v, StepMS: v, MemBytes: int64(k) << 40, PeakBytes: math.MaxInt64, SeenTokens: math.MaxInt64})
				c.Eval(Eval{Step: at(k), Loss: v, Perplexity: v})
			}
			for _, steps := range []int{0, -5, math.MaxInt64} {
				p := Page{Title: "x", State: Running, AsOf: time.Unix(0, 0), Curves: c, Run: Run{Steps: steps, Planned: math.MaxInt64}}
				text, err := p.render()
				if err != nil {
					t.Fatalf("case %d: %v", i, err)
				}
				for _, not := range []string{"NaN", "Inf\"", "+Inf", "-Inf", "ZgotmplZ"} {
					if at := strings.Index(string(text), not); at >= 0 {
						t.Fatalf("case %d, values %v, %d steps: %q in …%s…", i, values, steps, not, text[max(0, at-200):at+50])
					}
				}
				if len(text) > 1<<20 {
					t.Errorf("case %d: %d bytes", i, len(text))
				}
				if rows := (Comparison{Pages: []Page{p, p}}).Results(); len(rows) == 0 {
					t.Error(fmt.Sprint(rows))
				}
			}
		}
	}
}
