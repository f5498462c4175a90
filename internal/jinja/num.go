package jinja

import (
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
	"unicode"
)

// number is a Python number: an integer that fits in i, a longer one in b, or a float.
type number struct {
	i     int64
	b     *big.Int
	f     float64
	float bool
}

func toNumber(v Value) (number, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return number{i: 1}, true
		}
		return number{}, true
	case int64:
		return number{i: v}, true
	case *big.Int:
		return number{b: v}, true
	case float64:
		return number{f: v, float: true}, true
	}
	return number{}, false
}

// toInt is an integer or a bool that fits.
func toInt(v Value) (int64, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case int64:
		return v, true
	}
	return 0, false
}

func (n number) big() *big.Int {
	if n.b != nil {
		return n.b
	}
	return big.NewInt(n.i)
}

// toFloat is the number as a float.
func (st *state) toFloat(n number) float64 {
	switch {
	case n.float:
		return n.f
	case n.b != nil:
		f, _ := new(big.Float).SetInt(n.b).Float64()
		if math.IsInf(f, 0) {
			st.fail("the integer is too large for a float")
		}
		return f
	}
	return float64(n.i)
}

// small is an integer in the form that values have.
func small(b *big.Int) Value {
	if b.IsInt64() {
		return b.Int64()
	}
	return b
}

// result is small, within the limit on the length of integers.
func (st *state) result(b *big.Int) Value {
	if b.BitLen() > maxBits {
		st.fail("an integer of more than %d bits", maxBits)
	}
	st.pay(b.BitLen() / 8)
	return small(b)
}

// compareNumbers is -1, 0 or 1; ok is false where one is no number (NaN).
func compareNumbers(a, b number) (c int, ok bool) {
	switch {
	case a.float && b.float:
		switch {
		case a.f < b.f:
			return -1, true
		case a.f > b.f:
			return 1, true
		}
		return 0, a.f == b.f
	case a.float:
		c, ok = compareNumbers(b, a)
		return -c, ok
	case b.float:
		if math.IsNaN(b.f) {
			return 0, false
		}
		if math.IsInf(b.f, 0) {
			return -int(math.Copysign(1, b.f)), true
		}
		return new(big.Float).SetPrec(maxBits + 64).SetInt(a.big()).Cmp(big.NewFloat(b.f)), true
	case a.b == nil && b.b == nil:
		switch {
		case a.i < b.i:
			return -1, true
		case a.i > b.i:
			return 1, true
		}
		return 0, true
	}
	return a.big().Cmp(b.big()), true
}

func (st *state) arith(op string, a, b number) Value {
	if a.float || b.float || op == "/" {
		return st.floatArith(op, a, b)
	}
	if a.b == nil && b.b == nil {
		x, y := a.i, b.i
		switch op {
		case "+":
			if s := x + y; (s > x) == (y > 0) {
				return s
			}
		case "-":
			if s := x - y; (s < x) == (y > 0) {
				return s
			}
		case "*":
			hi, lo := bits.Mul64(uint64(max(x, -x)), uint64(max(y, -y)))
			if hi == 0 && lo < 1<<63 && x != math.MinInt64 && y != math.MinInt64 {
				return x * y
			}
		case "//", "%":
			if y == 0 {
				st.fail("division by zero")
			}
			if x != math.MinInt64 {
				q, r := x/y, x%y
				if r != 0 && (r < 0) != (y < 0) {
					q, r = q-1, r+y
				}
				if op == "//" {
					return q
				}
				return r
			}
		}
	}
	x, y := a.big(), b.big()
	st.pay((x.BitLen() + y.BitLen()) / 8)
	switch op {
	case "+":
		return st.result(new(big.Int).Add(x, y))
	case "-":
		return st.result(new(big.Int).Sub(x, y))
	case "*":
		if x.BitLen()+y.BitLen() > maxBits+1 {
			st.fail("an integer of more than %d bits", maxBits)
		}
		st.payTimes(1+x.BitLen()/64, 1+y.BitLen()/64)
		return st.result(new(big.Int).Mul(x, y))
	case "//", "%":
		if y.Sign() == 0 {
			st.fail("division by zero")
		}
		st.payTimes(1+x.BitLen()/64, 1+y.BitLen()/64)
		q, r := new(big.Int).QuoRem(x, y, new(big.Int))
		if r.Sign() != 0 && r.Sign() != y.Sign() {
			q.Sub(q, big.NewInt(1))
			r.Add(r, y)
		}
		if op == "//" {
			return small(q)
		}
		return small(r)
	}
	return st.power(x, y)
}

