package report

import (
	"fmt"
	"strings"
)

// Line is a step as one reads it:
//
//	step 400/2000  loss 1.8342  |g| 0.71  lr 1.9e-02  8.4k tok/s  21.3 GiB  61% of peak
func (s Step) Line() string {
	parts := []string{fmt.Sprintf("step %d/%d", s.Step, s.Total), fmt.Sprintf("loss %.4f", s.Loss)}
	parts = append(parts, s.rest()...)
	return strings.Join(parts, "  ")
}

func (s Step) rest() []string {
	var parts []string
	if s.GradNorm != nil {
		parts = append(parts, fmt.Sprintf("|g| %.2f", *s.GradNorm))
	}
	parts = append(parts, fmt.Sprintf("lr %.1e", s.LR), Count(float64(s.TokS))+" tok/s")
	if s.MemBytes > 0 {
		parts = append(parts, Bytes(s.MemBytes))
	}
	if s.MFU != nil {
		parts = append(parts, fmt.Sprintf("%.0f%% of peak", 100**s.MFU))
	}
	if s.Skipped {
		parts = append(parts, "skipped: not finite")
	}
	return parts
}

// Line is an evaluation as one reads it.
func (e Eval) Line() string {
	return fmt.Sprintf("step %d  eval loss %.4f  perplexity %.2f  (%d tokens)", e.Step, e.Loss, e.Perplexity, e.Tokens)
}
