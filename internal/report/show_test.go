package report

import (
	"strings"
	"testing"
	"time"
)

func TestUnits(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Bytes(0), "0 B"}, {Bytes(1023), "1023 B"}, {Bytes(1536), "1.50 KiB"}, {Bytes(650 << 20), "650 MiB"},
		{Bytes(21<<30 + 300<<20), "21.3 GiB"}, {Bytes(-2048), "-2.00 KiB"}, {Bytes(5 << 50), "5120 TiB"},
		{Count(0), "0"}, {Count(812), "812"}, {Count(8412), "8.41k"}, {Count(134.5e6), "134M"}, {Count(6.74e9), "6.74G"}, {Count(1.234), "1.23"},
		{Duration(850 * time.Millisecond), "850 ms"}, {Duration(12300 * time.Millisecond), "12.3 s"}, {Duration(200 * time.Second), "3m20s"},
		{Duration(62 * time.Minute), "1h02m"}, {Duration(52 * time.Hour), "2d04h"},
		{Clock(0), "0 s"}, {Clock(12900 * time.Millisecond), "12 s"}, {Clock(-time.Second), "0 s"}, {Clock(200 * time.Second), "3m20s"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestStepLine(t *testing.T) {
	norm, mfu, left := Number(0.711), Number(0.61), Number(2890)
	s := Step{Step: 400, Total: 2000, Loss: 1.83421, GradNorm: &norm, LR: 0.019, TokS: 8400, MemBytes: 21<<30 + 300<<20, MFU: &mfu, ProcessS: 723, RemainingS: &left}
	if got, want := s.Line(), "step 400/2000  loss 1.8342  |g| 0.71  lr 1.9e-02  8.40k tok/s  21.3 GiB memory  61% of compute peak  elapsed 12m03s  left 48m10s"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTable(t *testing.T) {
	table := Table{Header: []string{"owner", "bytes"}, Right: []bool{false, true}}
	table.Add("weights", "1.00 GiB")
	table.Add("é", "2 B")
	var out strings.Builder
	if err := table.Write(&out); err != nil {
		t.Fatal(err)
	}
	if want := "owner       bytes\nweights  1.00 GiB\né             2 B\n"; out.String() != want {
		t.Errorf("have\n%swant\n%s", out.String(), want)
	}
}

func TestParseStatus(t *testing.T) {
	const status = "Name:\tlomo\nVmPeak:\t  999 kB\nVmHWM:\t  2048 kB\nVmRSS:\t    1024 kB\n"
	if m := parseStatus(strings.NewReader(status)); m.Resident != 1<<20 || m.Peak != 2<<20 {
		t.Errorf("%+v, want 1 and 2 MiB", m)
	}
	if m := ReadMemory(); m.Resident <= 0 || m.Peak < m.Resident {
		t.Errorf("this process: %+v", m)
	}
}
