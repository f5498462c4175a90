package cudakern

import (
	"errors"
	"strings"
	"testing"

	"lomo/internal/comm"
	"lomo/internal/cudakern/driver"
	"lomo/internal/cudakern/sim"
	"lomo/internal/tensor"
)

// lazy is a mover that promises and moves nothing, as NCCL does when a communicator is ended while the cards wait.
type lazy struct{ ended, closed int }

func (l *lazy) Name() string                                                    { return "lazy" }
func (l *lazy) Gather(int, uint64, uint64, int64, driver.Stream) error          { return nil }
func (l *lazy) Exchange(int, uint64, uint64, int64, int64, driver.Stream) error { return nil }
func (l *lazy) Abort()                                                          { l.ended++ }
func (l *lazy) Close() error                                                    { l.closed++; return nil }

// TestMover: one that moves nothing is refused. After an abort what it was to bring counts as failed, for who asks the event, the device that has
// waited for it and a queue, although the cards have gone on. Channels beyond the movers copy.
func TestMover(t *testing.T) {
	m := sim.New(sim.Options{Cards: 2})
	g := groupOn(t, m, m, 2)
	own := g.Comms[0].(*cardComm).cardGroup
	l := &lazy{}
	own.movers = []mover{l}
	if err := own.tryMovers(); err == nil || !strings.Contains(err.Error(), "lazy: reduce-scatter on GPU 0") {
		t.Errorf("a mover that moves nothing: %v", err)
	}
	d := own.cards[0]
	ch, err1 := g.Comms[0].Open("first")
	other, err2 := g.Comms[0].Open("second")
	x, err3 := d.Alloc("test", "x", tensor.F32, 3)
	q, err4 := d.Queue("test")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	if ch.(*channel).by != l || other.(*channel).by != nil {
		t.Error("the mover is the first channel's")
	}
	e := ch.AllReduce(x, d.Record())
	d.Wait(e)
	q.Wait(e)
	if err := errors.Join(e.Sync(), d.Sync(), q.Sync()); err != nil || g.Comms[0].Sent() != 12 {
		t.Errorf("before the abort: %v, %d bytes sent", err, g.Comms[0].Sent())
	}
	cause := errors.New("the card is lost")
	g.Comms[1].Abort(cause)
	for what, err := range map[string]error{"event": e.Sync(), "later call": ch.AllReduce(x, nil).Sync(), "device": d.Sync(), "queue": q.Sync()} {
		if !errors.Is(err, comm.ErrAborted) || !errors.Is(err, cause) {
			t.Errorf("%s after the abort: %v", what, err)
		}
	}
	if l.ended != 1 {
		t.Errorf("the mover was ended %d times", l.ended)
	}
}
