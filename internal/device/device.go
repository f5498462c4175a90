// Package device is the seam between the mathematics and the hardware: what a backend must do, and
// nothing about how. Three backends implement it: cpukern (the host), cudakern (one GPU) and memdev
// (counts bytes, computes nothing). devtest is the suite all of them pass.
//
// Letters in shapes: B batch, T tokens, N = B·T rows, C hidden, F intermediate, V vocabulary, Hq and Hkv
// query and key/value heads, Hd head size. Every matrix is row-major; a linear layer's weight is (Out, In).
package device

import "lomo/internal/tensor"

// Device is where tensors live and mathematics happens. Work is queued in call order. Launches return
// nothing: the first failure sticks, later launches are skipped, and Sync reports it. A wrong shape or
// dtype is a programmer's error and panics at the call.
//
// Activations, weights and gradients of activations may be F32 or BF16, each tensor on its own; every sum
// is taken in float32 (scalars in float64) and rounded once, to nearest even, when stored as BF16.
// Results do not depend on the number of threads.
//
// A directive //counts: names the tensors that an operation passes over, as often as each is read or written (scripts/operations).
type Device interface {
	Name() string // for messages and state files: "cpu avx2+fma"
	Memory() *Arena

	// Alloc takes a tensor from the arena; its bytes are zero. owner says in memory tables who holds it.
	// When the arena is full it returns an *OutOfMemoryError.
	Alloc(owner, name string, dt tensor.DType, shape ...int) (tensor.Tensor, error)
	// Scratch is Alloc with undefined contents, for buffers that are written before they are read.
	Scratch(owner, name string, dt tensor.DType, shape ...int) (tensor.Tensor, error)
	Sync() error
	Close() error

	// Record is a point after all work queued so far; Wait holds back what is queued later until a point of this
	// device or of one of its queues is reached (queue.go).
	Record() Event
	Wait(Event)
	// NewQueue opens an order of work beside the device's own. Close of the device ends it.
	NewQueue(name string) (Queue, error)
	// Pinned takes host memory that queues copy from and to at full speed (page-locked on a GPU), zeroed. It is
	// booked in PinnedMemory and lives until Close of the device.
	Pinned(owner, name string, bytes int64) ([]byte, error)
	PinnedMemory() *Arena

	CopyIn(dst tensor.Tensor, src []byte)  // the host's bytes to the device
	CopyOut(dst []byte, src tensor.Tensor) // and back; waits for the work queued so far
	//counts:elements t
	Zero(t tensor.Tensor)
	//counts:elements dst src
	Copy(dst, src tensor.Tensor) // element by element, converting between F32 and BF16 (nearest even)

	// MatMul is y = x·wᵀ: x (N, In), w (Out, In), y (N, Out); with acc, y += x·wᵀ. y overlaps neither.
	MatMul(y, x, w tensor.Tensor, acc bool)
	// MatMulBackwardInput is dx = dy·w: dy (N, Out), w (Out, In), dx (N, In); with acc, dx += dy·w.
	MatMulBackwardInput(dx, dy, w tensor.Tensor, acc bool)
	// OuterAdd is g = dyᵀ·x: dy (N, Out), x (N, In), g (Out, In) F32; with acc, g += dyᵀ·x.
	OuterAdd(g, dy, x tensor.Tensor, acc bool)
	// OuterSumSq adds ‖dyᵀ·x‖² to sum (F64, 1) without storing the product.
	OuterSumSq(sum, dy, x tensor.Tensor)
	// OuterUpdate is Update with g = dyᵀ·x, made tile by tile inside the product and never stored. When any
	// element of the product is not finite, nothing is written and a *NonFiniteError sticks.
	OuterUpdate(w, dy, x tensor.Tensor, s Step)

	// AddRow is y += b in each row: y (N, C), b (C) (a linear layer's bias).
	//
	//counts:elements y y
	AddRow(y, b tensor.Tensor)
	// ColumnSum is db = Σ over the rows of dy: dy (N, C), db (C) F32 (the gradient of a bias); with acc, db += it. Of no rows the sum is 0.
	ColumnSum(db, dy tensor.Tensor, acc bool)
	// AddScaled is y += a·x, all of one size: the product and the sum in float32, rounded once to y's type.
	//
	//counts:elements y y x
	AddScaled(y, x tensor.Tensor, a float32)

	// SumSq adds Σg² to sum (F64, 1). g is F32 or BF16, any shape.
	//
	//counts:updates g
	SumSq(sum, g tensor.Tensor)
	// Update is w ← w·(1−LR·Decay) − LR·Coef·clamp(Scale·g), rounded once as s says (LOMO, algorithms.md 1).
	// g (F32) has w's shape. When any element of g is not finite, nothing is written and a *NonFiniteError sticks.
	//
	//counts:updates w w g
	Update(w, g tensor.Tensor, s Step)

	// RMSNorm is y = gain ⊙ x·rstd, rstd = 1/sqrt(mean(x²)+Eps) over the last axis, with the gain w or 1 + w: x, y (N, C), w (C), rstd (N) F32.
	// All products are float32's, and y is rounded once.
	//
	//counts:elements y x
	RMSNorm(y, rstd, x, w tensor.Tensor, n Norm)
	// RMSNormBackward is dx = … (with addX, dx += …) and dw (C, F32) = … (with addW, dw += …), algorithms.md 12. dx (N, C) and dy may differ
	// in dtype; without addX dx may be dy.
	RMSNormBackward(dx, dw, dy, x, w, rstd tensor.Tensor, n Norm, addX, addW bool)

	// RoPE rotates the first 2·h values of each head of x (N, heads·Hd) in place by its row's position, in Hugging Face half-split
	// order: pos (N) I32, cos and sin (P, h) F32, h ≤ Hd/2. inverse rotates back (the backward of RoPE).
	//
	//counts:elements x x
	RoPE(x, pos, cos, sin tensor.Tensor, headDim int, inverse bool)

	// Attention is softmax(q·kᵀ/√Hd)·v in tiles, never (T, T). q, o (B, Tq, Hq·Hd); k, v (B, Tk, Hkv·Hd);
	// start (B, Tq) I32; lse (B, Hq, Tq) F32 is the natural logarithm of each row's sum. Query i of a sequence
	// sees the keys j with start[i] ≤ j ≤ i + Tk − Tq: causal, and within its own document. Tk > Tq is a
	// continued sequence (generation from a cache). Where q, k and v are BF16, probabilities (and in the backward pass their
	// gradients) are rounded to BF16 as factors of a product; sums over them are not made of rounded ones. With h.Cap a score s = q·kᵀ/√Hd
	// counts as Cap·tanh(s/Cap).
	Attention(o, lse, q, k, v, start tensor.Tensor, h Heads)
	// AttentionBackward writes dq, dk, dv (=) from do, recomputing the probabilities from lse; Tk = Tq.
	AttentionBackward(dq, dk, dv, do, o, lse, q, k, v, start tensor.Tensor, h Heads)

	// Sink lets a learned logit s of each head join the softmax of Attention's result, whose column is then dropped: o ← o·σ(lse − s) and
	// lse ← ln(e^lse + e^s), for o (B, Tq, Hq·Hd), lse (B, Hq, Tq) F32 and sinks (Hq). AttentionBackward takes both as they are then.
	//
	//counts:elements o o lse lse
	Sink(o, lse, sinks tensor.Tensor)
	// SinkBackward is dsinks (Hq) F32 = −Σ over tokens of exp(s − lse)·Σ do·o, with o and lse as Sink left them; with acc, dsinks += it.
	//
	//counts:elements do o lse
	SinkBackward(dsinks, do, o, lse, sinks tensor.Tensor, acc bool)

	// SwiGLU is act = silu(gate) ⊙ up, all (N, F).
	//
	//counts:elements act gate up
	SwiGLU(act, gate, up tensor.Tensor)
	// SwiGLUBackward writes dgate and dup; dgate may be gate and dup may be up (in place).
	//
	//counts:elements dgate dup dact gate up
	SwiGLUBackward(dgate, dup, dact, gate, up tensor.Tensor)
	// GeGLU is act = gelu(gate) ⊙ up, all (N, F), with gelu's tanh form: ½·g·(1 + tanh(√(2/π)·(g + 0.044715·g³))).
	//
	//counts:elements act gate up
	GeGLU(act, gate, up tensor.Tensor)
	// GeGLUBackward is SwiGLUBackward of GeGLU.
	//
	//counts:elements dgate dup dact gate up
	GeGLUBackward(dgate, dup, dact, gate, up tensor.Tensor)

	// GatherRows is dst[i] = src[idx[i]]: dst (M, C), src (R, C), idx (M) I32 (the embedding lookup).
	//
	//counts:elements dst dst
	GatherRows(dst, src, idx tensor.Tensor)
	// ScatterRows is dst[idx[i]] = src[i]; rows not named keep their value. idx has no duplicates.
	//
	//counts:elements src src
	ScatterRows(dst, src, idx tensor.Tensor)

	// Route chooses k of E experts for each row: z (N, E) F32, logits, becomes their softmax; ids (N, k) I32 are the k most likely experts, the most
	// likely first and of equal ones the lower number, each once whatever z holds; w (N, k) F32 their probabilities, with renorm over their sum.
	//
	//counts:elements z z w ids
	Route(w, ids, z tensor.Tensor, renorm bool)
	// RouteBackward is dz (N, E) F32, the gradient of the logits, from dw, that of the weights w: p is the softmax that Route left, and dz may be p.
	//
	//counts:elements dz p dw w ids
	RouteBackward(dz, dw, w, ids, p tensor.Tensor, renorm bool)
	// SumRows is y[i] = Σ_j x[at[i, j]] in the order of j: y (N, C), x (M, C), at (N, k) I32; with acc, y += it.
	//
	//counts:elements y x
	SumRows(y, x, at tensor.Tensor, acc bool)
	// ScaleRows is y[i] = w[at[i]]·x[i]: x, y (M, C), w F32, at (M) I32. y may be x.
	//
	//counts:elements y x
	ScaleRows(y, x, w, at tensor.Tensor)
	// RowDots is dw[at[i]] = Σ_c a[i, c]·b[i, c]: a, b (M, C), dw F32, at (M) I32 without duplicates.
	//
	//counts:elements a b
	RowDots(dw, a, b, at tensor.Tensor)

	// RowsAdd adds the row gradients r to g (n, C) F32, which stands for the table's rows row0 … row0+n−1.
	//
	//counts:elements r r r
	RowsAdd(g tensor.Tensor, r Rows, row0 int)
	// RowsSumSq adds the sum of squares of the summed rows to sum (F64, 1).
	//
	//counts:elements r
	RowsSumSq(sum tensor.Tensor, r Rows)
	// RowsUpdate is Update of the whole table w (V, C) with the row gradients: rows without one only decay.
	//
	//counts:updates r r
	RowsUpdate(w tensor.Tensor, r Rows, s Step)

	// SoftmaxStats folds the logits z (R, n) F32 of the vocabulary block v0 … v0+n−1 into stats (R, 3) F32:
	// running maximum, sum of exponentials under it, and the target's logit. first starts afresh.
	// targets (R) I32 are vocabulary ids.
	//
	//counts:elements z
	SoftmaxStats(stats, z, targets tensor.Tensor, v0 int, first bool)
	// SoftmaxLoss is lse = max + ln(sum) and loss = lse − target logit, both (R) F32.
	//
	//counts:elements stats
	SoftmaxLoss(loss, lse, stats tensor.Tensor)
	// SoftCap is z = limit·tanh(z/limit), limit > 0: z F32 (logits, before SoftmaxStats).
	//
	//counts:elements z z
	SoftCap(z tensor.Tensor, limit float32)
	// SoftmaxGrad is dz = (exp(z − lse) − [column is the target])·scale: z (R, n) F32, block at v0. With a limit above 0, z comes from SoftCap
	// and dz goes back through it: it is multiplied by 1 − (z/limit)². dz may be z; beside it, z's contents are undefined afterwards.
	SoftmaxGrad(dz, z, lse, targets tensor.Tensor, v0 int, scale, limit float32)
	// Sum adds Σx of an F32 tensor to sum (F64, 1), in a fixed order.
	//
	//counts:elements x
	Sum(sum, x tensor.Tensor)
	// ClipCoef is coef (F32, 1) = min(1, maxNorm/(sqrt(sumSq)·scale + 1e-6)).
	//
	//counts:elements
	ClipCoef(coef, sumSq tensor.Tensor, maxNorm, scale float32)

	// The parts of AdaLomo (algorithms.md 2), apart so that ranks can reduce between them. The gradient seen is
	// h = Coef·clamp(Scale·g). For a matrix g (m, n) F32:
	//   FactorSums   rows[i] = Σ_j (h²+eps1), cols[j] = Σ_i (h²+eps1), stats[0] = Σw²; not finite sticks before any write
	//   FactorEMA    r ← β·r + (1−β)·rows/n, c ← β·c + (1−β)·cols/M, stats[1] = Σr, stats[3] = M
	//   FactorNorm   stats[2] = Σu², u = h·(r_i/mean r)^−½·c_j^−½, and u = 0 where h = 0
	//   FactorUpdate a = LR·max(eps2, sqrt(stats[0]/(M·n))), w ← w·(1−a·Decay) − a·u/max(1, rms(u)/d)
	// rows, cols, r, c are F32, stats is (4) F64. M is the rows of the whole tensor, of which w may be a slice: then cols and
	// stats[0] are summed over the slices after FactorSums, stats[1] after FactorEMA and stats[2] after FactorNorm.
	//
	//counts:updates w g
	FactorSums(rows, cols, stats, w, g tensor.Tensor, eps1 float32, s Step)
	//counts:updates r c
	FactorEMA(r, c, stats, rows, cols tensor.Tensor, beta float32, wholeRows int)
	//counts:updates g
	FactorNorm(stats, g, r, c tensor.Tensor, s Step)
	//counts:updates w w g
	FactorUpdate(w, g, r, c, stats tensor.Tensor, eps2, d float32, s Step)
	// For a vector: VectorStats is v ← β·v + (1−β)(h²+eps1), stats[0] = Σw², stats[2] = Σ(h·v^−½)²; VectorUpdate as FactorUpdate.
	//
	//counts:updates v v w g
	VectorStats(v, stats, w, g tensor.Tensor, beta, eps1 float32, s Step)
	//counts:updates w w g v
	VectorUpdate(w, g, v, stats tensor.Tensor, eps2, d float32, s Step)

	// AdamW is torch's (algorithms.md 11) with h as above; m, v F32 like w; master F32 or the zero Tensor: with it the
	// float32 weights live there and w receives them rounded.
	//
	//counts:updates w w m m v v master master g
	AdamW(w, m, v, master, g tensor.Tensor, a AdamW, s Step)
	// SGD is torch's with momentum: b ← momentum·b + (1−dampening)(h+Decay·w) (b = h+Decay·w at the first step),
	// then w ← w − LR·b (nesterov: h + Decay·w + momentum·b). buf F32. Decay is coupled here.
	//
	//counts:updates w w buf buf g
	SGD(w, buf, g tensor.Tensor, m Momentum, s Step)

	// AbsMax writes max|x| to out (F32, 1): +Inf for an infinity, NaN for a NaN.
	//
	//counts:elements x
	AbsMax(out, x tensor.Tensor)
}

