package cli

import (
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"lomo/internal/checkpoint"
	"lomo/internal/report"
)

// pullMeter shows a download: on a terminal a line that moves, else a line now and then.
type pullMeter struct {
	talk *report.Console

	mu          sync.Mutex
	total, have int64
	marks       []mark
	quit, ended chan struct{}
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

func newPullMeter(s *Streams) *pullMeter { return &pullMeter{talk: s.talk()} }

// Start begins to show progress.
func (m *pullMeter) Start(count int, total, have int64) {
	m.mu.Lock()
	m.total, m.have, m.marks = total, have, []mark{{time.Now(), have}}
	m.mu.Unlock()
	if have > 0 {
		m.Note("%s of %s are there already", checkpoint.FormatSize(have), checkpoint.FormatSize(total))
	}
	m.Note("fetching %s, %s", files(count), checkpoint.FormatSize(total-have))
	m.quit, m.ended = make(chan struct{}), make(chan struct{})
	if m.talk.Moves() {
		m.talk.SetLine(m.line)
	}
	go m.tick(m.quit, m.ended)
}

func (m *pullMeter) tick(quit, ended chan struct{}) {
	defer close(ended)
	every := inLog
	if m.talk.Moves() {
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
			m.marks = append(m.marks, mark{now, m.have})
			if over := len(m.marks) - 41; over > 0 { // ten seconds on a terminal
				m.marks = m.marks[over:]
			}
			m.mu.Unlock()
			if m.talk.Moves() {
				m.talk.Draw()
			} else {
				m.talk.Say("%s", m.line(79))
			}
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
func (m *pullMeter) Note(format string, args ...any) { m.talk.Say(format, args...) }

func (m *pullMeter) line(width int) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return progressLine(m.have, m.total, m.marks, width)
}

// progressLine tells share, bytes, speed and time left; what does not fit is left out, the last first.
func progressLine(have, total int64, marks []mark, width int) string {
	fields := []string{fmt.Sprintf("%3.0f%%", 100*float64(have)/float64(max(1, total))), fmt.Sprintf("%s of %s", checkpoint.FormatSize(have), checkpoint.FormatSize(total))}
	a, b := marks[0], marks[len(marks)-1]
	if span := b.at.Sub(a.at).Seconds(); span > 0 {
		rate := max(0, float64(b.have-a.have)/span)
		fields = append(fields, checkpoint.FormatSize(int64(rate))+"/s")
		if left := float64(total-have) / rate; rate > 0 && have < total && left < 3.6e6 {
			fields = append(fields, report.Duration(time.Duration(left)*time.Second)+" left")
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
	if m.quit == nil {
		return
	}
	close(m.quit)
	<-m.ended
	m.quit = nil
	if m.talk.Moves() {
		m.talk.SetLine(nil)
	}
}
