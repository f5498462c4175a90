//go:build cuda && linux

package ladder

import (
	"errors"
	"os"
	"strings"
	"testing"

	"lomo/internal/cudakern"
	"lomo/internal/cudakern/driver"
	"lomo/internal/cudakern/drivertest"
	"lomo/internal/cudakern/sim"
	"lomo/internal/cudakern/simserver"
)

// shared is a folder for all tests: the library, the program, sockets.
var shared string

// TestMain serves the cards of this process's own binding; LOMO_TEST_CARD=1 leaves it on the machine's driver.
func TestMain(m *testing.M) {
	if os.Getenv("LOMO_TEST_CARD") != "" {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "lomo")
	if err != nil {
		panic(err)
	}
	shared = dir
	s := &simserver.Server{Machine: sim.Options{Cards: 9, Peers: true, Order: 3}} // eight to use, and one that TestBindingFault loses
	env, stop, err := s.Start(dir)
	if err != nil {
		panic(err)
	}
	for _, e := range env {
		key, value, _ := strings.Cut(e, "=")
		if err := os.Setenv(key, value); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	_ = stop() // this process hangs up by ending
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func installed(t *testing.T) driver.Driver {
	t.Helper()
	d, err := cudakern.Installed()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestBinding(t *testing.T) { drivertest.Suite(t, installed(t)) }

// TestBindingFault has a fault on the last card reach the binding, with the driver's code. The card stays lost for this process.
func TestBindingFault(t *testing.T) {
	drv := installed(t)
	last := drv.Count() - 1
	d, err := drv.Open(last)
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.NewStream()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Set(64, 0, 8); err != nil { // queued: nobody has looked
		t.Fatal(err)
	}
	for _, c := range []struct {
		call string
		f    func() error
	}{{"cuStreamSynchronize", s.Synchronize}, {"cuCtxSynchronize", d.Synchronize}} {
		err := c.f()
		var e *driver.Error
		if !errors.As(err, &e) || e.Code != driver.IllegalAddress || e.Card != last || e.Call != c.call {
			t.Errorf("%s: %v", c.call, err)
		}
	}
}
