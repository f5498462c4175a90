package verify

import (
	"strings"
	"testing"

	"lomo/internal/cudakern/driver"
	"lomo/internal/cudakern/sim"
)

func quick(t *testing.T) Options {
	return Options{Quick: true, Temp: t.TempDir(), Note: t.Logf}
}

// look runs what o says and returns the report, and its text.
func look(t *testing.T, o Options) (*Report, string) {
	t.Helper()
	r, err := Machine(o)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := r.Write(&text, "test"); err != nil {
		t.Fatal(err)
	}
	return r, text.String()
}

// TestCards: two simulated cards pass, and all parts of the report are there.
func TestCards(t *testing.T) {
	o := quick(t)
	m := sim.New(sim.Options{Cards: 2})
	t.Cleanup(func() { m.Close() }) //nolint:errcheck // a machine of a test
	o.Driver = m
	r, text := look(t, o)
	for _, p := range r.Problems {
		t.Error(p)
	}
	if len(r.Cards) != 2 || len(r.Kernels) < 100 || len(r.Links) != 6 || len(r.Groups) != 3 || len(r.Runs) != 4 {
		t.Errorf("%d cards, %d kernels, %d links, %d collectives, %d runs", len(r.Cards), len(r.Kernels), len(r.Links), len(r.Groups), len(r.Runs))
	}
	for _, want := range []string{"everything agrees", "OuterUpdate", "reduce-scatter", "adalomo"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the report:\n%s", want, text)
		}
	}
}

// wrong is a machine whose cards lose the last byte of what the host sends.
type wrong struct{ *sim.Machine }

func (w wrong) Open(i int) (driver.Device, error) {
	d, err := w.Machine.Open(i)
	return wrongCard{d}, err
}

type wrongCard struct{ driver.Device }

func (c wrongCard) NewStream() (driver.Stream, error) {
	s, err := c.Device.NewStream()
	return wrongStream{s}, err
}

type wrongStream struct{ driver.Stream }

func (s wrongStream) CopyIn(dst uint64, src []byte) error {
	return s.Stream.CopyIn(dst, src[:len(src)-1])
}

// TestFaultShows: a card that loses bytes is a problem in the report, which names a kernel.
func TestFaultShows(t *testing.T) {
	o := quick(t)
	m := sim.New(sim.Options{Cards: 1})
	t.Cleanup(func() { m.Close() }) //nolint:errcheck // a machine of a test
	o.Driver = wrong{m}
	r, text := look(t, o)
	if len(r.Problems) == 0 || !strings.Contains(text, "DIFFERS") || !strings.Contains(text, "problems:") {
		t.Errorf("no problem is reported:\n%s", text)
	}
}

// TestHost: this machine's kernels agree with plain Go.
func TestHost(t *testing.T) {
	r, text := look(t, quick(t))
	if len(r.Problems) > 0 || len(r.Cards) > 0 || len(r.Kernels) < 100 || len(r.Runs) != 4 {
		t.Error(text)
	}
}
