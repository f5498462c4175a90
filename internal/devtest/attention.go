package devtest

import (
	"math"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

var _ = register([]testCase{
	{"Attention", attention},
	{"AttentionTiles", attentionTiles},
	{"AttentionContinued", attentionContinued},
	{"AttentionLargeScores", attentionLargeScores},
	{"AttentionCapped", attentionCapped},
	{"Sink", sinks},
})

// attnRef is attention in float64: q, o (b, tq, hq, hd); k, v (b, tk, hkv, hd); sinks (hq), a logit of each head that joins the softmax, nil: none.
type attnRef struct {
	b, tq, tk, hq, hkv, hd int
	cap                    float64 // of scores; 0: none
	q, k, v                []float64
	start                  []int
	sinks                  []float64
}

func (r *attnRef) qAt(b, i, h int) int { return ((b*r.tq+i)*r.hq + h) * r.hd }
func (r *attnRef) kAt(b, j, h int) int { return ((b*r.tk+j)*r.hkv + h/(r.hq/r.hkv)) * r.hd }

func (r *attnRef) capped(score float64) float64 {
	if r.cap == 0 {
		return score
	}
	return r.cap * math.Tanh(score/r.cap)
}

// slope is the derivative of capped.
func (r *attnRef) slope(score float64) float64 {
	if r.cap == 0 {
		return 1
	}
	t := math.Tanh(score / r.cap)
	return 1 - t*t
}

// each calls f for every query and head with its probabilities of the keys from lo on, and their log-sum.
func (r *attnRef) each(f func(b, i, h, lo int, p []float64, lse float64)) {
	scale := 1 / math.Sqrt(float64(r.hd))
	for b := range r.b {
		for i := range r.tq {
			for h := range r.hq {
				lo, q := r.start[b*r.tq+i], r.q[r.qAt(b, i, h):]
				p := mapped(i+r.tk-r.tq+1-lo, func(j int) float64 {
					return r.capped(scale * dot(q[:r.hd], r.k[r.kAt(b, lo+j, h):]))
				})
				top := p[0]
				for _, s := range p {
					top = max(top, s)
				}
				whole := sum(len(p), func(j int) float64 { return math.Exp(p[j] - top) })
				if r.sinks != nil {
					whole += math.Exp(r.sinks[h] - top)
				}
				lse := top + math.Log(whole)
				for j := range p {
					p[j] = math.Exp(p[j] - lse)
				}
				f(b, i, h, lo, p, lse)
			}
		}
	}
}

func dot(x, y []float64) float64 { return sum(len(x), func(i int) float64 { return x[i] * y[i] }) }

func axpy(y []float64, a float64, x []float64) {
	for i := range x {
		y[i] += a * x[i]
	}
}

// plain is a factor itself. With math.Abs in its place the passes give the sums of their terms' sizes, by which a rounding of the terms shows.
func plain(x float64) float64 { return x }

func (r *attnRef) forward(size func(float64) float64) (o, lse []float64) {
	v := mapped(len(r.v), func(i int) float64 { return size(r.v[i]) })
	o, lse = make([]float64, len(r.q)), make([]float64, r.b*r.hq*r.tq)
	r.each(func(b, i, h, lo int, p []float64, l float64) {
		lse[(b*r.hq+h)*r.tq+i] = l
		for j, pj := range p {
			axpy(o[r.qAt(b, i, h):], pj, v[r.kAt(b, lo+j, h):][:r.hd])
		}
	})
	return o, lse
}

func (r *attnRef) backward(do []float64, size func(float64) float64) (dq, dk, dv []float64) {
	sized := func(x []float64) []float64 { return mapped(len(x), func(i int) float64 { return size(x[i]) }) }
	dq, dk, dv = make([]float64, len(r.q)), make([]float64, len(r.k)), make([]float64, len(r.v))
	scale := 1 / math.Sqrt(float64(r.hd))
	r.each(func(b, i, h, lo int, p []float64, _ float64) {
		at := r.qAt(b, i, h)
		g, q := do[at:at+r.hd], r.q[at:at+r.hd]
		dp := mapped(len(p), func(j int) float64 { return dot(g, r.v[r.kAt(b, lo+j, h):]) })
		mean := dot(p, dp)
		for j, pj := range p {
			key := r.kAt(b, lo+j, h)
			ds := size(scale * pj * (dp[j] - mean) * r.slope(scale*dot(q, r.k[key:])))
			axpy(dv[key:], pj, sized(g))
			axpy(dq[at:], ds, sized(r.k[key:key+r.hd]))
			axpy(dk[key:], ds, sized(q))
		}
	})
	return dq, dk, dv
}

// documents draws where each query's document starts: documents of random lengths up to longest.
func (c *C) documents(b, t, longest int) []int {
	start := make([]int, b*t)
	for s := range b {
		first, left := 0, 1+c.rnd.IntN(longest)
		for i := range t {
			if left == 0 {
				first, left = i, 1+c.rnd.IntN(longest)
			}
			start[s*t+i] = first
			left--
		}
	}
	return start
}

func attention(c *C) {
	type shape struct{ b, t, hq, hkv, hd, longest int }
	for _, s := range pick(c, []shape{
		{1, 1, 1, 1, 2, 1}, {2, 9, 2, 2, 6, 9}, {1, 33, 4, 2, 16, 7}, {2, 70, 3, 1, 8, 1000}, {1, 130, 6, 2, 64, 60}, {1, 220, 2, 1, 20, 1000}, {1, 40, 2, 2, 128, 3}, {1, 300, 2, 1, 10, 140},
	}, []shape{{1, 1, 1, 1, 2, 1}, {2, 9, 2, 2, 6, 9}, {1, 33, 4, 2, 16, 7}, {2, 70, 3, 1, 8, 1000}, {1, 70, 4, 2, 64, 1000}, {1, 70, 2, 1, 128, 1000}, {1, 140, 2, 1, 20, 100}}) {
		c.both(func(dt tensor.DType) {
			r := attnRef{b: s.b, tq: s.t, tk: s.t, hq: s.hq, hkv: s.hkv, hd: s.hd, start: c.documents(s.b, s.t, s.longest)}
			attentionOne(c, &r, dt, 1, true)
		})
	}
}

// attentionTiles: documents longer than any device's tile of queries or keys, with a ragged end, so that what earlier tiles have left is
// rescaled and added to; heads so large that their tiles are smaller; more query heads on a key head than a task takes; and documents that begin in no order.
func attentionTiles(c *C) {
	type shape struct {
		t, hq, hkv, hd int
		size           float64 // of q and k: a score's error grows with the head, and the bounds do not
		begins         []int   // of documents; nil: each query sees from anywhere on
	}
	for _, s := range pick(c, []shape{
		{601, 1, 1, 4, 1.5, []int{0}}, {601, 2, 1, 2, 1.5, []int{0, 70, 350}}, {410, 1, 1, 4, 1.5, nil},
		{200, 1, 1, 136, 0.5, []int{0}}, {100, 1, 1, 260, 0.5, []int{0, 7}}, {12, 6, 1, 128, 0.5, []int{0}},
	}, []shape{{150, 1, 1, 4, 1.5, []int{0, 9}}, {70, 1, 1, 4, 1.5, nil}, {33, 1, 1, 136, 0.5, []int{0}}, {17, 2, 1, 260, 0.5, []int{0, 7}}}) {
		c.both(func(dt tensor.DType) {
			r := attnRef{b: 1, tq: s.t, tk: s.t, hq: s.hq, hkv: s.hkv, hd: s.hd, start: make([]int, s.t)}
			for i := range r.start {
				if s.begins == nil {
					r.start[i] = c.rnd.IntN(i + 1)
				}
				for _, b := range s.begins {
					if b <= i {
						r.start[i] = b
					}
				}
			}
			attentionOne(c, &r, dt, s.size, true)
		})
	}
}

// attentionContinued: the queries are the last of a longer sequence.
func attentionContinued(c *C) {
	type shape struct{ b, tq, tk, hq, hkv, hd int }
	for _, s := range pick(c, []shape{{1, 1, 1, 2, 1, 16}, {2, 1, 150, 6, 2, 64}, {1, 3, 70, 2, 2, 6}, {2, 100, 170, 3, 3, 32}, {1, 2, 601, 2, 1, 6}, {1, 210, 801, 1, 1, 4}},
		[]shape{{1, 1, 1, 2, 1, 16}, {2, 1, 150, 4, 2, 64}, {1, 3, 70, 2, 2, 6}, {1, 70, 140, 2, 2, 32}}) {
		c.both(func(dt tensor.DType) {
			start := make([]int, s.b*s.tq)
			for i := range start {
				start[i] = c.rnd.IntN(s.tk - s.tq + 1)
			}
			r := attnRef{b: s.b, tq: s.tq, tk: s.tk, hq: s.hq, hkv: s.hkv, hd: s.hd, start: start}
			attentionOne(c, &r, dt, 1, false)
		})
	}
}

// attentionLargeScores: exponentials would overflow without the running maximum.
func attentionLargeScores(c *C) {
	for _, n := range []int{100, pick(c, 530, 30)} {
		r := attnRef{b: 1, tq: n, tk: n, hq: 1, hkv: 1, hd: 4, start: make([]int, n)}
		attentionOne(c, &r, tensor.F32, 30, n == 100)
	}
}

// attentionCapped: caps that bind and one that hardly does, whole tiles and ragged ones, documents, and the last queries of a longer sequence.
func attentionCapped(c *C) {
	type shape struct {
		t, hq, hkv, hd int
		cap, size      float64
		longest        int
	}
	for _, s := range pick(c, []shape{
		{1, 1, 1, 2, 1, 1, 1}, {33, 4, 2, 16, 0.7, 1.5, 7}, {70, 3, 1, 8, 3, 3, 1000}, {130, 4, 2, 64, 50, 1, 60}, {300, 2, 1, 10, 1.5, 2, 140}, {410, 2, 2, 4, 0.3, 1.5, 1000}, {100, 1, 1, 260, 2, 0.5, 1000},
	}, []shape{{1, 1, 1, 2, 1, 1, 1}, {33, 2, 1, 16, 0.7, 1.5, 7}, {40, 2, 1, 64, 3, 1, 1000}, {17, 2, 1, 260, 2, 0.5, 1000}}) {
		c.both(func(dt tensor.DType) {
			r := attnRef{b: 1, tq: s.t, tk: s.t, hq: s.hq, hkv: s.hkv, hd: s.hd, start: c.documents(1, s.t, s.longest), cap: s.cap}
			attentionOne(c, &r, dt, s.size, true)
			if s.t > 3 { // few queries, and more than a device reads in place
				for _, tq := range []int{1, 3, s.t / 2} {
					r := attnRef{b: 1, tq: tq, tk: s.t, hq: s.hq, hkv: s.hkv, hd: s.hd, start: make([]int, tq), cap: s.cap}
					attentionOne(c, &r, dt, s.size, false)
				}
			}
		})
	}
}

func attentionOne(c *C, r *attnRef, dt tensor.DType, size float64, backward bool) {
	var q, k, v tensor.Tensor
	q, r.q = c.noise("q", dt, size, r.b, r.tq, r.hq*r.hd)
	k, r.k = c.noise("k", dt, size, r.b, r.tk, r.hkv*r.hd)
	v, r.v = c.noise("v", dt, 1, r.b, r.tk, r.hkv*r.hd)
	start := c.ints("start", r.start, r.b, r.tq)
	o, lse := c.like("o", dt, r.b, r.tq, r.hq*r.hd), c.like("lse", tensor.F32, r.b, r.hq, r.tq)
	wantO, wantLSE := r.forward(plain)
	tol := 1e-6 + 2e-7*size*size // a score's rounding error grows with the score, and exp turns it into a relative one
	// Where the factors are BF16, a device rounds the probabilities and their gradients to BF16 too as factors of the products that
	// follow (algorithms.md 12): each term is then wrong by up to half a unit in the eighth bit.
	const half = 1.0 / 256
	sizeO, _ := r.forward(math.Abs)
	rounded := func(sizes []float64) []float64 {
		if dt != tensor.BF16 {
			return nil
		}
		return mapped(len(sizes), func(i int) float64 { return half * sizes[i] })
	}
	heads := device.Heads{Dim: r.hd, Cap: float32(r.cap)}
	c.D.Attention(o, lse, q, k, v, start, heads)
	var logits tensor.Tensor
	if r.sinks != nil {
		logits = c.new("sinks", dt, r.sinks, r.hq)
		c.D.Sink(o, lse, logits)
	}
	c.within(o, wantO, tol*4, rounded(sizeO))
	c.close(lse, wantLSE, tol)
	if !backward {
		return
	}
	// The device's own rounded output would add its rounding to delta; the reference's, in float32, does not.
	exact := c.new("o", tensor.F32, wantO, r.b, r.tq, r.hq*r.hd)
	do, dos := c.noise("do", dt, 1, r.b, r.tq, r.hq*r.hd)
	dq, dk, dv := c.like("dq", dt, r.b, r.tq, r.hq*r.hd), c.like("dk", dt, r.b, r.tk, r.hkv*r.hd), c.like("dv", tensor.F32, r.b, r.tk, r.hkv*r.hd)
	c.D.AttentionBackward(dq, dk, dv, do, exact, lse, q, k, v, start, heads)
	wantQ, wantK, wantV := r.backward(dos, plain)
	sizeQ, sizeK, sizeV := r.backward(dos, math.Abs)
	c.within(dq, wantQ, tol*8, rounded(sizeQ))
	c.within(dk, wantK, tol*8, rounded(sizeK))
	c.within(dv, wantV, tol*8, rounded(sizeV))
	if r.sinks == nil {
		return
	}
	want, terms := r.sinkGradient(dos), make([]float64, r.hq)
	for i := range want {
		terms[i] = 1e-6 * math.Sqrt(float64(r.b*r.tq)) // each token's term is of size 1
	}
	dsinks, old := c.noise("dsinks", tensor.F32, 1, r.hq)
	c.D.SinkBackward(dsinks, do, exact, lse, logits, true)
	c.within(dsinks, added(old, true, func(h int) float64 { return want[h] }), 4e-6, terms)
	c.D.SinkBackward(dsinks, do, exact, lse, logits, false)
	c.within(dsinks, want, 4e-6, terms)
}

// sinkGradient is the gradient of the sinks: each is one more key, whose value is 0.
func (r *attnRef) sinkGradient(do []float64) []float64 {
	d := make([]float64, r.hq)
	r.each(func(b, i, h, lo int, p []float64, lse float64) {
		g := do[r.qAt(b, i, h):][:r.hd]
		mean := sum(len(p), func(j int) float64 { return p[j] * dot(g, r.v[r.kAt(b, lo+j, h):]) })
		d[h] -= math.Exp(r.sinks[h]-lse) * mean
	})
	return d
}

// sinks are far below, among and far above the scores; a row that saw nothing stays.
func sinks(c *C) {
	type shape struct{ b, t, hq, hkv, hd, longest int }
	for _, s := range pick(c, []shape{{1, 1, 1, 1, 2, 1}, {2, 9, 4, 2, 6, 9}, {3, 33, 5, 1, 16, 7}, {1, 70, 4, 2, 12, 40}, {1, 12, 2, 2, 140, 30}}, []shape{{1, 1, 1, 1, 2, 1}, {2, 9, 4, 2, 6, 9}, {1, 40, 3, 1, 20, 30}}) {
		for _, shift := range []float64{-60, 0, 60} {
			c.both(func(dt tensor.DType) {
				r := attnRef{b: s.b, tq: s.t, tk: s.t, hq: s.hq, hkv: s.hkv, hd: s.hd, start: c.documents(s.b, s.t, s.longest)}
				_, r.sinks = c.noise("logits", dt, 1, s.hq)
				for h := range r.sinks {
					r.sinks[h] += shift // exact in BF16 only where shift is 0: what the device is given counts
				}
				r.sinks = c.get(c.new("logits", dt, r.sinks, s.hq))
				attentionOne(c, &r, dt, 1, true)
			})
		}
	}
	inf := math.Inf(1)
	o, lse := c.new("o", tensor.F32, []float64{0, 0, 4, 8}, 1, 1, 4), c.new("lse", tensor.F32, []float64{inf, 2}, 1, 2, 1)
	c.D.Sink(o, lse, c.new("logits", tensor.F32, []float64{5, 2}, 2))
	c.close(o, []float64{0, 0, 2, 4}, 1e-6)
	c.close(lse, []float64{inf, 2 + math.Ln2}, 1e-6)
}
