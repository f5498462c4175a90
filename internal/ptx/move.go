package ptx

import (
	"math"
	"math/bits"
)

var moveOps = map[string]func(*decoder){"mov": mov, "cvt": cvt, "cvta": cvta, "isspacep": isspacep}

// mov decodes copies of registers, of addresses and special registers, and packing and unpacking of vectors.
func mov(d *decoder) {
	t := d.last()
	d.args(2)
	to, from := d.arg(0), d.arg(1)
	switch {
	case t.kind == 'p':
		dst := d.predDst(to)
		p, negated := d.pred(from)
		d.in.run = func(w *warp, m uint32) { w.setPred(dst, m, w.guard(p, negated)) }
		return
	case to.kind == opVector:
		unpack(d, t, to.list, from)
		return
	case from.kind == opVector:
		pack(d, t, to, from.list)
		return
	case from.kind == opSpecial && changing[from.name]:
		dst, read := d.dest(to, t), specials[from.name]
		d.in.run = func(w *warp, m uint32) {
			for ; m != 0; m &= m - 1 {
				i := bits.TrailingZeros32(m)
				w.r[dst][i] = read(w, i) & mask(t.bits)
			}
		}
		return
	case from.kind == opSymbol && from.sym != nil && from.sym.space == spLocal:
		off := uint64(int64(from.sym.off) + from.offset)
		d.in.run = each1(d.dest(to, t), d.fn.base, func(a uint64) uint64 { return a + off })
		return
	}
	dst, src := d.dest(to, t), d.source(from, t)
	k := mask(t.bits)
	d.in.run = func(w *warp, m uint32) {
		rd, ra := &w.r[dst], &w.r[src]
		for ; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			rd[i] = ra[i] & k
		}
	}
}

// part is the type of one of n equal parts.
func (d *decoder) part(t typ, n int) typ {
	if n == 0 || t.bits%n != 0 {
		d.fail("%d parts", n)
	}
	return typ{kind: 'b', bits: t.bits / n}
}

// unpack is  mov.b64 {a, b}, c:  the low part first.
func unpack(d *decoder, t typ, list []operand, from operand) {
	part := d.part(t, len(list))
	src := d.source(from, t)
	var dst []int
	for _, o := range list {
		dst = append(dst, d.dest(o, part))
	}
	d.in.run = func(w *warp, m uint32) {
		for ; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m)
			v := w.r[src][i]
			for _, r := range dst {
				w.r[r][i] = v & mask(part.bits)
				v >>= part.bits
			}
		}
	}
}

// pack is  mov.b64 c, {a, b}.
func pack(d *decoder, t typ, to operand, list []operand) {
	part := d.part(t, len(list))
	dst := d.dest(to, t)
	var src []int
	for _, o := range list {
		src = append(src, d.source(o, part))
	}
	d.in.run = func(w *warp, m uint32) {
		for ; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m)
			var v uint64
			for j, r := range src {
				v |= w.r[r][i] & mask(part.bits) << (part.bits * j)
			}
			w.r[dst][i] = v
		}
	}
}

// cvta converts between generic addresses and those of a space.
func cvta(d *decoder) {
	to := d.has("to")
	sp := d.space()
	t := d.last()
	d.args(2)
	base := map[space]uint64{spShared: sharedBase, spLocal: localBase}[sp]
	if to {
		base = -base
	}
	from := d.arg(1)
	if from.kind == opSymbol && from.sym != nil && from.sym.space == spLocal {
		base += uint64(int64(from.sym.off) + from.offset)
		d.in.run = each1(d.dst(0, t), d.fn.base, func(a uint64) uint64 { return a + base })
		return
	}
	d.in.run = each1(d.dst(0, t), d.src(1, t), func(a uint64) uint64 { return a + base })
}

func isspacep(d *decoder) {
	sp := d.space()
	d.args(2)
	p, a := d.predDst(d.arg(0)), d.src(1, typ{kind: 'u', bits: 64})
	d.in.run = func(w *warp, m uint32) {
		w.setPred(p, m, test(w, m, a, a, func(a, _ uint64) bool {
			switch sp {
			case spShared:
				return a >= sharedBase && a < localBase
			case spLocal:
				return a >= localBase
			case spConst:
				return false
			}
			return a < sharedBase
		}))
	}
}

// cvt decodes conversions between all integer and float types.
func cvt(d *decoder) {
	from := d.last()
	if len(d.mods) > 0 && d.mods[len(d.mods)-1] == "tf32" {
		d.fail("tf32")
	}
	to := d.last()
	round := d.one("rni", "rzi", "rmi", "rpi", "rna", "rn", "rz", "rm", "rp")
	ftz, sat, relu := d.has("ftz"), d.has("sat"), d.has("relu")
	if to.packed {
		cvtPair(d, to, from, round, relu)
		return
	}
	d.args(2)
	dst, src := d.dst(0, to), d.src(1, from)
	f := conversion(d, to, from, round, sat, relu)
	if ftz && (from.bits == 32 || to.bits == 32) {
		g := f
		f = func(v uint64) uint64 {
			if from.float() {
				v = flush(v, from)
			}
			if v = g(v); to.float() {
				v = flush(v, to)
			}
			return v
		}
	}
	wide := d.width(d.arg(0))
	if to.signed() && wide > to.bits {
		g := f
		f = func(v uint64) uint64 { return uint64(signExtend(g(v), to.bits)) & mask(wide) }
	}
	d.in.run = each1(dst, src, f)
}

