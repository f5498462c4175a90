package ptx

import (
	"math/bits"
	"strings"
)

var intOps = map[string]func(*decoder){
	"add": arith, "sub": arith, "mul": arith, "mad": arith, "div": arith, "rem": arith, "min": arith, "max": arith,
	"abs": arith, "neg": arith, "fma": arith,
	"addc": carried, "subc": carried, "madc": carried, "sad": sad,
	"and": logic, "or": logic, "xor": logic, "not": logic, "cnot": logic, "lop3": lop3,
	"shl": shift, "shr": shift, "shf": funnel, "prmt": prmt,
	"bfe": bfe, "bfi": bfi, "popc": countBits, "clz": countBits, "bfind": bfind, "brev": countBits,
	"setp": setp, "set": setVal, "selp": selp, "slct": slct, "dp4a": dp4a, "mul24": mul24, "mad24": mul24,
}

func opcode(d *decoder) string {
	for i, c := range d.s.op {
		if c == '.' {
			return d.s.op[:i]
		}
	}
	return d.s.op
}

// last is the type an instruction ends with.
func (d *decoder) last() typ {
	if len(d.mods) == 0 {
		d.fail("no type")
	}
	t, err := parseType(d.mods[len(d.mods)-1])
	if err != nil {
		d.fail("%v", err)
	}
	d.mods = d.mods[:len(d.mods)-1]
	return t
}

// arith decodes what exists for integers and floats.
func arith(d *decoder) {
	t := d.last()
	if t.float() {
		floatArith(d, t)
		return
	}
	op := opcode(d)
	if d.has("cc") {
		carriedOut(d, op, t)
		return
	}
	half := d.one("lo", "hi", "wide")
	sat := d.has("sat")
	if (op == "mul" || op == "mad") == (half == "") || sat && (t != typ{kind: 's', bits: 32} || op == "mul") {
		d.fail("modifiers do not fit")
	}
	out := t
	if half == "wide" {
		out.bits *= 2
	}
	switch op {
	case "abs", "neg":
		d.args(2)
		m := mask(t.bits)
		f := func(a uint64) uint64 { return -a & m }
		if op == "abs" {
			f = func(a uint64) uint64 {
				v := signExtend(a, t.bits)
				return uint64(max(v, -v)) & m
			}
		}
		d.in.run = each1(d.dst(0, out), d.src(1, t), f)
	case "mad":
		d.args(4)
		dst, a, b, c := d.dst(0, out), d.src(1, t), d.src(2, t), d.src(3, out)
		d.in.run = mad(dst, a, b, c, half, t, sat)
	case "fma":
		d.fail("integers")
	default:
		d.args(3)
		dst, a, b := d.dst(0, out), d.src(1, t), d.src(2, t)
		if run := fastInt(op, half, t, sat, dst, a, b); run != nil {
			d.in.run = run
			return
		}
		d.in.run = each2(dst, a, b, intBinary(d, op, half, t, sat))
	}
}

// fastInt are the forms that kernels spend their time in, as loops of their own.
func fastInt(op, half string, t typ, sat bool, d, a, b int) runner {
	switch {
	case op == "add" && t.bits == 32 && !sat:
		return func(w *warp, m uint32) {
			rd, ra, rb := &w.r[d], &w.r[a], &w.r[b]
			if m == allLanes {
				for i := range rd {
					rd[i] = uint64(uint32(ra[i] + rb[i]))
				}
				return
			}
			for ; m != 0; m &= m - 1 {
				i := bits.TrailingZeros32(m) & 31
				rd[i] = uint64(uint32(ra[i] + rb[i]))
			}
		}
	case op == "add" && t.bits == 64:
		return func(w *warp, m uint32) {
			rd, ra, rb := &w.r[d], &w.r[a], &w.r[b]
			if m == allLanes {
				for i := range rd {
					rd[i] = ra[i] + rb[i]
				}
				return
			}
			for ; m != 0; m &= m - 1 {
				i := bits.TrailingZeros32(m) & 31
				rd[i] = ra[i] + rb[i]
			}
		}
	case op == "mul" && half == "wide" && t.bits == 32 && t.signed():
		return func(w *warp, m uint32) {
			rd, ra, rb := &w.r[d], &w.r[a], &w.r[b]
			for ; m != 0; m &= m - 1 {
				i := bits.TrailingZeros32(m) & 31
				rd[i] = uint64(int64(int32(ra[i])) * int64(int32(rb[i])))
			}
		}
	}
	return nil
}

