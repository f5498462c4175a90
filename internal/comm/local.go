package comm

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// piece bounds one message in bytes, so that what is under way stays small whatever the tensors are.
const piece = 64 << 10

// group is the ranks of one process. They share nothing but messages: every byte another rank sees is a copy, and no rank
// can reach another's tensors.
type group struct {
	size    int
	mu      sync.Mutex
	mail    map[string][][]chan []byte // by channel: mail[from][to]
	aborted chan struct{}
	once    sync.Once
	err     error
	spare   sync.Pool // of messages that were read
}

// local is one rank of a group.
type local struct {
	*group
	rank int
	sent atomic.Int64
	open []*channel
}

// NewLocal makes a group of ranks within this process, on devices whose tensors have Host bytes.
func NewLocal(size int) []Comm {
	g := &group{size: size, aborted: make(chan struct{}), mail: map[string][][]chan []byte{}}
	g.spare.New = func() any { b := make([]byte, 0, piece); return &b }
	out := make([]Comm, size)
	for r := range out {
		out[r] = &local{group: g, rank: r}
	}
	return out
}

func (l *local) Rank() int   { return l.rank }
func (l *local) Size() int   { return l.size }
func (l *local) Sent() int64 { return l.sent.Load() }

// Abort fails the group.
func (l *local) Abort(err error) {
	l.once.Do(func() {
		l.err = err
		close(l.aborted)
	})
}

func (l *local) fail() error { return fmt.Errorf("%w: %w", ErrAborted, l.err) }

// Open starts the goroutine that does a channel's work.
func (l *local) Open(name string) (Channel, error) {
	c := &channel{local: l, name: name, mail: l.boxes(name), jobs: make(chan func(), 64), stopped: make(chan struct{})}
	l.open = append(l.open, c)
	go c.run()
	return c, nil
}

// boxes is where the ranks leave messages for each other on a channel.
func (g *group) boxes(name string) [][]chan []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mail[name] == nil {
		m := make([][]chan []byte, g.size)
		for from := range m {
			for range g.size {
				m[from] = append(m[from], make(chan []byte, 1)) // a message a pair: the next waits until this one is read
			}
		}
		g.mail[name] = m
	}
	return g.mail[name]
}

// Close waits for the channels' work. After Abort there is none.
func (l *local) Close() error {
	for _, c := range l.open {
		close(c.jobs)
		<-c.stopped
	}
	l.open = nil
	return nil
}

// channel does its collectives one after the other on a goroutine of its own; err is that goroutine's.
type channel struct {
	*local
	name    string
	mail    [][]chan []byte
	jobs    chan func()
	stopped chan struct{}
	err     error
	buf     []float32 // one message's numbers
}

func (c *channel) run() {
	defer close(c.stopped)
	for f := range c.jobs {
		f()
	}
}

// point is an event; err may be read once done is closed.
type point struct {
	done chan struct{}
	err  error
}

func (p *point) Sync() error {
	<-p.done
	return p.err
}

// do queues f behind after. When it fails the others would wait for ever, so all of them fail.
func (c *channel) do(what string, t tensor.Tensor, after device.Event, f func() error) device.Event {
	p := &point{done: make(chan struct{})}
	c.jobs <- func() {
		defer close(p.done)
		if c.err == nil {
			c.err = c.try(what, t, after, f)
		}
		p.err = c.err
	}
	return p
}

func (c *channel) try(what string, t tensor.Tensor, after device.Event, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
		if err != nil && !errors.Is(err, ErrAborted) {
			err = fmt.Errorf("%s of %q: %w", what, t.Name, err)
			c.Abort(fmt.Errorf("rank %d: %w", c.rank, err))
		}
	}()
	if after != nil {
		if err := after.Sync(); err != nil {
			return err
		}
	}
	return f()
}

// exchange sends out(to, i) to every rank and hands what comes to take, rank by rank, in pieces of n elements in all. A
// rank's message to itself is made and taken in its turn without being sent.
func (c *channel) exchange(n, step int, out func(msg []byte, to, i0, i1 int) []byte, take func(msg []byte, from, i0, i1 int)) error {
	for i0 := 0; i0 < n; i0 += step {
		i1 := min(i0+step, n)
		var own []byte
		for to := range c.size {
			msg := out((*c.spare.Get().(*[]byte))[:0], to, i0, i1)
			if to == c.rank {
				own = msg
			} else if err := c.send(to, msg); err != nil {
				return err
			}
		}
		for from := range c.size {
			msg := own
			if from != c.rank {
				var err error
				if msg, err = c.receive(from); err != nil {
					return err
				}
			}
			take(msg, from, i0, i1)
			c.spare.Put(&msg)
		}
	}
	return nil
}

func (c *channel) send(to int, msg []byte) error {
	select {
	case <-c.aborted:
		return c.fail()
	case c.mail[c.rank][to] <- msg:
		c.sent.Add(int64(len(msg)))
		return nil
	}
}

func (c *channel) receive(from int) ([]byte, error) {
	select {
	case <-c.aborted:
		return nil, c.fail()
	case msg := <-c.mail[from][c.rank]:
		return msg, nil
	}
}
