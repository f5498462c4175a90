package ptx

import (
	"math"
	"math/bits"
)

var floatOps = map[string]func(*decoder){
	"rcp": approx, "sqrt": approx, "rsqrt": approx, "sin": approx, "cos": approx, "lg2": approx, "ex2": approx, "tanh": approx,
	"copysign": copysign, "testp": testp,
}

// floatMods are the modifiers of float instructions.
type floatMods struct {
	round     string
	ftz, sat  bool
	relu, nan bool
}

func (d *decoder) floatMods(t typ) floatMods {
	m := floatMods{round: d.one("rn", "rz", "rm", "rp"), ftz: d.has("ftz"), sat: d.has("sat"), relu: d.has("relu"), nan: d.has("NaN")}
	if t.bits == 64 && m.round != "" && m.round != "rn" || m.round != "" && m.round != "rn" && t.bits == 16 || m.round != "" && m.round != "rn" && t.packed {
		d.fail("rounding .%s of this type", m.round)
	}
	return m
}

// floatArith decodes add, sub, mul, fma, mad, div, min, max, abs, neg of floats.
func floatArith(d *decoder, t typ) {
	op := opcode(d)
	fm := d.floatMods(t)
	n := map[string]int{"abs": 2, "neg": 2, "fma": 4, "mad": 4}[op]
	if n == 0 {
		n = 3
	}
	if op == "div" {
		d.one("full", "approx")
	}
	d.args(n)
	dst := d.dst(0, t)
	var src [3]int
	for i := 1; i < n; i++ {
		src[i-1] = d.src(i, t)
	}
	if run := fastFloat(op, t, fm, dst, src); run != nil {
		d.in.run = run
		return
	}
	f := floatFunc(d, op, t, fm)
	if t.packed {
		f = halves(f)
	}
	switch n {
	case 2:
		d.in.run = each1(dst, src[0], func(a uint64) uint64 { return f(a, 0, 0) })
	case 3:
		d.in.run = each2(dst, src[0], src[1], func(a, b uint64) uint64 { return f(a, b, 0) })
	default:
		d.in.run = each3(dst, src[0], src[1], src[2], f)
	}
}

// fastFloat are the float32 forms that kernels spend their time in.
func fastFloat(op string, t typ, fm floatMods, dst int, src [3]int) runner {
	if t.bits != 32 || t.packed || fm.sat || fm.ftz || fm.relu || fm.round != "" && fm.round != "rn" {
		return nil
	}
	a, b, c := src[0], src[1], src[2]
	switch op {
	case "add":
		return each2(dst, a, b, func(a, b uint64) uint64 { return b32(f32(a) + f32(b)) })
	case "sub":
		return each2(dst, a, b, func(a, b uint64) uint64 { return b32(f32(a) - f32(b)) })
	case "mul":
		return each2(dst, a, b, func(a, b uint64) uint64 { return b32(f32(a) * f32(b)) })
	case "fma", "mad":
		return func(w *warp, m uint32) {
			rd, ra, rb, rc := &w.r[dst], &w.r[a], &w.r[b], &w.r[c]
			for ; m != 0; m &= m - 1 {
				i := bits.TrailingZeros32(m) & 31
				rd[i] = b32(fma32(f32(ra[i]), f32(rb[i]), f32(rc[i])))
			}
		}
	}
	return nil
}

// halves applies f to both halves of packed numbers.
func halves(f func(a, b, c uint64) uint64) func(a, b, c uint64) uint64 {
	return func(a, b, c uint64) uint64 {
		return f(a&0xffff, b&0xffff, c&0xffff) | f(a>>16&0xffff, b>>16&0xffff, c>>16&0xffff)<<16
	}
}

// floatFunc is the operation on the bits of one number, all modifiers done.
func floatFunc(d *decoder, op string, t typ, fm floatMods) func(a, b, c uint64) uint64 {
	one := t
	if t.packed {
		one.bits, one.packed = 16, false
	}
	value, pack := floatOf(one), bitsRounded(one, fm.round)
	m := mask(one.bits)
	sign := uint64(1) << (one.bits - 1)
	in := func(v uint64) uint64 { return v & m }
	if fm.ftz {
		in = func(v uint64) uint64 { return flush(v&m, one) }
	}
	out := func(v uint64) uint64 { return v }
	if fm.ftz || fm.sat || fm.relu {
		out = func(v uint64) uint64 {
			switch {
			case fm.sat:
				v = pack(saturate(value(v)))
			case fm.relu && !(value(v) > 0) && value(v) == value(v):
				v = 0
			}
			if fm.ftz {
				v = flush(v, one)
			}
			return v
		}
	}
	switch op {
	case "abs":
		return func(a, _, _ uint64) uint64 { return in(a) &^ sign }
	case "neg":
		return func(a, _, _ uint64) uint64 { return in(a) ^ sign }
	case "min", "max":
		return func(a, b, _ uint64) uint64 { return out(extreme(in(a), in(b), op == "max", fm.nan, value, pack)) }
	}
	f := exactOp(op, one)
	if f == nil {
		d.fail("%s of this type", op)
	}
	return func(a, b, c uint64) uint64 { return out(pack(f(value(in(a)), value(in(b)), value(in(c))))) }
}