func intBinary(d *decoder, op, half string, t typ, sat bool) func(a, b uint64) uint64 {
	m, n := mask(t.bits), t.bits
	sx := func(v uint64) int64 { return signExtend(v, n) }
	switch op {
	case "add":
		if sat {
			return func(a, b uint64) uint64 { return saturate32(sx(a) + sx(b)) }
		}
		return func(a, b uint64) uint64 { return (a + b) & m }
	case "sub":
		if sat {
			return func(a, b uint64) uint64 { return saturate32(sx(a) - sx(b)) }
		}
		return func(a, b uint64) uint64 { return (a - b) & m }
	case "mul":
		return multiply(half, t)
	case "min", "max":
		less := op == "min"
		if t.signed() {
			return func(a, b uint64) uint64 {
				if (sx(a) < sx(b)) == less {
					return a & m
				}
				return b & m
			}
		}
		return func(a, b uint64) uint64 {
			if (a&m < b&m) == less {
				return a & m
			}
			return b & m
		}
	case "div", "rem":
		return divide(op == "rem", t)
	}
	d.fail("%s of integers", op)
	return nil
}

func saturate32(v int64) uint64 { return uint64(uint32(min(max(v, -1<<31), 1<<31-1))) }

// multiply is mul.lo, mul.hi or mul.wide.
func multiply(half string, t typ) func(a, b uint64) uint64 {
	m, n := mask(t.bits), t.bits
	switch {
	case half == "lo":
		return func(a, b uint64) uint64 { return a * b & m }
	case half == "wide" && t.signed():
		m2 := mask(2 * n)
		return func(a, b uint64) uint64 { return uint64(signExtend(a, n)*signExtend(b, n)) & m2 }
	case half == "wide":
		return func(a, b uint64) uint64 { return (a & m) * (b & m) }
	case n < 64 && t.signed():
		return func(a, b uint64) uint64 { return uint64(signExtend(a, n)*signExtend(b, n)>>n) & m }
	case n < 64:
		return func(a, b uint64) uint64 { return (a & m) * (b & m) >> n }
	case t.signed():
		return func(a, b uint64) uint64 {
			hi, _ := bits.Mul64(a, b)
			return hi - uint64(int64(a)>>63)&b - uint64(int64(b)>>63)&a
		}
	}
	return func(a, b uint64) uint64 { hi, _ := bits.Mul64(a, b); return hi }
}

// divide is div or rem; a division by zero gives all ones, as the machine does.
func divide(rem bool, t typ) func(a, b uint64) uint64 {
	m, n := mask(t.bits), t.bits
	if t.signed() {
		return func(a, b uint64) uint64 {
			x, y := signExtend(a, n), signExtend(b, n)
			switch {
			case y == 0 && rem:
				return a & m
			case y == 0:
				return m
			case y == -1 && rem:
				return 0
			case y == -1:
				return uint64(-x) & m
			case rem:
				return uint64(x%y) & m
			}
			return uint64(x/y) & m
		}
	}
	return func(a, b uint64) uint64 {
		a, b = a&m, b&m
		switch {
		case b == 0 && rem:
			return a
		case b == 0:
			return m
		case rem:
			return a % b
		}
		return a / b
	}
}

func mad(d, a, b, c int, half string, t typ, sat bool) runner {
	mul := multiply(half, t)
	switch {
	case sat: // mad.hi.sat.s32
		return each3(d, a, b, c, func(a, b, c uint64) uint64 { return saturate32(signExtend(mul(a, b), 32) + signExtend(c, 32)) })
	case half == "lo" && t.bits == 32:
		return func(w *warp, m uint32) {
			rd, ra, rb, rc := &w.r[d], &w.r[a], &w.r[b], &w.r[c]
			for ; m != 0; m &= m - 1 {
				i := bits.TrailingZeros32(m) & 31
				rd[i] = uint64(uint32(ra[i]*rb[i] + rc[i]))
			}
		}
	}
	out := mask(t.bits)
	if half == "wide" {
		out = mask(2 * t.bits)
	}
	return each3(d, a, b, c, func(a, b, c uint64) uint64 { return (mul(a, b) + c) & out })
}

