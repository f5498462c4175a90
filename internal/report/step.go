package report

import (
	"fmt"
	"time"
)

// Line is a step as one reads it, as long as it gets:
//
//	step 400/2000  loss 1.8342  |g| 0.71  lr 1.9e-02  8.40k tok/s  21.3 GiB memory  61% of compute peak  elapsed 12m03s  left 48m10s
func (s Step) Line() string {
	fields := []Field{s.count()}
	fields = append(fields, s.fields()...)
	return joined(append(fields, s.times()...))
}

func (s Step) count() Field {
	return Field{Text: fmt.Sprintf("step %d/%d", s.Step, s.Total), Short: fmt.Sprintf("%d/%d", s.Step, s.Total), ShortRank: 3}
}

// fields are a step's numbers. A skipped step says so first, for that is what must not be missed.
func (s Step) fields() []Field {
	f := []Field{{Text: fmt.Sprintf("loss %.4f", s.Loss), Short: fmt.Sprintf("loss %.2f", s.Loss), Rank: 3, ShortRank: 4}}
	if s.GradNorm != nil {
		f = append(f, Field{Text: fmt.Sprintf("|g| %.2f", *s.GradNorm), Rank: 10})
	}
	f = append(f, Field{Text: fmt.Sprintf("lr %.1e", s.LR), Rank: 9}, Field{Text: Count(float64(s.TokS)) + " tok/s", Rank: 7})
	if s.MemBytes > 0 {
		f = append(f, Field{Text: Bytes(s.MemBytes) + " memory", Rank: 8})
	}
	if s.MFU != nil {
		f = append(f, Field{Text: fmt.Sprintf("%.0f%% of compute peak", 100**s.MFU), Rank: 11})
	}
	return f
}

// times are the clock's fields, and what is wrong with the step.
func (s Step) times() []Field {
	f := elapsedLeft(seconds(s.ProcessS), s.RemainingS)
	if s.Skipped {
		f = append(f, Field{Text: "skipped: not finite", Short: "skipped", Rank: 1})
	}
	return f
}

func elapsedLeft(elapsed time.Duration, left *Number) []Field {
	f := []Field{{Text: "elapsed " + Clock(elapsed), Rank: 5}}
	if elapsed <= 0 {
		f = nil
	}
	if left != nil {
		f = append(f, Field{Text: "left " + Clock(seconds(*left)), Rank: 1})
	}
	return f
}

func seconds(n Number) time.Duration { return time.Duration(float64(n) * float64(time.Second)) }

// Line is an evaluation as one reads it.
func (e Eval) Line() string { return joined(e.fields()) }

func (e Eval) fields() []Field {
	tokens := "tokens"
	if e.Tokens == 1 {
		tokens = "token"
	}
	return []Field{{Text: fmt.Sprintf("step %d", e.Step)}, {Text: fmt.Sprintf("eval loss %.4f", e.Loss), Short: fmt.Sprintf("eval %.4f", e.Loss), Rank: 1},
		{Text: fmt.Sprintf("perplexity %.2f", e.Perplexity), Rank: 2}, {Text: fmt.Sprintf("(%d %s)", e.Tokens, tokens), Rank: 3}}
}
