package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/schollz/progressbar/v3"
)

// Progress shows steps as they finish: a bar on a terminal, else a line a step.
type Progress struct {
	w   io.Writer
	bar *progressbar.ProgressBar // nil: lines
}

// NewProgress shows a run of total steps of which done are finished.
func NewProgress(w io.Writer, terminal bool, done, total int) *Progress {
	p := &Progress{w: w}
	if terminal {
		p.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(w), progressbar.OptionShowCount(),
			progressbar.OptionFullWidth(), progressbar.OptionSetPredictTime(true), progressbar.OptionUseANSICodes(true))
		_ = p.bar.Set(done)
	}
	return p
}

// Step shows a finished step.
func (p *Progress) Step(s Step) {
	if p.bar == nil {
		fmt.Fprintln(p.w, s.Line())
		return
	}
	p.bar.Describe(fmt.Sprintf("loss %.4f  %s", s.Loss, strings.Join(s.rest(), "  ")))
	_ = p.bar.Set(s.Step) // the terminal may be gone; the run goes on
}

// Say writes a line of talk; a bar makes way for it.
func (p *Progress) Say(format string, args ...any) {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	fmt.Fprintf(p.w, format+"\n", args...)
	if p.bar != nil {
		_ = p.bar.RenderBlank()
	}
}

// Close ends the bar's line.
func (p *Progress) Close() {
	if p.bar != nil {
		_ = p.bar.Exit()
		fmt.Fprintln(p.w)
	}
}