// carriedOut decodes add.cc, sub.cc and mad.cc, carried addc, subc and madc: one carry bit a lane lives between them.
func carriedOut(d *decoder, op string, t typ) { carryOp(d, op, false, true, t) }

func carried(d *decoder) {
	t := d.last()
	carryOp(d, strings.TrimSuffix(opcode(d), "c"), true, d.has("cc"), t)
}

func carryOp(d *decoder, op string, in, out bool, t typ) {
	if t.bits < 32 || t.float() {
		d.fail("type")
	}
	n, m := t.bits, mask(t.bits)
	dst, ra, rb := d.dst(0, t), d.src(1, t), d.src(2, t)
	if op == "mad" {
		d.args(4)
		c, half := d.src(3, t), multiply(d.one("lo", "hi"), t)
		d.in.run = func(w *warp, lanes uint32) {
			for ; lanes != 0; lanes &= lanes - 1 {
				i := bits.TrailingZeros32(lanes)
				w.r[dst][i] = w.withCarry(i, half(w.r[ra][i], w.r[rb][i])&m, w.r[c][i]&m, n, false, in, out)
			}
		}
		return
	}
	d.args(3)
	d.in.run = func(w *warp, lanes uint32) {
		for ; lanes != 0; lanes &= lanes - 1 {
			i := bits.TrailingZeros32(lanes)
			w.r[dst][i] = w.withCarry(i, w.r[ra][i]&m, w.r[rb][i]&m, n, op == "sub", in, out)
		}
	}
}

// withCarry is a + b or a - b of n bits with a lane's carry, which it uses if in and sets if out.
func (w *warp) withCarry(lane int, a, b uint64, n int, sub, in, out bool) uint64 {
	var c, v, carry uint64
	if in {
		c = uint64(w.carry >> lane & 1)
	}
	if sub {
		v, carry = bits.Sub64(a, b, c)
	} else if v, carry = bits.Add64(a, b, c); n == 32 {
		carry = v >> 32
	}
	if out {
		w.carry = w.carry&^(1<<lane) | uint32(carry&1)<<lane
	}
	return v & mask(n)
}

func sad(d *decoder) {
	t := d.last()
	d.args(4)
	n := t.bits
	d.in.run = each3(d.dst(0, t), d.src(1, t), d.src(2, t), d.src(3, t), func(a, b, c uint64) uint64 {
		if t.signed() {
			x, y := signExtend(a, n), signExtend(b, n)
			return (c + uint64(max(x-y, y-x))) & mask(n)
		}
		a, b = a&mask(n), b&mask(n)
		return (c + max(a, b) - min(a, b)) & mask(n)
	})
}

func mul24(d *decoder) {
	half, t := d.one("lo", "hi"), d.last()
	low := func(v uint64) int64 {
		if t.signed() {
			return signExtend(v, 24)
		}
		return int64(v & mask(24))
	}
	mul := func(a, b uint64) uint64 {
		v := low(a) * low(b)
		if half == "hi" {
			v >>= 16
		}
		return uint64(uint32(v))
	}
	if opcode(d) == "mul24" {
		d.args(3)
		d.in.run = each2(d.dst(0, t), d.src(1, t), d.src(2, t), mul)
		return
	}
	d.args(4)
	d.in.run = each3(d.dst(0, t), d.src(1, t), d.src(2, t), d.src(3, t), func(a, b, c uint64) uint64 { return uint64(uint32(mul(a, b) + c)) })
}

// logic decodes and, or, xor, not, cnot of registers and of predicates.
func logic(d *decoder) {
	op, t := opcode(d), d.last()
	if t.kind == 'p' {
		logicPred(d, op)
		return
	}
	m := mask(t.bits)
	switch op {
	case "not", "cnot":
		d.args(2)
		f := func(a uint64) uint64 { return ^a & m }
		if op == "cnot" {
			f = func(a uint64) uint64 { return truth(a&m == 0) }
		}
		d.in.run = each1(d.dst(0, t), d.src(1, t), f)
		return
	}
	d.args(3)
	f := map[string]func(a, b uint64) uint64{
		"and": func(a, b uint64) uint64 { return a & b & m },
		"or":  func(a, b uint64) uint64 { return (a | b) & m },
		"xor": func(a, b uint64) uint64 { return (a ^ b) & m },
	}[op]
	d.in.run = each2(d.dst(0, t), d.src(1, t), d.src(2, t), f)
}

