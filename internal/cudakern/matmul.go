package cudakern

import (
	"lomo/internal/device"
	"lomo/internal/tensor"
)

// Matrix products. Two BF16 factors are multiplied on tensor cores, a factor in F32 makes it float multiply-adds (kernels/gemm_bf16.cu,
// gemm_f32.cu). Both have a large tile, for speed, and a small one, which gives every multiprocessor work where the product is small.

// product is c (m, n) from a and b with a sum over k, in one of the layouts of kernels/product.cuh.
type product struct {
	op      string
	layout  string // nt, nn, tn
	a, b    tensor.Tensor
	m, n, k int
}

// tiling is which kernel makes a product, in how many blocks of how many threads.
type tiling struct {
	suffix         string
	blocks, thread int
}

// tile is which tiling a device takes: the choice is the device's but in tests, which want to see each.
type tile int

const (
	autoTile tile = iota
	largeTile
	smallTile
)

const largeSide = 128 // of a large tile

// half says whether both factors are BF16.
func (p *product) half() bool { return p.a.DType == tensor.BF16 && p.b.DType == tensor.BF16 }

func (d *Device) tiling(p *product) tiling {
	blocks := func(side int) int { return ceilDiv(p.m, side) * ceilDiv(p.n, side) }
	large := blocks(largeSide) >= d.info.Multiprocessors
	if d.tile != autoTile {
		large = d.tile == largeTile
	}
	switch {
	case p.half() && large:
		return tiling{"_bf16", blocks(largeSide), 256}
	case p.half():
		return tiling{"_bf16_small", blocks(64), 128}
	case large:
		return tiling{"_f32", blocks(largeSide), 256}
	}
	return tiling{"_f32_small", blocks(32), 64}
}

// factors is the arguments that name a, b and the sizes.
func (p *product) factors() []any {
	suffix(p.op, p.a, p.b) // panics for a dtype that no kernel takes
	args := []any{p.a, p.b, p.m, p.n, p.k}
	if p.half() {
		return args
	}
	return append(args, isHalf(p.a), isHalf(p.b))
}

func isHalf(t tensor.Tensor) bool { return t.DType == tensor.BF16 }

// start queues the kernel of p called name, its arguments before and after the factors.
func (d *Device) start(p *product, name string, before, after []any) {
	t := d.tiling(p)
	args := append(append(before, p.factors()...), after...)
	d.launch(p.op, "gemm_"+name+t.suffix, dim{t.blocks, 1, 1}, dim{t.thread, 1, 1}, 0, args...)
}

// store is c = p, or c += p.
func (d *Device) store(p *product, c tensor.Tensor, acc bool) {
	suffix(p.op, c)
	if d.library != nil && takes(p, c) {
		if d.err == nil {
			d.fail(d.library.Product(p, c, acc))
		}
		return
	}
	d.start(p, p.layout, []any{c}, []any{isHalf(c), acc})
}

// MatMul is y = x·wᵀ.
func (d *Device) MatMul(y, x, w tensor.Tensor, acc bool) {
	n, in := rowsCols(x)
	out, _ := rowsCols(w)
	wantRows("MatMul", w, out, in)
	wantRows("MatMul", y, n, out)
	if d.ready() {
		d.store(&product{op: "MatMul", layout: "nt", a: x, b: w, m: n, n: out, k: in}, y, acc)
	}
}

// MatMulBackwardInput is dx = dy·w.
func (d *Device) MatMulBackwardInput(dx, dy, w tensor.Tensor, acc bool) {
	n, out := rowsCols(dy)
	_, in := rowsCols(w)
	wantRows("MatMulBackwardInput", w, out, in)
	wantRows("MatMulBackwardInput", dx, n, in)
	if d.ready() {
		d.store(&product{op: "MatMulBackwardInput", layout: "nn", a: dy, b: w, m: n, n: in, k: out}, dx, acc)
	}
}

