package cudakern

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"testing"

	"lomo/internal/cudakern/sim"
	"lomo/internal/device"
	"lomo/internal/devtest"
	"lomo/internal/tensor"
)

// shrink gives v another value until the test ends.
func shrink[T any](t *testing.T, v *T, to T) {
	old := *v
	*v = to
	t.Cleanup(func() { *v = old })
}

// shrinkLaunches makes launches so small that loops of kernels go round at the sizes of the suite.
func shrinkLaunches(t *testing.T) {
	shrink(t, &flatBlock, dim{32, 1, 1})
	shrink(t, &flatBlocks, 3)
	shrink(t, &rowBlocks, 2)
	shrink(t, &rowWarps, 1)
	shrink(t, &tallBlocks, 2)
	shrink(t, &loneBlock, dim{32, 1, 1})
	shrink(t, &reduceMost, 40) // more than flatBlock has threads
	shrink(t, &rowsMost, 3)
	shrink(t, &normMost, 50)
	shrink(t, &rangesMost, 7)
	shrink(t, &rangeRows, 2)
	shrink(t, &sequenceBytes, 100)
	shrink(t, &largestShare, 100)
}

// inPieces are the cases of the suite whose launches shrinkLaunches makes smaller.
var inPieces = []string{"ZeroAndCopy", "OuterAdd", "OuterUpdateExact", "OuterUpdateNaN", "OuterUpdateInf", "OuterUpdateOverflow", "OuterUpdateNaNBF16",
	"Update", "UpdateNaN", "UpdateSlices", "StochasticMean", "SumSq", "AbsMax", "AddRow", "ColumnSum", "AddScaled", "RMSNorm", "RoPE", "SwiGLU", "GeGLU",
	"GatherScatterRows", "Route", "SumRows", "ScaleRows", "RowDots", "RowsAddAndSumSq", "RowsUpdate", "Softmax", "SoftCap", "AdaLomoMatrix", "AdaLomoSlices", "AdaLomoMatrixZeroGradient", "AdaLomoMatrixNaN", "AdaLomoVector", "AdamW", "SGD"}

// TestSuiteInPieces is the suite with launches so small that every loop over blocks, ranges and sequences goes round, with a ragged end.
func TestSuiteInPieces(t *testing.T) {
	shrinkLaunches(t)
	for name, o := range map[string][]devtest.Option{"odd": nil, "aligned": {devtest.Aligned}} {
		t.Run(name, func(t *testing.T) {
			devtest.Suite(t, func(t *testing.T) device.Device { return openSim(t, sim.Options{}, Options{PoisonReleased: true}) },
				append(o, devtest.Small, devtest.Only(inPieces...))...)
		})
	}
}

// TestProductsInPieces: a large gradient has more tiles than the sum over them has threads, and factors with more parts than a search has threads.
func TestProductsInPieces(t *testing.T) {
	shrinkLaunches(t)
	const n, in, out = 41, 200, 230 // a block of the search takes 256 elements at a time: 37 of them have some
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		for _, share := range []int{50, 300, 9000} { // of the search: a block for each 256 elements and more, fewer, and one that goes round
			largestShare = share
			b := openBoth(t)
			x, dy, w := b.noise("x", dt, 1, n, in), b.noise("dy", dt, 1, n, out), b.noise("w", tensor.F32, 1, out, in)
			sums := b.new("sums", tensor.F64, 2)
			for _, d := range []struct {
				device.Device
				sums, x, dy, w tensor.Tensor
			}{{b.card, sums.card, x.card, dy.card, w.card}, {b.host, sums.host, x.host, dy.host, w.host}} {
				d.OuterUpdate(d.w, d.dy, d.x, device.Step{LR: 0.1, SumSq: d.sums.Slice(0, 1)})
				d.OuterSumSq(d.sums.Slice(1, 2), d.dy, d.x)
			}
			b.near("w", w, 1e-6)
			got := make([]byte, 16)
			b.card.CopyOut(got, sums.card)
			for i, want := range sums.host.F64s() {
				if v := math.Float64frombits(binary.LittleEndian.Uint64(got[8*i:])); !(math.Abs(v/want-1) < 1e-6) {
					t.Errorf("%v: sum of squares %d is %g, the host's %g", dt, i, v, want)
				}
			}
			for _, place := range []int{0, n*out/2 + 1, n*out - 1} { // wherever the largest element is, the product that it makes infinite is found
				bad := make([]float32, n*out)
				bad[place] = float32(math.Inf(1))
				raw := make([]byte, dy.host.Bytes())
				if err := tensor.PutFloat32s(raw, bad, dt); err != nil {
					t.Fatal(err)
				}
				c := openBoth(t)
				x, dy, w := c.noise("x", dt, 1, n, in), c.new("dy", dt, n, out), c.noise("w", tensor.F32, 1, out, in)
				c.card.CopyIn(dy.card, raw)
				c.card.OuterUpdate(w.card, dy.card, x.card, device.Step{LR: 0.1})
				var e *device.NonFiniteError
				if err := c.card.Sync(); !errors.As(err, &e) {
					t.Errorf("%v, element %d infinite: Sync: %v", dt, place, err)
				}
			}
		}
	}
}

// near compares with the host, element by element.
func (b *both) near(what string, p pair, tolerance float64) {
	b.t.Helper()
	got := take(b.t, b.card, p.card)
	for i, want := range p.host.F32s() {
		if e := math.Abs(float64(got[i] - want)); !(e <= tolerance) {
			b.t.Fatalf("%s[%d] is %g, the host's %g", what, i, got[i], want)
		}
	}
}

