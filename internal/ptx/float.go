package ptx

import "math"

func f32(v uint64) float32 { return math.Float32frombits(uint32(v)) }

// b32 is the bits of a float32; the machine knows one NaN only.
func b32(v float32) uint64 {
	if v != v {
		return 0x7fffffff
	}
	return uint64(math.Float32bits(v))
}

func b64(v float64) uint64 {
	if v != v {
		return 0x7fffffffffffffff
	}
	return math.Float64bits(v)
}

// format is a binary float of at most 16 bits: fraction bits, smallest exponent of a normal number, bits of the exponent.
type format struct{ fraction, low, exponent int }

var (
	halfFormat  = format{10, -14, 5}
	brainFormat = format{7, -126, 8}
)

func (t typ) format() format {
	if t.kind == 'g' {
		return brainFormat
	}
	return halfFormat
}

// widen is the value of 16 bits.
func (f format) widen(v uint64) float64 {
	sign := 1.0
	if v>>15&1 != 0 {
		sign = -1
	}
	e := int(v >> f.fraction & (1<<f.exponent - 1))
	m := float64(v & (1<<f.fraction - 1))
	switch {
	case e == 1<<f.exponent-1 && m != 0:
		return math.NaN()
	case e == 1<<f.exponent-1:
		return math.Inf(int(sign))
	case e == 0:
		return sign * math.Ldexp(m, f.low-f.fraction)
	}
	return sign * math.Ldexp(m+float64(int(1)<<f.fraction), f.low-f.fraction+e-1)
}

// narrow rounds v to the format by the mode rn, rz, rm or rp. v is exact, or rounded to odd from a value with more bits.
func (f format) narrow(v float64, mode string) uint64 {
	sign := uint64(0)
	if math.Signbit(v) {
		sign = 1 << 15
	}
	inf := uint64(1<<f.exponent-1) << f.fraction
	a := math.Abs(v)
	switch {
	case v != v:
		return 0x7fff
	case math.IsInf(v, 0):
		return sign | inf
	case a == 0:
		return sign
	}
	e := max(math.Ilogb(a), f.low)
	n := roundInteger(math.Ldexp(a, f.fraction-e), mode, sign != 0)
	bits := uint64(e-f.low)<<f.fraction + uint64(n) // the leading one of a normal number carries into the exponent
	if bits >= inf {
		bits = inf
		if mode == "rz" || mode == "rm" && sign == 0 || mode == "rp" && sign != 0 {
			bits = inf - 1
		}
	}
	return sign | bits
}

// roundInteger rounds a magnitude to an integer; rm and rp look at the sign.
func roundInteger(a float64, mode string, negative bool) float64 {
	switch {
	case mode == "rz" || mode == "rm" && !negative || mode == "rp" && negative:
		return math.Floor(a)
	case mode == "rm" || mode == "rp":
		return math.Ceil(a)
	case mode == "rna":
		return math.Floor(a + 0.5)
	}
	return math.RoundToEven(a)
}

// floatOf is the function from the bits of a type to its value.
func floatOf(t typ) func(uint64) float64 {
	switch {
	case t.bits == 64:
		return math.Float64frombits
	case t.bits == 32 && !t.packed:
		return func(v uint64) float64 { return float64(f32(v)) }
	case t.kind == 'g':
		return func(v uint64) float64 { return float64(math.Float32frombits(uint32(v) << 16)) }
	}
	return halfFormat.widen
}

// bitsOf is the function from a value, exact or rounded to odd, to the bits of a type, to nearest even.
func bitsOf(t typ) func(float64) uint64 { return bitsRounded(t, "rn") }

func bitsRounded(t typ, mode string) func(float64) uint64 {
	switch {
	case t.bits == 64:
		return b64
	case t.bits == 32 && !t.packed:
		return func(v float64) uint64 { return b32(round32(v, mode)) }
	}
	f := t.format()
	return func(v float64) uint64 { return f.narrow(v, mode) }
}

// round32 rounds to float32.
func round32(v float64, mode string) float32 {
	r := float32(v)
	if mode == "rn" || mode == "" || float64(r) == v || v != v {
		return r
	}
	up := mode == "rp" || mode == "rz" && v < 0
	if up && float64(r) < v {
		return math.Nextafter32(r, float32(math.Inf(1)))
	}
	if !up && float64(r) > v {
		return math.Nextafter32(r, float32(math.Inf(-1)))
	}
	return r
}

// oddSum is a+b in float64 rounded to odd: rounding that again to a format of at most 51 bits is as rounding once.
func oddSum(a, b float64) float64 {
	s := a + b
	if math.IsInf(s, 0) || s != s {
		return s
	}
	t := s - a
	e := (a - (s - t)) + (b - t)
	if n := math.Float64bits(s); e != 0 && n&1 == 0 {
		if (e > 0) == (s > 0) {
			return math.Float64frombits(n + 1)
		}
		return math.Float64frombits(n - 1)
	}
	return s
}

// fma32 is a*b+c rounded once to float32.
func fma32(a, b, c float32) float32 {
	p := float64(a) * float64(b) // exact
	s := p + float64(c)
	// Rounding s again differs only where s lies half way between two float32, or is a subnormal one.
	if n := math.Float64bits(s); n&(1<<29-1) == 1<<28 || n>>52&0x7ff < 1023-125 {
		return float32(oddSum(p, float64(c)))
	}
	return float32(s)
}

// flush is v with a subnormal number replaced by zero of its sign.
func flush(v uint64, t typ) uint64 {
	switch {
	case t.bits == 32 && v&0x7f800000 == 0:
		return v & (1 << 31)
	case t.bits == 16 && t.kind == 'f' && v&0x7c00 == 0:
		return v & (1 << 15)
	}
	return v
}

// saturate clamps to [0, 1]; NaN becomes 0.
func saturate(v float64) float64 {
	if !(v > 0) {
		return 0
	}
	return min(v, 1)
}