func truth(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func logicPred(d *decoder, op string) {
	dst := d.predDst(d.arg(0))
	a, na := d.pred(d.arg(1))
	if op == "not" {
		d.args(2)
		d.in.run = func(w *warp, m uint32) { w.setPred(dst, m, ^w.guard(a, na)) }
		return
	}
	d.args(3)
	b, nb := d.pred(d.arg(2))
	f := combine(d, op)
	d.in.run = func(w *warp, m uint32) { w.setPred(dst, m, f(w.guard(a, na), w.guard(b, nb))) }
}

// combine is and, or, xor on the lanes of predicates.
func combine(d *decoder, op string) func(a, b uint32) uint32 {
	switch op {
	case "and":
		return func(a, b uint32) uint32 { return a & b }
	case "or":
		return func(a, b uint32) uint32 { return a | b }
	case "xor":
		return func(a, b uint32) uint32 { return a ^ b }
	}
	d.fail("%s of predicates", op)
	return nil
}

func lop3(d *decoder) {
	t := d.last()
	d.args(5)
	if d.arg(4).kind != opNumber {
		d.fail("the table is no constant")
	}
	table := d.arg(4).num.bits
	d.in.run = each3(d.dst(0, t), d.src(1, t), d.src(2, t), d.src(3, t), func(a, b, c uint64) uint64 {
		var v uint64
		for i := range uint64(8) { // bit i of the table is the result for a = bit 2, b = bit 1, c = bit 0 of i
			if table>>i&1 != 0 {
				v |= (a ^ (i>>2&1 - 1)) & (b ^ (i>>1&1 - 1)) & (c ^ (i&1 - 1))
			}
		}
		return v & mask(32)
	})
}

// shift decodes shl and shr: amounts from the width on shift everything out.
func shift(d *decoder) {
	op, t := opcode(d), d.last()
	d.args(3)
	n, m := uint64(t.bits), mask(t.bits)
	dst, a, b := d.dst(0, t), d.src(1, t), d.src(2, typ{kind: 'u', bits: 32})
	switch {
	case op == "shl":
		d.in.run = each2(dst, a, b, func(a, b uint64) uint64 { return a << min(b&mask(32), n) & m })
	case t.signed():
		d.in.run = each2(dst, a, b, func(a, b uint64) uint64 { return uint64(signExtend(a, t.bits)>>min(b&mask(32), n)) & m })
	default:
		d.in.run = each2(dst, a, b, func(a, b uint64) uint64 { return a & m >> min(b&mask(32), n) })
	}
}

// funnel decodes shf: the upper (l) or lower (r) half of b:a shifted.
func funnel(d *decoder) {
	dir, wrap := d.one("l", "r"), d.one("wrap", "clamp")
	t := d.last()
	d.args(4)
	d.in.run = each3(d.dst(0, t), d.src(1, t), d.src(2, t), d.src(3, t), func(a, b, c uint64) uint64 {
		n := c & 31
		if wrap == "clamp" {
			n = min(c&mask(32), 32)
		}
		v := b&mask(32)<<32 | a&mask(32)
		if dir == "l" {
			return v << n >> 32
		}
		return v >> n & mask(32)
	})
}

// prmt decodes the choice of four bytes out of eight.
func prmt(d *decoder) {
	d.last()
	mode := d.one("f4e", "b4e", "rc8", "ecl", "ecr", "rc16")
	t := typ{kind: 'b', bits: 32}
	d.args(4)
	pick := func(i, c uint64) uint64 { // the source byte of result byte i, bit 3: replicate its sign
		c &= 3
		switch mode {
		case "f4e":
			return (c + i) & 7
		case "b4e":
			return (c - i) & 7
		case "rc8":
			return c
		case "ecl":
			return max(c, i)
		case "ecr":
			return min(c, i)
		}
		return c&1*2 + i&1
	}
	if mode == "" {
		pick = func(i, c uint64) uint64 { return c >> (4 * i) & 15 }
	}
	d.in.run = each3(d.dst(0, t), d.src(1, t), d.src(2, t), d.src(3, t), func(a, b, c uint64) uint64 {
		v := b&mask(32)<<32 | a&mask(32)
		var out uint64
		for i := range uint64(4) {
			s := pick(i, c)
			by := v >> (8 * (s & 7)) & 255
			if s&8 != 0 {
				by = uint64(int8(by)>>7) & 255
			}
			out |= by << (8 * i)
		}
		return out
	})
}

func bfe(d *decoder) {
	t := d.last()
	d.args(4)
	u := typ{kind: 'u', bits: 32}
	n := uint64(t.bits)
	d.in.run = each3(d.dst(0, t), d.src(1, t), d.src(2, u), d.src(3, u), func(a, b, c uint64) uint64 {
		pos, width := b&255, c&255
		if width == 0 {
			return 0
		}
		a &= mask(t.bits)
		v := a >> min(pos, 64) & mask(int(width))
		if t.signed() {
			top := min(pos+width-1, n-1)
			if a>>top&1 != 0 {
				v |= ^uint64(0) << min(width, 64)
				if pos < n { // bits beyond the end read as the sign
					v |= ^uint64(0) << (n - pos)
				} else {
					v = ^uint64(0)
				}
			}
		}
		return v & mask(t.bits)
	})
}

func bfi(d *decoder) {
	t := d.last()
	d.args(5)
	u := typ{kind: 'u', bits: 32}
	dst, ra, rb, rc, rd := d.dst(0, t), d.src(1, t), d.src(2, t), d.src(3, u), d.src(4, u)
	d.in.run = func(w *warp, m uint32) {
		for ; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m)
			pos, width := w.r[rc][i]&255, w.r[rd][i]&255
			field := mask(int(width)) << min(pos, 64)
			w.r[dst][i] = (w.r[rb][i]&^field | w.r[ra][i]<<min(pos, 64)&field) & mask(t.bits)
		}
	}
}

