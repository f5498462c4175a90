package memprof

import (
	"math"
	"testing"

	"lomo/internal/memdev"
	"lomo/internal/tensor"
	"lomo/internal/train"
)

// TestWork: the work of a step on two ranks is the closed form: each weight takes 2 operations a token forward, 2 computed again
// (the last product of a block is left out), 4 backward; attention two products over the pairs of a causal sequence, and five.
func TestWork(t *testing.T) {
	o := options(t, "lomo", tensor.BF16, false, true, 1, 0)
	o.ReduceDType, o.SpillInputs = tensor.BF16, train.OnHost
	const ranks = 2
	p, err := Run(o, Machine{Ranks: ranks, Cards: true}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var sum memdev.Work
	var forward, again, head float64
	for _, w := range p.Work {
		switch {
		case w.Phase == "loss and head":
			head += w.Forward + w.Backward
		case w.Backward == 0:
			forward += w.Forward
		default:
			again += w.Forward
			sum.Backward += w.Backward
		}
		sum.In, sum.Out, sum.Gathered, sum.Reduced = sum.In+w.In, sum.Out+w.Out, sum.Gathered+w.Gathered, sum.Reduced+w.Reduced
	}
	const C, F, V, KV, L, B, T = 48, 112, 499, 24, 3, 3, 33
	const N = B * T
	block, down, table := float64(2*C*C+2*C*KV+3*C*F), float64(C*F), float64(V*C)
	pairs := 2 * float64(B*C) * T * (T + 1) / 2
	trained := float64(N - B) // the last token of each sequence has no label
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"forward", forward, L * (2*N*block + 2*pairs)},
		{"again", again, L * (2*N*(block-down) + 2*pairs)},
		{"backward", sum.Backward, L * (4*N*block + 5*pairs)},
		{"head", head, 6 * trained * table}, // logits, dX and the gradient
		{"spilled", float64(sum.Out), L * N * C * 2},
		{"fetched", float64(sum.In), 0}, // three buffers hold three block inputs
		{"tokens", float64(p.Tokens), N},
		{"sent", float64(p.Sent), float64(sum.Gathered + sum.Reduced)},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
	// Forward every block, backward all but the last, which is still there; the embedding and the head. Half of each is sent.
	half := func(rows, cols int) float64 { return float64((rows + 1) / 2 * cols) }
	blockHalf := 2*half(C, C) + 2*half(KV, C) + 2*half(F, C) + half(C, F)
	kept := 1.0
	if tableFits := 2*float64((V+1)/2*2*C) > 2*2*blockHalf+float64((V+1)/2*2*C); tableFits {
		kept = 2 // tables have a buffer of their own
	}
	if want := 2 * ((2*L-kept)*blockHalf + 2*half(V, C)); float64(sum.Gathered) != want {
		t.Errorf("gathered %d bytes, want %v", sum.Gathered, want)
	}
}

// TestPredict: phases take the longer of computing and moving, and sums of gradients come on top.
func TestPredict(t *testing.T) {
	p := &Profile{Tokens: 100, Work: []*memdev.Work{
		{Phase: "forward, block 0", Forward: 2e12, Gathered: 1e9},                          // 2 s of computing hide 1 s of moving
		{Phase: "loss and head", Forward: 1e12, Backward: 1e12, Elements: 1e9},             // 2 s and 1 s
		{Phase: "backward, block 0", Forward: 1e12, Backward: 2e12, In: 5e9, Reduced: 2e9}, // 5 s of moving hide 3, and 2 s of sums
		{Phase: "backward, embedding", Updates: 3e9},
	}}
	got := p.Predict(Rates{TFLOPS: 1, MemoryGBps: 1, LinkGBps: 1})
	want := StepTime{LinkGBps: 1, Seconds: 2 + 3 + 7 + 3, TokS: 100. / 15, Forward: 2, Recompute: 1, Backward: 2, Head: 2, Elements: 1, Update: 3,
		Gather: 1, Reduce: 2, Copies: 5}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	// Copies go both ways at once: the longer way counts, whichever it is.
	for _, c := range []struct {
		in, out int64
		want    float64
	}{{4e9, 1e9, 4}, {1e9, 4e9, 4}, {0, 3e9, 3}, {3e9, 3e9, 3}} {
		moving := &Profile{Tokens: 12, Work: []*memdev.Work{{Phase: "forward, block 0", Forward: 1e12, In: c.in, Out: c.out}}}
		if s := moving.Predict(Rates{TFLOPS: 1, MemoryGBps: 1, LinkGBps: 1}); s.Copies != c.want || s.Seconds != c.want || s.TokS != 12/c.want {
			t.Errorf("%d bytes in, %d out: %+v, want %v s", c.in, c.out, s, c.want)
		}
	}
	if half := p.Predict(Rates{TFLOPS: 1, MemoryGBps: 1, LinkGBps: 0.5}); math.Abs(half.Seconds-(2+3+14+3)) > 1e-9 {
		t.Errorf("at half the rate of the links: %v s", half.Seconds)
	}
}
