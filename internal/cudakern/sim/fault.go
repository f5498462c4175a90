package sim

import "lomo/internal/cudakern/driver"

// faults are failures a test asked for.
type faults struct {
	launches int64 // launches until the card is lost
	lose     bool
	allocs   int64 // allocations until one is refused
	refuse   bool
}

// Lose makes card i fall off the bus at its n-th launch from now, 1 the next: all its calls fail from then on.
func (m *Machine) Lose(i int, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cards[i].faults.launches, m.cards[i].faults.lose = n, true
}

// RefuseAlloc makes card i refuse its n-th allocation from now, 1 the next, as if others used its memory.
func (m *Machine) RefuseAlloc(i int, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cards[i].faults.allocs, m.cards[i].faults.refuse = n, true
}

func (f *faults) refuseAlloc() bool {
	f.allocs--
	return f.refuse && f.allocs == 0
}

// Tamper lets f see every launch as it runs, change its arguments, and say how often it runs instead of once: tests must notice.
func (m *Machine) Tamper(f func(card int, kernel string, args []uint64) (times int)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tamper = f
}

// lost counts a launch and is the error when it is the card's last.
func (f *faults) lost(card int) error {
	f.launches--
	if !f.lose || f.launches != 0 {
		return nil
	}
	return &driver.Error{Call: "cuLaunchKernel", Card: card, Code: driver.Unknown, Detail: "the card has fallen off the bus"}
}