// countBits decodes popc, clz, brev.
func countBits(d *decoder) {
	op, t := opcode(d), d.last()
	d.args(2)
	m := mask(t.bits)
	out := typ{kind: 'u', bits: 32}
	var f func(uint64) uint64
	switch op {
	case "popc":
		f = func(a uint64) uint64 { return uint64(bits.OnesCount64(a & m)) }
	case "clz":
		f = func(a uint64) uint64 { return uint64(bits.LeadingZeros64(a&m) - (64 - t.bits)) }
	default:
		out = t
		f = func(a uint64) uint64 { return bits.Reverse64(a&m) >> (64 - t.bits) }
	}
	d.in.run = each1(d.dst(0, out), d.src(1, t), f)
}

// bfind finds the highest bit that is not the sign: its position, or with shiftamt how far it is from the top.
func bfind(d *decoder) {
	amount, t := d.has("shiftamt"), d.last()
	d.args(2)
	d.in.run = each1(d.dst(0, typ{kind: 'u', bits: 32}), d.src(1, t), func(a uint64) uint64 {
		a &= mask(t.bits)
		if t.signed() && a>>(t.bits-1) != 0 {
			a = ^a & mask(t.bits)
		}
		switch n := bits.Len64(a) - 1; {
		case n < 0:
			return mask(32)
		case amount:
			return uint64(t.bits - 1 - n)
		default:
			return uint64(n)
		}
	})
}

// dp4a decodes the sum of four products of bytes.
func dp4a(d *decoder) {
	if len(d.mods) != 2 {
		d.fail("types")
	}
	ta, tb := d.typ(), d.typ()
	d.args(4)
	part := func(v uint64, t typ) int64 {
		if t.signed() {
			return int64(int8(v))
		}
		return int64(uint8(v))
	}
	d.in.run = each3(d.dst(0, ta), d.src(1, ta), d.src(2, tb), d.src(3, ta), func(a, b, c uint64) uint64 {
		sum := int64(c)
		for i := range 4 {
			sum += part(a>>(8*i), ta) * part(b>>(8*i), tb)
		}
		return uint64(uint32(sum))
	})
}
