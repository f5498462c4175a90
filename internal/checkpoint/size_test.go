package checkpoint

import (
	"math"
	"testing"
)

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "123": 123, "9223372036854775807": math.MaxInt64, "12B": 12, "5GB": 5e9, "5 gb": 5e9, "4GiB": 4 << 30,
		"500MB": 5e8, "1.5KiB": 1536, "2TiB": 2 << 40, "1TB": 1e12, "3kb": 3000, "1MiB": 1 << 20, " 7 ": 7, ".5KB": 500,
	} {
		if got, err := ParseSize(s); got != want || err != nil {
			t.Errorf("%q is %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "GB", "-1", "-5GB", "+5GB", "5G", "5 G B", "1e9", "0x10", "inf", "NaN", "infGB", "1_000", "five", "9223372036854775808", "1e400", "99999999999TB"} {
		if got, err := ParseSize(s); err == nil {
			t.Errorf("%q is %d, want an error", s, got)
		}
	}
}

func TestFormatSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1 KB", 13476839424: "13.5 GB", 999_600_000: "1 GB", 999_400: "999 KB",
		2_500_000_000_000: "2.5 TB", 1234e12: "1234 TB", -5e9: "-5 GB",
	} {
		if got := FormatSize(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

// FuzzParseSize: what FormatSize writes reads back within its three digits.
func FuzzParseSize(f *testing.F) {
	f.Add("5GB", int64(5e9))
	f.Add("1.5 KiB", int64(999_499))
	f.Fuzz(func(t *testing.T, s string, n int64) {
		if got, err := ParseSize(s); err == nil && got < 0 {
			t.Errorf("%q is %d", s, got)
		}
		if n < 0 || n > 1e18 {
			return
		}
		got, err := ParseSize(FormatSize(n))
		if err != nil || math.Abs(float64(got)-float64(n)) > 0.0051*float64(n) {
			t.Errorf("%d is written %q and read %d, %v", n, FormatSize(n), got, err)
		}
	})
}
