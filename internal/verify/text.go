package verify

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"lomo/internal/report"
)

// Write prints the report for people; version is the program's.
func (r *Report) Write(w io.Writer, version string) error {
	fmt.Fprintf(w, "lomo %s, %s/%s, verified %s", version, r.OS, r.Arch, r.Device)
	if r.Driver > 0 {
		fmt.Fprintf(w, ", driver for CUDA %d.%d", r.Driver/1000, r.Driver%1000/10)
	}
	fmt.Fprintf(w, ", %.0f s\n", r.Took)
	r.verdict(w)
	tables := []struct {
		title string
		t     *report.Table
	}{
		{"cards", r.cardTable()}, {"kernels beside their twins: the largest error, as a share of the element and of the mean", r.kernelTable()},
		{"kernels at the shapes of LLaMA-7B", r.speedTable()}, {"ways", r.linkTable()}, {"collectives", r.groupTable()},
		{"training a tiny model: largest difference of a loss from the host's", r.runTable()},
	}
	for _, t := range tables {
		if len(t.t.Rows) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s\n", t.title)
		if err := t.t.Write(w); err != nil {
			return err
		}
	}
	return nil
}

func (r *Report) verdict(w io.Writer) {
	if len(r.Problems) == 0 {
		fmt.Fprintln(w, "everything agrees")
		return
	}
	fmt.Fprintf(w, "%d problems:\n", len(r.Problems))
	for _, p := range r.Problems {
		fmt.Fprintf(w, "  %s\n", p)
	}
}

// right is flush right from column n on.
func right(n int, header ...string) *report.Table {
	t := &report.Table{Header: header, Right: make([]bool, len(header))}
	for i := n; i < len(header); i++ {
		t.Right[i] = true
	}
	return t
}

func (r *Report) cardTable() *report.Table {
	t := right(2, "card", "name", "sm", "PCI", "memory", "free", "peak bf16", "peak f32", "peak memory", "products")
	for _, c := range r.Cards {
		t.Add(fmt.Sprint(c.Index), c.Name, fmt.Sprintf("%d.%d", c.Major, c.Minor), c.PCI, report.Bytes(c.Total), report.Bytes(c.Free),
			fmt.Sprintf("%.1f TFLOP/s", c.BF16/1e12), fmt.Sprintf("%.1f TFLOP/s", c.F32/1e12), fmt.Sprintf("%.0f GB/s", c.Memory/1e9), cmp.Or(c.Library, "own"))
	}
	return t
}

func (r *Report) kernelTable() *report.Table {
	t := right(3, "kernel", "shape", "dtype", "error", "bound", "")
	for _, k := range r.Kernels {
		t.Add(k.Kernel, k.Shape, strings.ToLower(k.DType), fmt.Sprintf("%.1e", k.Error), fmt.Sprintf("%.1e", k.Bound), map[bool]string{true: "ok", false: "DIFFERS"}[k.OK])
	}
	return t
}

func (r *Report) speedTable() *report.Table {
	t := right(3, "kernel", "shape", "dtype", "time", "rate", "share of peak")
	for _, s := range r.Speeds {
		rate := fmt.Sprintf("%.1f GB/s", s.Bytes/1e9)
		if s.FLOPS > 0 {
			rate = fmt.Sprintf("%.2f TFLOP/s", s.FLOPS/1e12)
		}
		t.Add(s.Kernel, s.Shape, strings.ToLower(s.DType), fmt.Sprintf("%.3f ms", s.Time*1e3), rate, fmt.Sprintf("%.0f%%", 100*s.Share))
	}
	return t
}

func (r *Report) linkTable() *report.Table {
	t := right(2, "from", "to", "GB/s", "")
	for _, l := range r.Links {
		how := ""
		if l.Direct {
			how = "peer access"
		}
		t.Add(l.From, l.To, fmt.Sprintf("%.2f", l.Rate/1e9), how)
	}
	return t
}

func (r *Report) groupTable() *report.Table {
	t := right(1, "collective", "cards", "bytes", "time", "GB/s sent a card", "")
	for _, g := range r.Groups {
		verdict := map[bool]string{true: "right", false: "WRONG"}[g.Right]
		if g.By != "" {
			verdict += ", by " + g.By
		}
		t.Add(g.Name, fmt.Sprint(g.Cards), report.Bytes(g.Bytes), fmt.Sprintf("%.3f ms", g.Time*1e3), fmt.Sprintf("%.2f", g.Sent/1e9), verdict)
	}
	return t
}

func (r *Report) runTable() *report.Table {
	t := right(2, "optimizer", "dtype", "steps", "first loss", "last loss", "difference", "bound")
	for _, x := range r.Runs {
		t.Add(x.Optimizer, strings.ToLower(x.DType), fmt.Sprint(len(x.Losses)), fmt.Sprintf("%.5f", x.Losses[0]), fmt.Sprintf("%.5f", x.Losses[len(x.Losses)-1]),
			fmt.Sprintf("%.1e", x.Worst), fmt.Sprintf("%.1e", x.Bound))
	}
	return t
}
