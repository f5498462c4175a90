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

// ParseSize reads "5GB" (5·10⁹), "4GiB" (4·2³⁰), "1.5 GiB" or plain bytes, in either case of letters.
func ParseSize(s string) (int64, error) {
	number, unit := strings.ToUpper(strings.TrimSpace(s)), 1.0
	for _, u := range units {
		if n, ok := strings.CutSuffix(number, u.suffix); ok {
			number, unit = strings.TrimSpace(n), u.bytes
			break
		}
	}
	x, err := strconv.ParseFloat(number, 64)
	if err != nil || strings.ContainsAny(number, "XPEIN_+-") { // no hexadecimal, exponent, infinity, sign
		return 0, fmt.Errorf("size %q: want a number with B, KB, MB, GB, TB, KiB, MiB, GiB, TiB or nothing, as in 5GB", s)
	}
	if n, err := strconv.ParseInt(number, 10, 64); err == nil && unit == 1 {
		return n, nil // every integer, also those a float64 cannot hold
	}
	if x *= unit; x >= math.MaxInt64 {
		return 0, fmt.Errorf("size %q is too large", s)
	}
	return int64(math.Round(x)), nil
}

// FormatSize writes n bytes with three digits and a decimal unit, as file sizes are: "13.5 GB".
func FormatSize(n int64) string {
	x := float64(n)
	for _, u := range []string{"B", "KB", "MB", "GB"} {
		if math.Abs(x) < 999.5 {
			return fmt.Sprintf("%.3g %s", x, u)
		}
		x /= 1000
	}
	if math.Abs(x) >= 999.5 {
		return fmt.Sprintf("%.0f TB", x)
	}
	return fmt.Sprintf("%.3g TB", x)
}
