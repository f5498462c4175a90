package cli

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"lomo/internal/checkpoint"
	"lomo/internal/report"
)

// pullMeter shows a download: on a terminal one line that is written over, else a line now and then.
type pullMeter struct {
	s *Streams

	mu          sync.Mutex
	total, have int64
	first       int64 // bytes that were there before
	began, last time.Time
	marks       []mark
	quit, ended chan struct{}

	shown atomic.Pointer[shownPull] // what the line on a terminal tells; the console asks for it while it has its own lock
}

// shownPull is how far a download is.
type shownPull struct {
	have, total int64
	marks       []mark
}

// mark is how far a download was at a time; the speed is told over the last of them.
type mark struct {
	at   time.Time
	have int64
}

// Between two lines of progress.
const (
	onTerminal = 250 * time.Millisecond
	inLog      = 10 * time.Second
)

func newPullMeter(s *Streams) *pullMeter { return &pullMeter{s: s} }

// Start begins to show progress.
func (m *pullMeter) Start(count int, total, have int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total, m.have, m.first, m.began = total, have, have, time.Now()
	m.marks = []mark{{m.began, have}}
	if have > 0 {
		m.say(fmt.Sprintf("%s of %s are there already", checkpoint.FormatSize(have), checkpoint.FormatSize(total)))
	}
	m.say(fmt.Sprintf("fetching %s, %s", files(count), checkpoint.FormatSize(total-have)))
	m.quit, m.ended = make(chan struct{}), make(chan struct{})
	m.shown.Store(&shownPull{m.have, m.total, m.marks})
	m.s.talk().SetLine(func(width int) string {
		now := m.shown.Load()
		return progressLine(now.have, now.total, now.marks, width)
	})
	go m.tick(m.quit, m.ended)
}

func (m *pullMeter) tick(quit, ended chan struct{}) {
	defer close(ended)
	every := inLog
	if m.s.talk().Moves() {
		every = onTerminal
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-quit:
			return
		case now := <-t.C:
			m.mu.Lock()
			m.show(now)
			m.mu.Unlock()
		}
	}
}

// Add counts bytes.
func (m *pullMeter) Add(n int64) {
	m.mu.Lock()
	m.have += n
	m.mu.Unlock()
}

// Note writes a line of talk.
func (m *pullMeter) Note(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.say(fmt.Sprintf(format, args...))
}

func (m *pullMeter) say(line string) { fmt.Fprintln(m.s.Err, line) }

// show writes the line of progress.
func (m *pullMeter) show(now time.Time) {
	m.marks = append(m.marks, mark{now, m.have})
	if over := len(m.marks) - 41; over > 0 { // ten seconds on a terminal
		m.marks = m.marks[over:]
	}
	m.shown.Store(&shownPull{m.have, m.total, slices.Clone(m.marks)})
	if m.s.talk().Moves() {
		m.s.talk().Draw()
		return
	}
	m.say(progressLine(m.have, m.total, m.marks, plainWidth))
}

// plainWidth is how long a line is where there is no terminal.
const plainWidth = 79

// progressLine tells share, bytes, speed and time left; what does not fit is left out, the last first.
func progressLine(have, total int64, marks []mark, width int) string {
	fields := []string{fmt.Sprintf("%3.0f%%", 100*float64(have)/float64(max(1, total))), fmt.Sprintf("%s of %s", checkpoint.FormatSize(have), checkpoint.FormatSize(total))}
	a, b := marks[0], marks[len(marks)-1]
	if span := b.at.Sub(a.at).Seconds(); span > 0 {
		rate := max(0, float64(b.have-a.have)/span)
		fields = append(fields, checkpoint.FormatSize(int64(rate))+"/s")
		if rate > 0 && have < total {
			left := time.Duration(float64(total-have) / rate * float64(time.Second))
			if left < 1000*time.Hour {
				fields = append(fields, report.Duration(left.Round(time.Second))+" left")
			}
		}
	}
	for n := len(fields); n > 1; n-- {
		if line := strings.Join(fields[:n], "  "); utf8.RuneCountInString(line) <= width {
			return line
		}
	}
	return fields[0]
}

// stop ends the display.
func (m *pullMeter) stop() {
	if m.quit != nil {
		close(m.quit)
		<-m.ended
		m.quit = nil
	}
	m.s.talk().SetLine(nil)
}