// power is x ** y of integers.
func (st *state) power(x, y *big.Int) Value {
	if y.Sign() < 0 {
		if x.Sign() == 0 {
			st.fail("zero cannot have a negative power")
		}
		return st.floatPower(st.toFloat(number{b: x}), st.toFloat(number{b: y}))
	}
	if x.BitLen() <= 1 { // -1, 0, 1
		if x.Sign() < 0 && y.Bit(0) == 0 {
			return int64(1)
		}
		if y.Sign() == 0 {
			return int64(1)
		}
		return small(x)
	}
	if !y.IsInt64() || y.Int64() > maxBits || int64(x.BitLen()-1)*y.Int64() > maxBits {
		st.fail("an integer of more than %d bits", maxBits)
	}
	st.pay(int(int64(x.BitLen()) * y.Int64() / 8 * 16))
	return st.result(new(big.Int).Exp(x, y, nil))
}

func (st *state) floatArith(op string, a, b number) Value {
	if op == "/" && !a.float && !b.float {
		if b.big().Sign() == 0 {
			st.fail("division by zero")
		}
		st.pay((a.big().BitLen() + b.big().BitLen()) / 8)
		f, _ := new(big.Rat).SetFrac(a.big(), b.big()).Float64()
		if math.IsInf(f, 0) {
			st.fail("the quotient is too large for a float")
		}
		return f
	}
	x, y := st.toFloat(a), st.toFloat(b)
	switch op {
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return x * y
	case "**":
		if x == 0 && y < 0 {
			st.fail("zero cannot have a negative power")
		}
		if x < 0 && y != math.Floor(y) && !math.IsInf(x, 0) && !math.IsInf(y, 0) {
			st.fail("the power is a complex number, which is not supported")
		}
		f := st.floatPower(x, y)
		if math.IsInf(f, 0) && !math.IsInf(x, 0) && !math.IsInf(y, 0) {
			st.fail("the power is too large for a float")
		}
		return f
	}
	if y == 0 {
		st.fail("division by zero")
	}
	switch op {
	case "/":
		return x / y
	case "%":
		_, m := floatDivMod(x, y)
		return m
	}
	d, _ := floatDivMod(x, y)
	return d
}

// floatPower is x ** y, rounded rightly as C's pow is. math.Pow is not.
func (st *state) floatPower(x, y float64) float64 {
	whole := y == math.Floor(y)
	switch {
	case x == 0 || y == 0 || x == 1 || math.IsNaN(x) || math.IsNaN(y) || math.IsInf(x, 0) || math.IsInf(y, 0):
		return math.Pow(x, y)
	case y == 0.5:
		return math.Sqrt(x)
	case !whole || math.Abs(y) > 1<<20:
		st.fail("powers of floats are supported for whole exponents only")
	}
	const precision = 400
	p, square := big.NewFloat(1).SetPrec(precision), big.NewFloat(math.Abs(x)).SetPrec(precision)
	for n := int64(math.Abs(y)); n > 0; n >>= 1 {
		st.pay(precision)
		if n&1 == 1 {
			p.Mul(p, square)
		}
		square.Mul(square, square)
	}
	if y < 0 {
		p.Quo(big.NewFloat(1).SetPrec(precision), p)
	}
	f, _ := p.Float64()
	if x < 0 && int64(y)&1 == 1 {
		f = -f
	}
	return f
}

// floatDivMod is Python's divmod of floats.
func floatDivMod(x, y float64) (div, mod float64) {
	mod = math.Mod(x, y)
	div = (x - mod) / y
	if mod != 0 {
		if (y < 0) != (mod < 0) {
			mod += y
			div--
		}
	} else {
		mod = math.Copysign(0, y)
	}
	if div != 0 {
		floor := math.Floor(div)
		if div-floor > 0.5 {
			floor++
		}
		return floor, mod
	}
	return math.Copysign(0, x/y), mod
}

func (st *state) unary(op byte, v Value) Value {
	if u, ok := v.(*undefined); ok {
		st.useUndefined(u)
	}
	n, ok := toNumber(v)
	switch {
	case !ok:
		st.fail("%c cannot stand before a value of type %s", op, typeName(v))
	case n.float && op == '-':
		return -n.f
	case n.float:
		return n.f
	case op == '-':
		if n.b == nil && n.i != math.MinInt64 {
			return -n.i
		}
		return small(new(big.Int).Neg(n.big()))
	}
	return small(n.big())
}