// outer is the product dyᵀ·x.
func outer(op string, dy, x tensor.Tensor) *product {
	n, out := rowsCols(dy)
	_, in := rowsCols(x)
	wantRows(op, x, n, in)
	return &product{op: op, layout: "tn", a: dy, b: x, m: out, n: in, k: n}
}

// OuterAdd is g = dyᵀ·x.
func (d *Device) OuterAdd(g, dy, x tensor.Tensor, acc bool) {
	p := outer("OuterAdd", dy, x)
	wantRows(p.op, g, p.m, p.n)
	wantType(p.op, tensor.F32, g)
	if d.ready() {
		d.store(p, g, acc)
	}
}

// OuterSumSq adds ‖dyᵀ·x‖² to sum.
func (d *Device) OuterSumSq(sum, dy, x tensor.Tensor) {
	p := outer("OuterSumSq", dy, x)
	wantType(p.op, tensor.F64, sum)
	if d.ready() {
		ws := d.productScratch(p)
		d.start(p, "sumsq", []any{uint64(0), ws.sums}, nil)
		d.total(p, sum, ws)
	}
}

// OuterUpdate is Update with g = dyᵀ·x, never stored.
func (d *Device) OuterUpdate(w, dy, x tensor.Tensor, s device.Step) {
	p := outer("OuterUpdate", dy, x)
	wantRows(p.op, w, p.m, p.n)
	suffix(p.op, w)
	if !d.ready() {
		return
	}
	ws := d.productScratch(p)
	d.wantFinite(p, w, ws)
	sums := ws.sums
	if s.SumSq.IsZero() {
		sums = 0
	}
	d.start(p, "update", []any{w, sums}, append([]any{isHalf(w)}, stepArgs(s)...))
	if sums != 0 {
		d.total(p, s.SumSq, ws)
	}
}

// productScratch is where a product keeps what it finds on the way, in the device's scratch.
type productScratch struct {
	maxA, maxB uint64 // maxBlocks words each
	doubt      uint64 // a word
	sums       uint64 // a float64 a block
}

const maxBlocks = 256

func (d *Device) productScratch(p *product) productScratch {
	const head = 2*4*maxBlocks + 8
	at := d.partials(d.tiling(p).blocks+head/8, 8)
	return productScratch{maxA: at, maxB: at + 4*maxBlocks, doubt: at + 2*4*maxBlocks, sums: at + head}
}

// wantFinite sets the stop word, named after w, unless every element of the product is finite. A bound on the factors mostly proves it;
// when it does not, the product is made once for the answer alone: its sum of squares is finite in float64 exactly when every element
// is. The card decides by itself which of the two it needs.
func (d *Device) wantFinite(p *product, w tensor.Tensor, ws productScratch) {
	a, b := d.largest(p, p.a, ws.maxA), d.largest(p, p.b, ws.maxB)
	d.launch(p.op, "product_doubt", dim{1, 1, 1}, dim{32, 1, 1}, 0, ws.doubt, ws.maxA, a, ws.maxB, b, p.k)
	d.start(p, "sumsq", []any{ws.doubt, ws.sums}, nil)
	_, number := d.failure(p.op, w)
	d.launch(p.op, "product_check", dim{1, 1, 1}, flatBlock, 0, ws.doubt, ws.sums, d.tiling(p).blocks, number)
}

// largest writes the largest magnitudes of t to at, one a block, and says how many.
func (d *Device) largest(p *product, t tensor.Tensor, at uint64) int {
	blocks := min(maxBlocks, ceilDiv(t.Len(), largestShare))
	d.launch(p.op, "product_max", dim{blocks, 1, 1}, flatBlock, 0, at, t, int64(t.Len()), isHalf(t))
	return blocks
}

// total adds the blocks' sums to sum.
func (d *Device) total(p *product, sum tensor.Tensor, ws productScratch) {
	d.launch(p.op, "product_total", dim{1, 1, 1}, flatBlock, 0, sum, ws.sums, d.tiling(p).blocks)
}