// cvtPair is  cvt.rn.bf16x2.f32 d, a, b:  a becomes the upper half.
func cvtPair(d *decoder, to, from typ, round string, relu bool) {
	d.args(3)
	if from != (typ{kind: 'f', bits: 32}) || round != "rn" && round != "rz" {
		d.fail("form")
	}
	one := typ{kind: to.kind, bits: 16}
	f := conversion(d, one, from, round, false, relu)
	d.in.run = each2(d.dst(0, to), d.src(1, from), d.src(2, from), func(a, b uint64) uint64 { return f(a)<<16 | f(b) })
}

// conversion is the function between the bits of two types; the result has only the bits of to.
func conversion(d *decoder, to, from typ, round string, sat, relu bool) func(uint64) uint64 {
	switch {
	case !from.float() && !to.float():
		return intToInt(to, from, sat)
	case !from.float():
		return intToFloat(d, to, from, round)
	case !to.float():
		return floatToInt(to, from, round)
	case to == from && round == "" && !sat && !relu:
		return func(v uint64) uint64 { return v & mask(to.bits) }
	case to == (typ{kind: 'g', bits: 16}) && from.bits == 32 && round == "rn" && !sat && !relu:
		return brain
	}
	value := floatOf(from)
	whole := len(round) == 3 && round != "rna"
	mode := round
	if whole {
		mode = "rn"
	}
	if round == "rna" {
		d.fail("rounding .rna")
	}
	out := bitsRounded(to, mode)
	m := mask(from.bits)
	return func(v uint64) uint64 {
		x := value(v & m)
		if whole {
			x = math.Copysign(roundInteger(math.Abs(x), round[:2], math.Signbit(x)), x)
		}
		if sat {
			x = saturate(x)
		}
		if relu && x < 0 {
			x = 0
		}
		return out(x)
	}
}

// brain rounds float32 to bfloat16, to nearest even.
func brain(v uint64) uint64 {
	u := uint32(v)
	if u&0x7fffffff > 0x7f800000 {
		return 0x7fff
	}
	return uint64((u + 0x7fff + u>>16&1) >> 16)
}

func intToInt(to, from typ, sat bool) func(uint64) uint64 {
	m := mask(to.bits)
	extend := func(v uint64) uint64 { return v & mask(from.bits) }
	if from.signed() {
		extend = func(v uint64) uint64 { return uint64(signExtend(v, from.bits)) }
	}
	if !sat {
		return func(v uint64) uint64 { return extend(v) & m }
	}
	return func(v uint64) uint64 {
		v = extend(v)
		negative := from.signed() && int64(v) < 0
		switch {
		case to.signed() && negative:
			return uint64(max(int64(v), -1<<(to.bits-1))) & m
		case to.signed():
			return min(v, m>>1)
		case negative:
			return 0
		}
		return min(v, m)
	}
}

func intToFloat(d *decoder, to, from typ, round string) func(uint64) uint64 {
	if from.bits == 64 && to.bits < 64 {
		if to.bits != 32 || round != "rn" {
			d.fail("rounding .%s from 64 bits", round)
		}
		if from.signed() {
			return func(v uint64) uint64 { return b32(float32(int64(v))) }
		}
		return func(v uint64) uint64 { return b32(float32(v)) }
	}
	out := bitsRounded(to, round)
	if from.signed() {
		return func(v uint64) uint64 { return out(float64(signExtend(v, from.bits))) }
	}
	return func(v uint64) uint64 { return out(float64(v & mask(from.bits))) }
}

// floatToInt clamps to the range of the integer; NaN becomes 0.
func floatToInt(to, from typ, round string) func(uint64) uint64 {
	value := floatOf(from)
	mode := "rz"
	if len(round) >= 2 {
		mode = round[:2]
	}
	m := mask(to.bits)
	return func(v uint64) uint64 {
		x := value(v & mask(from.bits))
		if x != x {
			return 0
		}
		x = math.Copysign(roundInteger(math.Abs(x), mode, math.Signbit(x)), x)
		if to.signed() {
			limit := math.Ldexp(1, to.bits-1)
			switch {
			case x >= limit:
				return m >> 1
			case x < -limit:
				return m>>1 + 1
			}
			return uint64(int64(x)) & m
		}
		switch {
		case x >= math.Ldexp(1, to.bits):
			return m
		case x < 0:
			return 0
		}
		return uint64(x)
	}
}
