package checkpoint

import (
	"math"
	"testing"
)

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int64{
		"0B": 0, "123b": 123, "9223372036854775807B": math.MaxInt64, "12B": 12, "5GB": 5e9, "5 gb": 5e9, "4GiB": 4 << 30, "4 GiB": 4 << 30, "4gib": 4 << 30,
		"500MB": 5e8, "1.5KiB": 1536, "2TiB": 2 << 40, "1TB": 1e12, "3kb": 3000, "1MiB": 1 << 20, " 7 B": 7, ".5KB": 500,
	} {
		if got, err := ParseSize(s); got != want || err != nil {
			t.Errorf("%q is %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "GB", "-1", "-5GB", "+5GB", "5G", "5 G B", "1e9", "0x10", "inf", "NaN", "infGB", "0", "4", "4294967296", "1e9GB", " ", "G", "4 gigs", "1_000", "five", "9223372036854775808", "1e400", "99999999999TB"} {
		if got, err := ParseSize(s); err == nil {
			t.Errorf("%q is %d, want an error", s, got)
		}
	}
}

// TestSizeAdvice: what is no size is told what to write.
func TestSizeAdvice(t *testing.T) {
	for s, want := range map[string]string{
		"4": `"4" has no unit: write 4GiB or 4MiB`, "0.5": `"0.5" has no unit: write 0.5GiB or 0.5MiB`, "4294967296": `"4294967296" has no unit: write 4.00GiB, if bytes are meant`,
		"1e9": `"1e9" has no unit: write 954MiB, if bytes are meant`, "4G": `"4G" has no unit that is clear: write 4GiB, or 4GB, which is in powers of 1000`,
		"4 m": `"4 m" has no unit that is clear: write 4MiB, or 4MB, which is in powers of 1000`, "-4GiB": `"-4GiB" is below 0: ` + sizeAdvice, "-1": `"-1" is below 0: ` + sizeAdvice,
		"0": `"0" is not a size: ` + sizeAdvice, "lots": `"lots" is not a size: ` + sizeAdvice,
	} {
		_, err := ParseSize(s)
		e, ok := err.(*SizeError)
		if !ok || e.Msg+": "+e.Advice != want {
			t.Errorf("%q: %v, want %s", s, err, want)
		}
	}
}

func TestFormatSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1000 B", 1024: "1.00 KiB", 13476839424: "12.6 GiB", 1<<30 - 1: "1024 MiB", 999_400: "976 KiB",
		2_500_000_000_000: "2.27 TiB", 1234e12: "1122 TiB", -5e9: "-4.66 GiB", 24e9: "22.4 GiB",
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
