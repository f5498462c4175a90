package checkpoint

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// units are the suffixes of a size: powers of 1000, and of 1024 with an i. Longer ones come first.
var units = []struct {
	suffix string
	bytes  float64
}{
	{"KIB", 1 << 10}, {"MIB", 1 << 20}, {"GIB", 1 << 30}, {"TIB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// SizeError is a text that is not a size, with the size that was probably meant.
type SizeError struct{ Msg, Advice string }

func (e *SizeError) Error() string { return e.Msg }

// Hint is what to write.
func (e *SizeError) Hint() string { return e.Advice }

const sizeAdvice = "write a number and its unit: 4GiB, 500MiB, or 4GB, which is 4·10⁹ bytes"

// ParseSize reads "5GB" (5·10⁹), "4GiB" (4·2³⁰), "1.5 GiB" or "512B", in either case of letters. A number alone is refused: 4 may be meant as GiB, and is then
// 4 bytes.
func ParseSize(s string) (int64, error) {
	number, unit := strings.ToUpper(strings.TrimSpace(s)), 0.0
	for _, u := range units {
		if n, ok := strings.CutSuffix(number, u.suffix); ok {
			number, unit = strings.TrimSpace(n), u.bytes
			break
		}
	}
	if strings.HasPrefix(number, "-") {
		return 0, &SizeError{fmt.Sprintf("%q is below 0", s), sizeAdvice}
	}
	x, err := strconv.ParseFloat(number, 64)
	if unit == 0 {
		return 0, withoutUnit(s, number, x, err)
	}
	if err != nil || strings.ContainsAny(number, "XPEIN_+") { // no hexadecimal, exponent, infinity, sign
		return 0, &SizeError{fmt.Sprintf("%q is not a size", s), sizeAdvice}
	}
	if n, err := strconv.ParseInt(number, 10, 64); err == nil && unit == 1 {
		return n, nil // every integer, also those a float64 cannot hold
	}
	if x *= unit; x >= math.MaxInt64 {
		return 0, &SizeError{fmt.Sprintf("%q is more bytes than any machine has", s), sizeAdvice}
	}
	return int64(math.Round(x)), nil
}

// withoutUnit says which units a number may have been meant in.
func withoutUnit(s, number string, x float64, err error) error {
	switch {
	case err == nil && x > 0 && x < 1024:
		return &SizeError{fmt.Sprintf("%q has no unit", s), fmt.Sprintf("write %sGiB or %sMiB", number, number)}
	case err == nil && x >= 1024 && x < math.MaxInt64:
		return &SizeError{fmt.Sprintf("%q has no unit", s), fmt.Sprintf("write %s, if bytes are meant", strings.ReplaceAll(FormatSize(int64(x)), " ", ""))}
	case err == nil:
		return &SizeError{fmt.Sprintf("%q is not a size", s), sizeAdvice}
	}
	if n, last := number[:max(0, len(number)-1)], number[max(0, len(number)-1):]; n != "" && strings.Contains("KMGT", last) {
		if _, err := strconv.ParseFloat(strings.TrimSpace(n), 64); err == nil {
			n = strings.TrimSpace(n)
			return &SizeError{fmt.Sprintf("%q has no unit that is clear", s), fmt.Sprintf("write %s%siB, or %s%sB, which is in powers of 1000", n, last, n, last)}
		}
	}
	return &SizeError{fmt.Sprintf("%q is not a size", s), sizeAdvice}
}

// FormatSize writes n bytes in the units of all that lomo says, powers of 1024: 512 B, 1.50 KiB, 21.3 GiB.
func FormatSize(n int64) string {
	v, unit := float64(n), "B"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if math.Abs(v) < 1024 {
			break
		}
		v, unit = v/1024, next
	}
	places := 2 // three digits in all
	switch a := math.Abs(v); {
	case unit == "B":
		places = 0
	case a >= 99.95:
		places = 0
	case a >= 9.995:
		places = 1
	}
	return fmt.Sprintf("%.*f %s", places, v, unit)
}
