package sim

import (
	"errors"
	"time"

	"lomo/internal/cudakern/driver"
)

// reach runs queued work until j is done. A job waits only for points queued before it, so there is always one that can run.
func (m *Machine) reach(j *job) {
	if m.order != nil {
		m.reachShuffled(j)
		return
	}
	for stack := []*job{j}; len(stack) > 0; {
		top := stack[len(stack)-1]
		if top.done {
			stack = stack[:len(stack)-1]
			continue
		}
		head := top.stream.queue[0]
		if !head.ready() {
			stack = append(stack, head.after)
			continue
		}
		head.step()
	}
}

// reachShuffled draws a rank for every stream of every card and always runs the first of the highest-ranked stream that can,
// until j is done: streams above j's run empty, those below it do not move.
func (m *Machine) reachShuffled(j *job) {
	var all []*stream
	for _, c := range m.cards {
		all = append(all, c.streams...)
	}
	m.order.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
	for !j.done {
		for _, s := range all {
			if len(s.queue) > 0 && s.queue[0].ready() {
				s.queue[0].step()
				break
			}
		}
	}
}

// step runs j, the first of its stream. After a fault the card runs nothing more; points behind it count as reached, as on
// a card, so that others do not wait for ever.
func (j *job) step() {
	s := j.stream
	s.queue = s.queue[1:]
	j.done, j.at = true, time.Now()
	s.c.m.staged -= j.aside
	if j.run == nil || s.c.err != nil {
		return
	}
	if err := j.run(); err != nil {
		s.c.err = fault(s.c, j.call, err)
	}
	j.run = nil
}

// fault is err as a failure that sticks.
func fault(c *card, call string, err error) error {
	var e *driver.Error
	if errors.As(err, &e) && e.Card == c.index {
		return e
	}
	return &driver.Error{Call: call, Card: c.index, Code: driver.IllegalAddress, Detail: call + ": " + err.Error()}
}