// floatRepr is repr(f).
func floatRepr(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	e := strings.IndexByte(s, 'e')
	exp, _ := strconv.Atoi(s[e+1:])
	if exp < -4 || exp >= 16 {
		return s
	}
	s = strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// intString is str of an integer.
func (st *state) intString(n number) string {
	if n.b == nil {
		return strconv.FormatInt(n.i, 10)
	}
	if n.b.BitLen() > 14284 { // 10 ** 4300
		if s := n.b.String(); len(strings.TrimPrefix(s, "-")) > maxDigits {
			st.fail("an integer of more than %d digits cannot be printed", maxDigits)
		}
	}
	st.pay(n.b.BitLen() / 2)
	return n.b.String()
}

// parseInt is int(s, base); ok is false where Python raises ValueError.
func parseInt(s string, base int) (Value, bool) {
	s = strings.TrimFunc(s, isSpace)
	sign := ""
	if s != "" && (s[0] == '-' || s[0] == '+') {
		if s[0] == '-' {
			sign = "-"
		}
		s = s[1:]
	}
	if len(s) > 2 && s[0] == '0' {
		prefix := map[byte]int{'b': 2, 'o': 8, 'x': 16}[s[1]|0x20]
		switch {
		case prefix != 0 && (base == prefix || base == 0):
			base = prefix
			s = strings.TrimPrefix(s[2:], "_")
		}
	}
	if base == 0 {
		if strings.Trim(s, "0_") != "" && s[0] == '0' {
			return nil, false
		}
		base = 10
	}
	digits := asciiDigits(s)
	if digits == "" || digits[0] == '_' || digits[len(digits)-1] == '_' || strings.Contains(digits, "__") {
		return nil, false
	}
	digits = strings.ReplaceAll(digits, "_", "")
	if len(digits) > maxDigits || digits[0] == '-' || digits[0] == '+' {
		return nil, false
	}
	b, ok := new(big.Int).SetString(sign+digits, base)
	if !ok {
		return nil, false
	}
	return small(b), true
}

// asciiDigits writes decimal digits of other scripts as those of ASCII.
func asciiDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if d := decimalDigit(r); r >= 0x80 && d >= 0 {
			return rune('0' + d)
		}
		return r
	}, s)
}

// decimalDigit is the value of a character of category Nd, or -1. Their blocks of ten begin at zero.
func decimalDigit(r rune) int {
	if '0' <= r && r <= '9' {
		return int(r - '0')
	}
	if r < 0x80 || !unicode.Is(unicode.Nd, r) {
		return -1
	}
	for _, t := range unicode.Nd.R16 {
		if uint32(r) >= uint32(t.Lo) && uint32(r) <= uint32(t.Hi) {
			return int(uint32(r)-uint32(t.Lo)) % 10
		}
	}
	for _, t := range unicode.Nd.R32 {
		if uint32(r) >= t.Lo && uint32(r) <= t.Hi {
			return int(uint32(r)-t.Lo) % 10
		}
	}
	return -1
}

// parseFloat is float(s).
func parseFloat(s string) (float64, bool) {
	s = asciiDigits(strings.TrimFunc(s, isSpace))
	if s == "" || s[0] == '_' || s[len(s)-1] == '_' {
		return 0, false
	}
	for i := range len(s) {
		if s[i] == '_' && (s[i-1] < '0' || s[i-1] > '9' || s[i+1] < '0' || s[i+1] > '9') {
			return 0, false
		}
		if s[i] == 'x' || s[i] == 'X' || s[i] == 'p' || s[i] == 'P' {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

// roundFloat is round(f, n).
func roundFloat(f float64, n int) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) || f == 0 || n > 323 {
		return f
	}
	if n < -308 {
		return math.Copysign(0, f)
	}
	if n >= 0 {
		r, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', n, 64), 64)
		return r
	}
	// Round the exact value to a multiple of 10 ** -n, halves to even.
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(-n)), nil)
	exact := new(big.Rat).SetFloat64(f)
	r, _ := new(big.Rat).SetInt(roundRat(exact, unit)).Float64()
	if r == 0 {
		return math.Copysign(0, f)
	}
	return r
}

// roundRat is the multiple of unit that is nearest to x, halves to even.
func roundRat(x *big.Rat, unit *big.Int) *big.Int {
	q := new(big.Rat).Quo(x, new(big.Rat).SetInt(unit))
	twice := new(big.Int).Mul(q.Num(), big.NewInt(2))
	twice.Add(twice, q.Denom())
	den := new(big.Int).Mul(q.Denom(), big.NewInt(2))
	n, m := new(big.Int).DivMod(twice, den, new(big.Int))
	if m.Sign() == 0 && n.Bit(0) == 1 {
		n.Sub(n, big.NewInt(1))
	}
	return n.Mul(n, unit)
}
