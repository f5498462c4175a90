package report

import (
	"fmt"
	"math"
	"strings"
)

// span is the range of an axis.
type span struct {
	low, high float64
	log       bool
}

func emptySpan() span { return span{low: math.Inf(1), high: math.Inf(-1)} }

func (s *span) take(v float64) { s.low, s.high = min(s.low, v), max(s.high, v) }

// widen leaves some room above and below the values, and makes an empty range one that can be drawn.
func (s *span) widen(fromZero bool) {
	if s.low > s.high {
		s.low, s.high = 0, 1
	}
	room := 0.06 * (s.high - s.low)
	if room == 0 {
		room = max(math.Abs(s.high)/10, 1e-9)
	}
	if !(fromZero && s.low >= 0) {
		s.low -= room
	}
	s.high += room
}

// logarithmic is the range of a logarithmic axis for values above 0.
func logarithmic(s span) span {
	ratio := math.Pow(s.high/s.low, 0.05)
	if ratio < 1.02 {
		ratio = 1.02
	}
	return span{s.low / ratio, s.high * ratio, true}
}

// at is where a value stands in the range: 0 at its beginning, 1 at its end.
func (s span) at(v float64) float64 {
	if s.log {
		return math.Log(v/s.low) / math.Log(s.high/s.low)
	}
	return (v - s.low) / (s.high - s.low)
}

// draws tells whether a value has a place.
func (s span) draws(v float64) bool { return finite(v) && (!s.log || v > least) }

// least is the bound above which a logarithmic axis takes values.
const least = 1e-150

// format is how the values of a chart are written.
type format struct {
	name  string // as report.js knows it
	value func(float64) string
	unit  func(high float64) (size float64, name string) // ticks are round in this unit
}

var (
	lossFormat  = format{"loss", loss, nil}
	rateFormat  = format{"rate", func(v float64) string { return compact(v, 3) }, nil}
	countFormat = format{"count", Count, thousands}
	bytesFormat = format{"bytes", func(v float64) string { return Bytes(int64(v)) }, binary}
	wholeFormat = format{"whole", func(v float64) string { return fmt.Sprintf("%.0f", v) }, thousands}
)

// loss writes a loss with the digits that matter.
func loss(v float64) string {
	if math.Abs(v) >= 1e6 {
		return compact(v, 4)
	}
	return fmt.Sprintf("%.4f", v)
}

func binary(high float64) (float64, string) {
	size, name := 1.0, " B"
	for _, next := range []string{" KiB", " MiB", " GiB", " TiB"} {
		if high < 1024*size {
			break
		}
		size, name = size*1024, next
	}
	return size, name
}

func thousands(high float64) (float64, string) {
	size, name := 1.0, ""
	for _, next := range []string{"k", "M", "G"} {
		if high < 10000*size {
			break
		}
		size, name = size*1000, next
	}
	return size, name
}

// ticks are at most n or so round values in the range, and how they are written, all with as many decimals.
func (s span) ticks(f format, n int) ([]float64, func(float64) string) {
	if s.log && s.high/s.low > 4 {
		return s.logTicks(n), func(v float64) string { return compact(v, 3) }
	}
	size, unit := 1.0, ""
	if f.unit != nil {
		size, unit = f.unit(max(math.Abs(s.low), math.Abs(s.high)))
	}
	step := roundStep((s.high - s.low) / size / float64(n))
	if f.name == wholeFormat.name && size == 1 {
		step = max(step, 1)
	}
	var out []float64
	for i := math.Ceil(s.low/size/step - 1e-9); i*step*size <= s.high*(1+1e-12) && len(out) < 4*n; i++ {
		if v := i * step * size; s.draws(v) {
			out = append(out, v+0) // −0 becomes 0
		}
	}
	decimals := max(0, int(math.Ceil(-math.Log10(step)-1e-9)))
	return out, func(v float64) string {
		if f.unit == nil && max(math.Abs(s.low), math.Abs(s.high)) < 0.01 {
			return compact(v, 3)
		}
		if v == 0 && !strings.HasPrefix(unit, " ") { // 0, and not 0k
			return "0"
		}
		return fmt.Sprintf("%.*f", decimals, v/size) + unit
	}
}

// roundStep is the least of 1, 2 and 5 times a power of ten that is not below rough.
func roundStep(rough float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= rough*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// logTicks are powers of ten, with 2 and 5 times them where there is room.
func (s span) logTicks(n int) []float64 {
	decades := math.Log10(s.high / s.low)
	multiples := []float64{1, 2, 5}
	if decades > 2 {
		multiples = []float64{1}
	}
	every := max(1, int(math.Ceil(decades/float64(2*n))))
	var out []float64
	for e := int(math.Floor(math.Log10(s.low))); e <= int(math.Ceil(math.Log10(s.high))); e++ {
		if e%every != 0 {
			continue
		}
		for _, m := range multiples {
			if v := m * math.Pow(10, float64(e)); v >= s.low && v <= s.high {
				out = append(out, v)
			}
		}
	}
	return out
}

// compact writes a number with few digits: 0.05, 5e-4, 1.5e-5, 12, 3e6.
func compact(v float64, digits int) string {
	text := fmt.Sprintf("%.*g", digits, v)
	if a := math.Abs(v); a != 0 && (a < 0.00999999 || a >= 1e5) {
		text = fmt.Sprintf("%.*e", digits-1, v)
	}
	mantissa, exponent, found := strings.Cut(text, "e")
	if strings.Contains(mantissa, ".") {
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	}
	if !found {
		return mantissa
	}
	sign := ""
	if exponent[0] == '-' {
		sign = "-"
	}
	return mantissa + "e" + sign + strings.TrimLeft(exponent, "+-0")
}