// Heads says how heads attend.
type Heads struct {
	Dim int     // numbers of one
	Cap float32 // what no score exceeds; 0: none
}

// Norm says which RMSNorm.
type Norm struct {
	Eps     float32
	PlusOne bool // the gain is 1 + w, as Gemma keeps it; else w
}

// Step is what an update needs beside the gradient. The zero value of an optional field turns it off.
type Step struct {
	LR    float32
	Decay float32       // λ, decoupled: w is multiplied by 1 − LR·λ (AdaLomo: its own rate)
	Clip  float32       // clip_value: |g| is clamped to it after Scale, before Coef; 0 is off
	Scale float32       // multiplies the gradient first (1/loss scale); 0 means 1
	Coef  tensor.Tensor // F32 (1) on the device: multiplies the gradient last (the norm clip); zero Tensor means 1
	SumSq tensor.Tensor // F64 (1): Update, OuterUpdate and RowsUpdate add Σg² (g as given, unscaled) to it; zero Tensor: not wanted

	Round  Rounding
	Seed   uint64
	Number uint32 // optimizer step, for the noise
	Tensor uint32 // which tensor, for the noise
	Base   int64  // global index of the tensor's first element when w is a slice of rows, for the noise
}

// Rounding says how a float32 result becomes a BF16 weight. F32 weights are not rounded.
type Rounding uint8

const (
	Nearest    Rounding = iota
	Stochastic          // element i takes draw Base+i of stream (Seed, rng.Rounding, Tensor, Number), rng.Uint16x8
)

// Rows is the gradient of an embedding table (V, C): row IDs[u] has the gradient Σ D[Index[i]] over
// Offs[u] ≤ i < Offs[u+1]. IDs ascend and are unique; Index keeps the order of the rows in D, so sums are reproducible.
// A sum may have no terms, and entries of Index behind the last offset are not read.
type Rows struct {
	IDs   tensor.Tensor // (U) I32
	Offs  tensor.Tensor // (U+1) I32
	Index tensor.Tensor // (N) I32
	D     tensor.Tensor // (N, C) F32 or BF16
}

// AdamW are the constants of one AdamW step; T counts from 1.
type AdamW struct {
	Beta1, Beta2, Eps float32
	T                 int
}

// Momentum are the constants of SGD with momentum.
type Momentum struct {
	Momentum, Dampening float32
	Nesterov, First     bool
}
