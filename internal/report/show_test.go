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
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestStepLine(t *testing.T) {
	norm, mfu := Number(0.711), Number(0.61)
	s := Step{Step: 400, Total: 2000, Loss: 1.83421, GradNorm: &norm, LR: 0.019, TokS: 8400, MemBytes: 21<<30 + 300<<20, MFU: &mfu}
	if got, want := s.Line(), "step 400/2000  loss 1.8342  |g| 0.71  lr 1.9e-02  8.40k tok/s  21.3 GiB  61% of peak"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestProgressOnTerminal: the bar shows the numbers of a step, and talk gets a line of its own.
func TestProgressOnTerminal(t *testing.T) {
	var out strings.Builder
	p := NewProgress(&out, true, 2, 10)
	p.Step(Step{Step: 3, Total: 10, Loss: 1.25})
	p.Say("saved %s", "checkpoint-3")
	p.Close()
	for _, want := range []string{"loss 1.2500", "(3/10", "saved checkpoint-3\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %q", want, out.String())
		}
	}
}

func TestProgressInFile(t *testing.T) {
	var out strings.Builder
	p := NewProgress(&out, false, 0, 2)
	p.Step(Step{Step: 1, Total: 2, Loss: 1})
	p.Say("hello")
	p.Close()
	if got, want := out.String(), "step 1/2  loss 1.0000  lr 0.0e+00  0 tok/s\nhello\n"; got != want {
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
