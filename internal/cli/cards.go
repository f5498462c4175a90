package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lomo/internal/checkpoint"
	"lomo/internal/config"
	"lomo/internal/job"
	"lomo/internal/memprof"
	"lomo/internal/report"
)

// cardFlags are the figures a plan for cards takes as given.
type cardFlags struct {
	deviceMemory, hostMemory, links string
	tflops, memory                  float64
}

// add gives c the flags.
func (f *cardFlags) add(c *cobra.Command) {
	def := job.DefaultCards()
	var links []string
	for _, l := range def.LinkGBps {
		links = append(links, fmt.Sprint(l))
	}
	fl := c.Flags()
	fl.StringVar(&f.deviceMemory, "device-memory", "24GB", "plan for cards of this `size`")
	fl.StringVar(&f.hostMemory, "host-memory", "", "`size` of the machine's memory that may be pinned; empty does not check")
	fl.Float64Var(&f.tflops, "card-tflops", def.TFLOPS, "predict the time of a step at `N` TFLOP/s a card")
	fl.Float64Var(&f.memory, "card-gbps", def.MemoryGBps, "and at `N` GB/s of the card's own memory")
	fl.StringVar(&f.links, "link-gbps", strings.Join(links, ","), "and at `N` GB/s each way between a card and the rest; several rates by commas")
}

// read is the figures given.
func (f *cardFlags) read() (job.Cards, error) {
	c := job.Cards{TFLOPS: f.tflops, MemoryGBps: f.memory}
	for name, v := range map[string]float64{"card-tflops": f.tflops, "card-gbps": f.memory} {
		if !(v > 0) {
			return c, usage("", "--%s: %v is not above 0", name, v)
		}
	}
	for _, s := range []struct {
		flag, text string
		to         *int64
	}{{"device-memory", f.deviceMemory, &c.DeviceMemory}, {"host-memory", f.hostMemory, &c.HostMemory}} {
		if s.text == "" {
			continue
		}
		n, err := checkpoint.ParseSize(s.text)
		if err != nil {
			return c, &usageError{fmt.Errorf("--%s: %w", s.flag, err), hintOf(err)}
		}
		*s.to = n
	}
	for _, text := range strings.Split(f.links, ",") {
		v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || !(v > 0) {
			return c, usage("", "--link-gbps: %q is not a number above 0", text)
		}
		c.LinkGBps = append(c.LinkGBps, v)
	}
	return c, nil
}

// printCards is a plan for cards: bytes of each by owner, and the times of a step.
func printCards(w io.Writer, p *memprof.Profile, c *config.Config, cards job.Cards) error {
	fmt.Fprintf(w, "planned memory of each card: %s of %s, in %s\n", checkpoint.FormatSize(p.Peak), checkpoint.FormatSize(cards.DeviceMemory), p.At)
	t := &report.Table{Header: []string{"owner", "bytes", "share"}, Right: []bool{false, true, true}}
	for _, r := range p.Rows() {
		t.Add(r.Owner, checkpoint.FormatSize(r.Bytes), fmt.Sprintf("%.1f%%", 100*float64(r.Bytes)/float64(max(1, p.Peak))))
	}
	t.Add("together", checkpoint.FormatSize(p.Peak), "100%")
	if err := t.Write(w); err != nil {
		return err
	}
	fmt.Fprintf(w, "pinned host memory: %s a rank, %s together\n", checkpoint.FormatSize(p.Pinned), checkpoint.FormatSize(p.Pinned*int64(c.Devices)))
	fmt.Fprintf(w, "predicted time of a step of %d tokens, %d a card, at %v TFLOP/s and %v GB/s of memory a card:\n", p.Tokens*c.Devices, p.Tokens, cards.TFLOPS, cards.MemoryGBps)
	t = &report.Table{Header: []string{"links"}, Right: []bool{false}}
	rows := [][]string{{"a step"}, {"tokens/s a card"}, {"  forward"}, {"  computing again"}, {"  backward"}, {"  loss and head"}, {"  element by element"}, {"  update"},
		{"  gathers"}, {"  sums of gradients"}, {"  host copies"}}
	for _, s := range p.Steps {
		t.Header, t.Right = append(t.Header, fmt.Sprintf("%v GB/s", s.LinkGBps)), append(t.Right, true)
		for i, v := range []float64{s.Seconds, s.TokS, s.Forward, s.Recompute, s.Backward, s.Head, s.Elements, s.Update, s.Gather, s.Reduce, s.Copies} {
			text := report.Duration(time.Duration(v * float64(time.Second)))
			if i == 1 {
				text = report.Count(v)
			}
			rows[i] = append(rows[i], text)
		}
	}
	for _, r := range rows {
		t.Add(r...)
	}
	return t.Write(w)
}