// exactOp is an operation in float64, rounded to odd, or for float64 itself rounded as it must be.
func exactOp(op string, t typ) func(a, b, c float64) float64 {
	wide := t.bits == 64
	sum := oddSum
	if wide {
		sum = func(a, b float64) float64 { return a + b }
	}
	switch op {
	case "add":
		return func(a, b, _ float64) float64 { return sum(a, b) }
	case "sub":
		return func(a, b, _ float64) float64 { return sum(a, -b) }
	case "mul":
		return func(a, b, _ float64) float64 { return a * b } // of at most 24 bits each: exact
	case "fma", "mad":
		if wide {
			return math.FMA
		}
		return func(a, b, c float64) float64 { return oddSum(a*b, c) }
	case "div": // of float32: a quotient of 24-bit numbers is never so near the middle that rounding twice matters
		return func(a, b, _ float64) float64 { return a / b }
	}
	return nil
}

// extreme is min or max: the other number where one is NaN, unless nan; -0 is below +0.
func extreme(a, b uint64, largest, nan bool, value func(uint64) float64, pack func(float64) uint64) uint64 {
	x, y := value(a), value(b)
	switch {
	case x != x && y != y, nan && (x != x || y != y):
		return pack(math.NaN())
	case x != x:
		return b
	case y != y:
		return a
	case x == y:
		if math.Signbit(x) == largest {
			return b
		}
		return a
	case (x > y) == largest:
		return a
	}
	return b
}

// approx decodes functions of one number. Approximate forms are rounded from float64: closer than a card's.
func approx(d *decoder) {
	op := opcode(d)
	t := d.last()
	fm := d.floatMods(t)
	d.one("approx")
	f := map[string]func(float64) float64{
		"rcp": func(v float64) float64 { return 1 / v }, "sqrt": math.Sqrt, "sin": math.Sin, "cos": math.Cos,
		"rsqrt": func(v float64) float64 { return 1 / math.Sqrt(v) }, "lg2": math.Log2, "ex2": math.Exp2, "tanh": math.Tanh,
	}[op]
	d.args(2)
	one := t
	if t.packed {
		one.bits, one.packed = 16, false
	}
	value, pack := floatOf(one), bitsRounded(one, fm.round)
	g := func(a, _, _ uint64) uint64 {
		if fm.ftz {
			return flush(pack(f(value(flush(a, one)))), one)
		}
		return pack(f(value(a)))
	}
	if t.packed {
		g = halves(g)
	}
	m := mask(t.bits)
	d.in.run = each1(d.dst(0, t), d.src(1, t), func(a uint64) uint64 { return g(a&m, 0, 0) })
}

// copysign decodes  d = b with the sign of a.
func copysign(d *decoder) {
	t := d.last()
	d.args(3)
	sign := uint64(1) << (t.bits - 1)
	d.in.run = each2(d.dst(0, t), d.src(1, t), d.src(2, t), func(a, b uint64) uint64 { return a&sign | b&mask(t.bits)&^sign })
}

func testp(d *decoder) {
	t := d.last()
	op := d.one("finite", "infinite", "number", "notanumber", "normal", "subnormal")
	d.args(2)
	value := floatOf(t)
	least := 0x1p-126
	if t.bits == 64 {
		least = 0x1p-1022
	}
	p, a := d.predDst(d.arg(0)), d.src(1, t)
	d.in.run = func(w *warp, m uint32) {
		w.setPred(p, m, test(w, m, a, a, func(bits, _ uint64) bool {
			v := math.Abs(value(bits))
			switch op {
			case "finite":
				return v <= math.MaxFloat64
			case "infinite":
				return v > math.MaxFloat64
			case "number":
				return v == v
			case "notanumber":
				return v != v
			case "normal":
				return v >= least && v <= math.MaxFloat64
			}
			return v > 0 && v < least
		}))
	}
}
