package ptx

import "math"

// comparison is the test of setp and set on the bits of a type.
func comparison(d *decoder, t typ, ftz bool) func(a, b uint64) bool {
	op := ""
	for _, o := range []string{"eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"} {
		if d.has(o) {
			op = o
		}
	}
	if t.float() {
		return floatComparison(d, op, t, ftz)
	}
	m, n := mask(t.bits), t.bits
	unsigned := map[string]string{"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}
	if t.signed() {
		if unsigned[op] != "" {
			d.fail("comparison %s of signed numbers", op)
		}
		test := order[int64](op)
		if test == nil {
			d.fail("comparison %q", op)
		}
		if n == 32 {
			return func(a, b uint64) bool { return test(int64(int32(a)), int64(int32(b))) }
		}
		return func(a, b uint64) bool { return test(signExtend(a, n), signExtend(b, n)) }
	}
	if u := unsigned[op]; u != "" {
		op = u
	}
	test := order[uint64](op)
	if test == nil {
		d.fail("comparison %q", op)
	}
	return func(a, b uint64) bool { return test(a&m, b&m) }
}

func order[T int64 | uint64 | float64](op string) func(a, b T) bool {
	switch op {
	case "eq":
		return func(a, b T) bool { return a == b }
	case "ne":
		return func(a, b T) bool { return a != b }
	case "lt":
		return func(a, b T) bool { return a < b }
	case "le":
		return func(a, b T) bool { return a <= b }
	case "gt":
		return func(a, b T) bool { return a > b }
	case "ge":
		return func(a, b T) bool { return a >= b }
	}
	return nil
}

// floatComparison: the plain forms are false where one side is NaN, those with u true.
func floatComparison(d *decoder, op string, t typ, ftz bool) func(a, b uint64) bool {
	value := floatOf(t)
	if ftz {
		exact := value
		value = func(v uint64) float64 { return exact(flush(v, t)) }
	}
	isNaN := func(a, b uint64) bool { return math.IsNaN(value(a)) || math.IsNaN(value(b)) }
	switch op {
	case "num":
		return func(a, b uint64) bool { return !isNaN(a, b) }
	case "nan":
		return isNaN
	case "ne":
		return func(a, b uint64) bool { return !isNaN(a, b) && value(a) != value(b) }
	case "equ", "neu", "ltu", "leu", "gtu", "geu":
		test := order[float64](op[:2])
		return func(a, b uint64) bool { return isNaN(a, b) || test(value(a), value(b)) }
	}
	test := order[float64](op)
	if test == nil {
		d.fail("comparison %q of floats", op)
	}
	return func(a, b uint64) bool { return test(value(a), value(b)) }
}

// setp decodes  setp.lt.and.s32 p|q, a, b, c:  p = (a < b) and c, q = !(a < b) and c.
func setp(d *decoder) {
	t := d.last()
	ftz := d.has("ftz")
	f := comparison(d, t, ftz)
	op := d.one("and", "or", "xor")
	n := d.args(3, 4)
	if (op != "") != (n == 4) || t.packed || t.kind == 'p' {
		d.fail("form")
	}
	p, q := d.predDst(d.arg(0)), -1
	if o := d.arg(0).pair; o != nil {
		q = d.predDst(*o)
	}
	a, b := d.src(1, t), d.src(2, t)
	if n == 3 && q < 0 {
		d.in.run = func(w *warp, m uint32) { w.setPred(p, m, test(w, m, a, b, f)) }
		return
	}
	join := func(a, _ uint32) uint32 { return a }
	c, negated := 0, false
	if n == 4 {
		join = combine(d, op)
		c, negated = d.pred(d.arg(3))
	}
	d.in.run = func(w *warp, m uint32) {
		yes, third := test(w, m, a, b, f), w.guard(c, negated)
		w.setPred(p, m, join(yes, third))
		if q >= 0 {
			w.setPred(q, m, join(^yes, third))
		}
	}
}

// setVal decodes  set.lt.u32.f32 d, a, b:  all ones or zero, or 1.0 or 0.0.
func setVal(d *decoder) {
	t := d.last()
	out := d.last()
	ftz := d.has("ftz")
	f := comparison(d, t, ftz)
	d.args(3)
	yes := mask(out.bits)
	if out.float() {
		yes = bitsOf(out)(1)
	}
	d.in.run = each2(d.dst(0, out), d.src(1, t), d.src(2, t), func(a, b uint64) uint64 {
		if f(a, b) {
			return yes
		}
		return 0
	})
}

func selp(d *decoder) {
	t := d.last()
	d.args(4)
	dst, a, b := d.dst(0, t), d.src(1, t), d.src(2, t)
	p, negated := d.pred(d.arg(3))
	d.in.run = func(w *warp, m uint32) {
		yes := w.guard(p, negated)
		rd, ra, rb := &w.r[dst], &w.r[a], &w.r[b]
		for i := range rd {
			if m>>i&1 == 0 {
				continue
			}
			if yes>>i&1 != 0 {
				rd[i] = ra[i]
			} else {
				rd[i] = rb[i]
			}
		}
	}
}

// slct decodes  d = c >= 0 ? a : b.
func slct(d *decoder) {
	tc := d.last()
	t := d.last()
	d.has("ftz")
	d.args(4)
	d.in.run = each3(d.dst(0, t), d.src(1, t), d.src(2, t), d.src(3, tc), func(a, b, c uint64) uint64 {
		if tc.float() && f32(c) >= 0 || !tc.float() && int32(c) >= 0 {
			return a
		}
		return b
	})
}
