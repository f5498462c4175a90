// Package sim is a machine with several cards that do not exist: package driver's interface over an interpreter of PTX.
// It is made to find mistakes, so it does what CUDA only permits:
//
//   - Queued work runs as late as it may: only when the host waits for something, and then only what that needs, or, with a
//     seed, in an order drawn among those the events allow. A missing event shows as old or NaN bytes.
//   - Memory that was never written is NaN. Between allocations lie gaps, addresses are never given twice, and every card
//     has addresses of its own: an access past the end, after Free, or to another card's memory is an error.
//   - A card has 24 GB and refuses more. Host pages are used only for what is written.
//
// As in CUDA a fault sticks to its card: work queued behind it is dropped and every later call on that card reports it.
// All cards share one lock; calls on different cards may come from different goroutines.
package sim

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"lomo/internal/cudakern/driver"
)

// Options say what machine it is. The zero value is eight RTX 3090 without peer access.
type Options struct {
	Cards  int   // 8
	Memory int64 // bytes a card, 24e9
	Peers  bool  // cards can address each other, once asked
	// Order is a seed for the order of queued work; 0 runs only what the host waits for.
	Order uint64
	// Resident is the most bytes of host memory that all cards' contents may take, 2 GiB.
	Resident int64
}

// contextBytes is what the driver keeps of a card once its context exists.
const contextBytes = 400e6

// Machine is a driver.Driver.
type Machine struct {
	mu       sync.Mutex
	opts     Options
	cards    []*card
	host     hostMemory
	order    *rand.Rand // nil: late
	traffic  Traffic
	tamper   func(card int, kernel string, args []uint64) int
	staged   int64        // bytes of ordinary host memory copied aside for queued copies
	resident atomic.Int64 // host bytes behind cards' memory; pages that were only zeroed may count too little
}

// New makes a machine.
func New(o Options) *Machine {
	if o.Cards == 0 {
		o.Cards = 8
	}
	if o.Memory == 0 {
		o.Memory = 24e9
	}
	if o.Resident == 0 {
		o.Resident = 2 << 30
	}
	m := &Machine{opts: o, traffic: newTraffic(o.Cards)}
	if o.Order != 0 {
		m.order = rand.New(rand.NewPCG(o.Order, 0))
	}
	for i := range o.Cards {
		m.cards = append(m.cards, newCard(m, i))
	}
	return m
}

// Version is CUDA 12.4.
func (m *Machine) Version() int { return 12040 }

// Count is the number of cards.
func (m *Machine) Count() int { return len(m.cards) }

// Open gives card i. Opening it twice gives the same card, as the primary context is one.
func (m *Machine) Open(i int) (driver.Device, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i < 0 || i >= len(m.cards) {
		return nil, &driver.Error{Call: "cuDeviceGet", Card: i, Code: driver.InvalidDevice, Detail: fmt.Sprintf("there are %d", len(m.cards))}
	}
	c := m.cards[i]
	if err := c.check("cuDevicePrimaryCtxRetain"); err != nil {
		return nil, err
	}
	c.open++
	return c, nil
}

// Close gives the memory of all cards back. Nothing may be used afterwards.
func (m *Machine) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.cards {
		c.reset()
	}
	return m.host.close()
}

// Traffic is bytes moved so far, by way.
type Traffic struct {
	In   []int64   `json:"in_bytes"`   // host to card
	Out  []int64   `json:"out_bytes"`  // card to host
	Peer [][]int64 `json:"peer_bytes"` // [from][to], by CopyPeer
}

func newTraffic(n int) Traffic {
	t := Traffic{In: make([]int64, n), Out: make([]int64, n), Peer: make([][]int64, n)}
	for i := range t.Peer {
		t.Peer[i] = make([]int64, n)
	}
	return t
}

// Traffic is a copy of the counters. Work counts when it runs.
func (m *Machine) Traffic() Traffic {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := newTraffic(len(m.cards))
	copy(t.In, m.traffic.In)
	copy(t.Out, m.traffic.Out)
	for i, row := range m.traffic.Peer {
		copy(t.Peer[i], row)
	}
	return t
}

// Sent is the bytes card i has sent to other cards.
func (t Traffic) Sent(i int) int64 {
	n := int64(0)
	for _, b := range t.Peer[i] {
		n += b
	}
	return n
}