// TestReductionsInPieces: a sum and a largest over more partial results than the block that takes them together has threads.
func TestReductionsInPieces(t *testing.T) {
	shrinkLaunches(t)
	const n = 90001
	if blocks := reduceBlocks(n); blocks <= flatBlock[0] {
		t.Fatalf("%d partial results are one each", blocks)
	}
	for _, place := range []int{0, 40000, n - 1} { // of the largest, and of most of the sum
		b := openBoth(t)
		x, sums, most := b.noise("x", tensor.F32, 1, n), b.new("sums", tensor.F64, 2), b.new("most", tensor.F32, 1)
		x.host.F32s()[place] = 1e6
		raw := make([]byte, x.host.Bytes())
		b.host.CopyOut(raw, x.host)
		b.card.CopyIn(x.card, raw)
		b.card.SumSq(sums.card.Slice(0, 1), x.card)
		b.card.Sum(sums.card.Slice(1, 2), x.card)
		b.card.AbsMax(most.card, x.card)
		b.host.SumSq(sums.host.Slice(0, 1), x.host)
		b.host.Sum(sums.host.Slice(1, 2), x.host)
		b.host.AbsMax(most.host, x.host)
		b.equal("AbsMax", most)
		got := make([]byte, 16)
		b.card.CopyOut(got, sums.card)
		for i, want := range sums.host.F64s() {
			if v := math.Float64frombits(binary.LittleEndian.Uint64(got[8*i:])); !(math.Abs(v/want-1) < 1e-12) {
				t.Errorf("sum %d is %g, the host's %g", i, v, want)
			}
		}
	}
}

// TestAttentionOverSequences: the backward pass takes five sequences two at a time. The output is in the factors' dtype, as in training.
func TestAttentionOverSequences(t *testing.T) {
	for _, of := range []device.Heads{{Dim: 6}, {Dim: 70}, {Dim: 300}, {Dim: 6, Cap: 0.5}} {
		t.Run(fmt.Sprint(of), func(t *testing.T) { attentionOverSequences(t, of) })
	}
}

func attentionOverSequences(t *testing.T, of device.Heads) {
	hd := of.Dim
	const b, tokens, hq, hkv = 5, 9, 2, 1
	shrink(t, &sequenceBytes, 2*4*hq*tokens+3)
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		d := openBoth(t)
		var begins []int32
		for i := range int32(b * tokens) {
			begins = append(begins, min(i%tokens, i/tokens)) // another place in each sequence
		}
		start := d.ints("start", begins...)
		start.card, start.host = start.card.View(b, tokens), start.host.View(b, tokens)
		q, do := d.noise("q", dt, 1, b, tokens, hq*hd), d.noise("do", dt, 1, b, tokens, hq*hd)
		k, v := d.noise("k", dt, 1, b, tokens, hkv*hd), d.noise("v", dt, 1, b, tokens, hkv*hd)
		o, lse := d.new("o", dt, b, tokens, hq*hd), d.new("lse", tensor.F32, b, hq, tokens)
		dq, dk, dv := d.new("dq", tensor.F32, b, tokens, hq*hd), d.new("dk", tensor.F32, b, tokens, hkv*hd), d.new("dv", tensor.F32, b, tokens, hkv*hd)
		d.card.Attention(o.card, lse.card, q.card, k.card, v.card, start.card, of)
		d.host.Attention(o.host, lse.host, q.host, k.host, v.host, start.host, of)
		raw := make([]byte, o.host.Bytes())
		d.host.CopyOut(raw, o.host)
		d.card.CopyIn(o.card, raw) // its rounding is not what is compared
		d.card.AttentionBackward(dq.card, dk.card, dv.card, do.card, o.card, lse.card, q.card, k.card, v.card, start.card, of)
		d.host.AttentionBackward(dq.host, dk.host, dv.host, do.host, o.host, lse.host, q.host, k.host, v.host, start.host, of)
		tolerance := map[tensor.DType]float64{tensor.F32: 3e-6, tensor.BF16: 3e-2}[dt] // BF16 factors: their probabilities are rounded too
		for what, p := range map[string]pair{"dq": dq, "dk": dk, "dv": dv} {
			d.near(what, p, tolerance)
		}
	}
}

// TestSplit: ranges of rows cover all rows once, however many they are, and their sums fit what is set aside for them.
func TestSplit(t *testing.T) {
	for _, c := range []struct{ n, cols, ranges, perRange int }{
		{1, 1, 1, 16}, {16, 64, 1, 16}, {17, 64, 2, 16}, {2048, 64, 128, 16}, {2049, 64, 121, 17}, {4100, 264, 125, 33}, // 128 ranges at most
		{5000, 1 << 17, 16, 313}, {5000, 1 << 20, 2, 2500}, {5000, 1 << 21, 1, 5000}, {5000, 1 << 24, 1, 5000}, // and as many as fit
	} {
		if ranges, perRange := split(c.n, c.cols); ranges != c.ranges || perRange != c.perRange {
			t.Errorf("%d rows of %d: %d ranges of %d, want %d of %d", c.n, c.cols, ranges, perRange, c.ranges, c.perRange)
		}
		if last := c.n - (c.ranges-1)*c.perRange; last < 1 || last > c.perRange {
			t.Errorf("%d rows of %d: the last range has %d", c.n, c.cols, last)
		}
	}
}
