package cudakern

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"lomo/internal/comm"
	"lomo/internal/device"
)

// ChannelBytes is what a channel of a group of cards takes on each card beside the arena: the pieces of a sum on their way.
const ChannelBytes = 2 * stagingBytes

const stagingBytes = 16 << 20 // of what is sent, and of what comes

// pieceBytes is how much of that a sum's pieces take at a time, of all ranks. Tests make it small.
var pieceBytes int64 = stagingBytes

// cardGroup is cards of one process whose ranks copy from each other, by whatever way the driver has. The ranks' goroutines tell
// each other addresses and events; the cards' streams wait for the events, the host does not.
type cardGroup struct {
	cards   []*Device
	sent    []atomic.Int64 // by rank
	mu      sync.Mutex
	mail    map[string][][]chan note // by channel: mail[from][to]
	left    int                      // ranks that have not closed
	last    func() error             // for the last that closes; may be nil
	closed  []*channel
	aborted chan struct{}
	once    sync.Once
	err     error

	movers  []mover          // each for one channel; none: copies of our own
	refused error            // why what was found does not move
	by      map[string]mover // by channel
}

// note is what a rank tells another: behind ready, what it offers lies at addr; or with addr 0, it has read.
type note struct {
	ready event
	addr  uint64
}

// NewComm makes the cards a group, card r as rank r. Where the driver lets cards address each other it is asked to. NCCL moves the bytes when it
// is found and agrees with copies of our own.
func NewComm(cards []*Device) ([]comm.Comm, error) {
	for _, d := range cards {
		for _, other := range cards {
			if err := enablePeer(d, other); err != nil {
				return nil, err
			}
		}
	}
	g := newGroup(cards)
	if err := g.findMovers(); err != nil {
		return nil, err
	}
	g.last = g.closeMovers
	var ranks []comm.Comm
	for _, c := range g.ranks() {
		ranks = append(ranks, c)
	}
	return ranks, nil
}

func newGroup(cards []*Device) *cardGroup {
	return &cardGroup{cards: cards, left: len(cards), sent: make([]atomic.Int64, len(cards)), mail: map[string][][]chan note{}, aborted: make(chan struct{}),
		by: map[string]mover{}}
}

func (g *cardGroup) ranks() []*cardComm {
	var ranks []*cardComm
	for r, d := range g.cards {
		ranks = append(ranks, &cardComm{cardGroup: g, rank: r, d: d})
	}
	return ranks
}

// enablePeer lets copies go straight between two cards where they can. Without it they go through host memory.
func enablePeer(d, other *Device) error {
	if d == other || !d.card.CanAccessPeer(other.card) {
		return nil
	}
	if err := d.card.EnablePeer(other.card); err != nil && !errors.Is(err, driverPeerEnabled) {
		return fmt.Errorf("%s: access to %s: %w", d.label(), other.label(), err)
	}
	return nil
}

// cardComm is one rank.
type cardComm struct {
	*cardGroup
	rank int
	d    *Device
	open []*channel
}

func (c *cardComm) Rank() int   { return c.rank }
func (c *cardComm) Size() int   { return len(c.cards) }
func (c *cardComm) Sent() int64 { return c.sent[c.rank].Load() }

// Abort fails the group.
func (c *cardComm) Abort(err error) { c.abort(err) }

func (g *cardGroup) abort(err error) {
	g.once.Do(func() {
		g.err = err
		close(g.aborted)
		for _, m := range g.movers {
			m.Abort()
		}
	})
}

func (g *cardGroup) fail() error { return fmt.Errorf("%w: %w", comm.ErrAborted, g.err) }

// broken is fail after Abort, else nil.
func (g *cardGroup) broken() error {
	select {
	case <-g.aborted:
		return g.fail()
	default:
		return nil
	}
}

// Open makes a stream and takes ChannelBytes of the card.
func (c *cardComm) Open(name string) (comm.Channel, error) {
	s, err := newStream(c.d.card)
	if err != nil {
		return nil, fmt.Errorf("%s: channel %s: %w", c.d.label(), name, err)
	}
	staging, err := c.d.card.Alloc(ChannelBytes)
	if err != nil {
		return nil, fmt.Errorf("%s: channel %s: %w", c.d.label(), name, err)
	}
	ch := &channel{cardComm: c, name: name, stream: s, mail: c.boxes(name), by: c.moverOf(name), staging: staging, jobs: make(chan func(), 64), stopped: make(chan struct{})}
	c.open = append(c.open, ch)
	go ch.run()
	return ch, nil
}

// boxes is where the ranks leave notes for each other on a channel.
func (g *cardGroup) boxes(name string) [][]chan note {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mail[name] == nil {
		m := make([][]chan note, len(g.cards))
		for from := range m {
			for range g.cards {
				m[from] = append(m[from], make(chan note, 2)) // an offer and a receipt
			}
		}
		g.mail[name] = m
	}
	return g.mail[name]
}

// moverOf is what moves a channel's bytes, the same for every rank; nil: copies.
func (g *cardGroup) moverOf(name string) mover {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.by[name]; !ok && len(g.by) < len(g.movers) {
		g.by[name] = g.movers[len(g.by)]
	}
	return g.by[name]
}

// Close waits for the channels' work; after Abort there is none. The last rank to close gives all memory back, since others may read
// from a card until then.
func (c *cardComm) Close() error {
	var err error
	for _, ch := range c.open {
		close(ch.jobs)
		<-ch.stopped
		err = errors.Join(err, ch.stream.Stream.Synchronize())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = append(c.closed, c.open...)
	c.open = nil
	if c.left--; c.left > 0 {
		return err
	}
	for _, ch := range c.closed {
		err = errors.Join(err, ch.d.card.Free(ch.staging))
	}
	if c.last != nil {
		err = errors.Join(err, c.last())
	}
	return err
}

// promise is the event of work that another goroutine has yet to queue.
type promise struct {
	done  chan struct{}
	ev    event // valid once done is closed
	err   error
	group *cardGroup // whose end the event does not tell: what a mover was to bring has then not come; nil: it does
}

func (p *promise) Sync() error {
	e, err := p.point()
	if err != nil {
		return err
	}
	if err := e.Sync(); err != nil || p.group == nil {
		return err
	}
	return p.group.broken()
}

// point waits until the work is queued, which is no wait for the card.
func (p *promise) point() (event, error) {
	<-p.done
	return p.ev, p.err
}

var _ device.Event = (*promise)(nil)
