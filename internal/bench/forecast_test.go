package bench

import (
	"math"
	"testing"
	"time"

	"lomo/internal/cpukern"
	"lomo/internal/memdev"
	"lomo/internal/tensor"
)

// paced is a device whose clock goes by the work it is given: so many units of an operation's amount a second.
type paced struct {
	*memdev.Device
	passed float64
}

func pace(op string) float64 { return 1e6 * float64(len(op)) }

func (p *paced) clock() time.Duration {
	for c, n := range p.TakeCalls() {
		if c.Op == "Attention" || c.Op == "AttentionBackward" { // documents of 32 tokens
			seen, all := Seen(documents(c.In), c.In)
			n *= seen / all
		}
		p.passed += n / pace(c.Op)
	}
	return time.Duration(1e9 * p.passed)
}

func documents(t int) []int32 {
	all := make([]int32, t)
	for i := range all {
		all[i] = int32(i / 32 * 32)
	}
	return all
}

// TestForecastIsExact: on a device of constant speed, what is measured for a moment at small shapes is the time of all.
func TestForecastIsExact(t *testing.T) {
	calls := map[memdev.Call]float64{}
	for op := range products {
		calls[memdev.Call{Op: op, N: 4096, In: 32, Out: 48}] = 3e11
		calls[memdev.Call{Op: op, N: 17, In: 4096, Out: 11008}] = 5e10 // too large to be tried whole
	}
	for op := range others {
		calls[memdev.Call{Op: op, N: 3, In: 32}] = 1e9
	}
	delete(calls, memdev.Call{Op: "Attention", N: 3, In: 32})
	delete(calls, memdev.Call{Op: "AttentionBackward", N: 3, In: 32})
	calls[memdev.Call{Op: "Attention", N: 4 * 500, In: 500, Out: 32}] = 7e9
	calls[memdev.Call{Op: "AttentionBackward", N: 4 * 500, In: 500, Out: 32}] = 7e9
	want := 0.0
	for c, n := range calls {
		want += n / pace(c.Op)
	}
	other := map[memdev.Call]float64{{Op: "ScatterRows", N: 9, In: 9}: 1e9} // tried as Copy
	p := &paced{Device: memdev.Open(0)}
	f := Forecast{Device: p, Model: tiny(), DType: tensor.BF16, Start: documents(500), Moment: time.Millisecond, Clock: p.clock}
	got, err := f.Seconds(calls, other, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := math.Abs(got[0]/want - 1); d > 1e-3 || math.Abs(got[1]/(1e9/pace("Copy"))-1) > 1e-3 || got[2] != 0 {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestForecastRuns tries every operation on a real device, whose memory it gives back.
func TestForecastRuns(t *testing.T) {
	d, err := cpukern.Open(cpukern.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	calls := map[memdev.Call]float64{}
	for op := range products {
		calls[memdev.Call{Op: op, N: 40, In: 32, Out: 48}] = 1e6
	}
	for op := range others {
		calls[memdev.Call{Op: op, N: 40, In: 32, Out: 32}] = 1e6
	}
	for _, dt := range DTypes {
		f := Forecast{Device: d, Model: tiny(), DType: dt, Moment: 10 * time.Microsecond}
		got, err := f.Seconds(calls)
		if err != nil || !(got[0] > 0) || got[0] > 60 {
			t.Errorf("%v: %v, %v", dt, got, err)
		}
		if used := d.Memory().Used(); used != 0 {
			t.Errorf("%v: %d bytes of the arena are still in use", dt, used)
		}
	}
}
