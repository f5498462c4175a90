package job

import (
	"testing"

	"lomo/internal/config"
	"lomo/internal/data"
	"lomo/internal/memdev"
	"lomo/internal/preset"
)

// TestEvaluationsCounted as train.Run makes them: before the first step, every eval_steps, and at the end once.
func TestEvaluationsCounted(t *testing.T) {
	for _, c := range []struct {
		every int
		start bool
		total int
		want  int
	}{{0, false, 10, 1}, {0, true, 10, 2}, {5, false, 10, 2}, {5, false, 11, 3}, {3, true, 3, 2}, {1, false, 4, 4}, {100, true, 4, 2}} {
		conf := config.Default()
		conf.EvalSteps, conf.EvalOnStart = c.every, c.start
		if got := evaluations(&conf, c.total); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

// TestForecastCounts: what makes a step longer counts.
func TestForecastCounts(t *testing.T) {
	m, err := preset.Config("smollm2-135m")
	if err != nil {
		t.Fatal(err)
	}
	asked := func(set func(*config.Config)) map[string]float64 {
		c := config.Default()
		c.Device, c.SequenceLen, c.MicroBatchSize = "cpu", 64, 2
		if set != nil {
			set(&c)
		}
		o, err := trainOptions(&c, m)
		if err != nil {
			t.Fatal(err)
		}
		s, err := sample(&c, o, nil)
		if err != nil {
			t.Fatal(err)
		}
		sum := map[string]float64{}
		for call, n := range s.steps {
			sum[call.Op] += n
		}
		sum["tokens"] = float64(s.tokens)
		return sum
	}
	plain := asked(nil)
	if kept := asked(func(c *config.Config) { c.GradientCheckpointing = false }); kept["MatMul"] >= plain["MatMul"] || kept["OuterUpdate"] != plain["OuterUpdate"] {
		t.Errorf("without computing again: %v, with it %v", kept["MatMul"], plain["MatMul"])
	}
	if clipped := asked(func(c *config.Config) { c.MaxGradNorm = 1 }); clipped["MatMulBackwardInput"] <= 1.5*plain["MatMulBackwardInput"] || clipped["OuterSumSq"] == 0 {
		t.Errorf("clipped: %v", clipped)
	}
	if two := asked(func(c *config.Config) { c.GradientAccumulationSteps = 2 }); two["tokens"] != 2*plain["tokens"] || two["Attention"] != 2*plain["Attention"] {
		t.Errorf("two micro-batches: %v, one %v", two, plain)
	}
	if adam := asked(func(c *config.Config) { c.Optimizer = "adamw" }); adam["AdamW"] < 100e6*(2*2+4*7) {
		t.Errorf("adamw: %v bytes", adam["AdamW"])
	}
}

// TestAttentionOfDocuments: short documents in a long sequence make less of attention, and nothing else.
func TestAttentionOfDocuments(t *testing.T) {
	b := data.Batch{B: 2, T: 512, Start: make([]int32, 1024)}
	for i := range b.Start {
		b.Start[i] = int32(i % 512 / 64 * 64)
	}
	sum := map[memdev.Call]float64{}
	addCalls(sum, map[memdev.Call]float64{{Op: "Attention"}: 1, {Op: "MatMul"}: 1}, []data.Batch{b})
	if a := sum[memdev.Call{Op: "Attention"}]; a < 1./8 || a > 1./3 || sum[memdev.Call{Op: "MatMul"}] != 1 {
		t.Errorf("%v", sum)
	}
}
