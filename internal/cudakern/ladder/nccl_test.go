//go:build cuda && linux

package ladder

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/commtest"
	"lomo/internal/cudakern"
	"lomo/internal/cudakern/sim"
)

// fakeNCCL compiles an NCCL of our own (testdata/fakenccl.c): the real one needs cards.
func fakeNCCL(t *testing.T) string {
	t.Helper()
	lib := filepath.Join(t.TempDir(), "libfakenccl.so")
	if out, err := exec.Command("cc", "-O2", "-Wall", "-fPIC", "-shared", "-o", lib, "testdata/fakenccl.c", "-ldl", "-lpthread").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return lib
}

// ncclGroup is ranks on the cards of this process's driver.
func ncclGroup(t *testing.T, size int, capacity int64) commtest.Group {
	t.Helper()
	var g commtest.Group
	var cards []*cudakern.Device
	for i := range size {
		d, err := cudakern.Open(installed(t), i, cudakern.Options{Capacity: capacity})
		if err != nil {
			t.Fatal(err)
		}
		cards = append(cards, d)
		g.Devices = append(g.Devices, d)
	}
	var err error
	if g.Comms, err = cudakern.NewComm(cards); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// TestNCCL: an NCCL that is found moves the bytes; one whose bits are others is refused at start, and so is none, one that makes no communicators,
// and one that leaves too little memory.
func TestNCCL(t *testing.T) {
	lib := fakeNCCL(t)
	for _, c := range []struct {
		path, fake, name, refused string
		capacity                  int64
	}{
		{lib, "", "nccl 2.21.5", "", 4 << 20},
		{lib, "gather", "", "nccl 2.21.5: gather on GPU 0 (simulated RTX 3090) has other bits", 4 << 20},
		{lib, "send", "", "nccl 2.21.5: reduce-scatter on GPU 0 (simulated RTX 3090) has other bits", 4 << 20},
		{lib, "refuse", "", "nccl 2.21.5: ncclCommInitAll: unhandled system error (NCCL result 2)", 4 << 20},
		{lib + ".absent", "", "", "libfakenccl.so.absent", 4 << 20},
		{"off", "", "", "", 4 << 20},
		{lib, "", "", "bytes free on GPU 0 (simulated RTX 3090), the channels need 134217728", 23.6e9 - cudakern.WorkspaceBytes - 100e6},
	} {
		t.Setenv("LOMO_NCCL", c.path)
		t.Setenv("FAKE_NCCL", c.fake)
		t.Run(c.path[strings.LastIndex(c.path, "/")+1:]+" "+c.fake, func(t *testing.T) {
			name, refused := cudakern.Collectives(ncclGroup(t, 3, c.capacity).Comms[0])
			if name != c.name || (refused == nil) != (c.refused == "") || refused != nil && !strings.Contains(refused.Error(), c.refused) {
				t.Errorf("%q, %v; want %q and %q", name, refused, c.name, c.refused)
			}
		})
	}
}

// TestNCCLComm is the suite for every communicator.
func TestNCCLComm(t *testing.T) {
	t.Setenv("LOMO_NCCL", fakeNCCL(t))
	commtest.Suite(t, func(t *testing.T, size int) commtest.Group {
		g := ncclGroup(t, size, 4<<20)
		if name, refused := cudakern.Collectives(g.Comms[0]); (name == "") != (size == 1) || refused != nil {
			t.Fatalf("%d ranks: %q, %v", size, name, refused)
		}
		return g
	}, 1, 7)
}

// TestNCCLTrain trains the bits of our own collectives, by NCCL and by one that is refused, and says which it was.
func TestNCCLTrain(t *testing.T) {
	lib := fakeNCCL(t)
	b := newBed(t, "bf16", true, "optimizer=adalomo", "learning_rate=0.05", "devices=2", "sharding=zero3", "reduce_dtype=bf16", "max_grad_norm=1", "max_steps=3")
	m := machine{Options: eight(5, false).Options}
	t.Setenv("LOMO_NCCL", "off")
	own := b.train(t, m)
	for fake, want := range map[string]string{"": "nccl 2.21.5 moves what the cards send to each other", "send": "NCCL is not used (LOMO_NCCL=off leaves it out): nccl 2.21.5: reduce-scatter"} {
		t.Setenv("LOMO_NCCL", lib)
		t.Setenv("FAKE_NCCL", fake)
		got := b.train(t, m)
		same(t, b, got, own)
		if !strings.Contains(got.talk, want) || strings.Contains(own.talk, "nccl") {
			t.Errorf("FAKE_NCCL=%s: want %q in\n%s", fake, want, got.talk)
		}
		if sent, without := got.report.Traffic.Sent(1), own.report.Traffic.Sent(1); sent <= without {
			t.Errorf("FAKE_NCCL=%s: %d bytes left card 1, %d without a trial", fake, sent, without)
		}
	}
}

// TestNCCLLostCard has one of three cards fall off the bus while NCCL moves bytes: the run ends with one message that names the rank.
func TestNCCLLostCard(t *testing.T) {
	t.Setenv("LOMO_NCCL", fakeNCCL(t))
	b := newBed(t, "f32", false, "optimizer=lomo", "learning_rate=0.05", "devices=3", "sharding=zero3", "max_steps=3")
	launches := 0
	count := machine{Options: eight(0, false).Options}
	count.prepare = func(m *sim.Machine) {
		m.Tamper(func(card int, _ string, _ []uint64) int {
			if card == 1 {
				launches++
			}
			return 1
		})
	}
	b.train(t, count)
	m := machine{Options: count.Options, prepare: func(m *sim.Machine) { m.Lose(1, int64(launches*7/10)) }}
	d := m.lomo(t, b.args(filepath.Join(t.TempDir(), "out"))...)
	if d.code != 1 || strings.Count(d.talk, "lomo: error: ") != 1 || !strings.Contains(d.talk, "rank 1") || !strings.Contains(d.talk, "nccl 2.21.5 moves") {
		t.Errorf("exit code %d\n%s", d.code, d.talk)
	}
}
