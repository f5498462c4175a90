package report

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// chart is one plot: a line of points over steps, and maybe single points beside it.
type chart struct {
	Title  string
	format func(float64) string // of a value
	line   []point
	dots   []point
}

type point struct{ x, y float64 }

// The size of a plot in SVG units; the page scales it.
const (
	plotWidth, plotHeight = 640.0, 240.0
	marginLeft, marginTop = 64.0, 12.0
	marginRight           = 16.0
	marginBottom          = 28.0
)

// maxPoints bounds the points of a drawn line; a long run shows the mean of neighbours.
const maxPoints = 1000

// Empty tells that there is nothing to draw.
func (c chart) Empty() bool { return len(finite(c.line))+len(finite(c.dots)) == 0 }

// SVG draws the chart. Text in it is numbers we format, so it needs no escaping.
func (c chart) SVG() template.HTML {
	line, dots := thin(finite(c.line)), finite(c.dots)
	xr, yr := spans(append(append([]point{}, line...), dots...))
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img">`, plotWidth, plotHeight)
	c.axes(&b, xr, yr)
	if len(line) > 0 {
		b.WriteString(`<polyline class="line" points="`)
		for _, p := range line {
			fmt.Fprintf(&b, "%.1f,%.1f ", xr.toX(p.x), yr.toY(p.y))
		}
		b.WriteString(`"/>`)
	}
	for _, p := range line {
		c.dot(&b, "hover", p, xr, yr)
	}
	for _, p := range dots {
		c.dot(&b, "dot", p, xr, yr)
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// dot is a point that shows its value under the mouse.
func (c chart) dot(b *strings.Builder, class string, p point, xr, yr span) {
	fmt.Fprintf(b, `<circle class="%s" cx="%.1f" cy="%.1f" r="4"><title>step %.0f: %s</title></circle>`,
		class, xr.toX(p.x), yr.toY(p.y), p.x, c.format(p.y))
}

// axes draws grid lines at round values, and their numbers.
func (c chart) axes(b *strings.Builder, xr, yr span) {
	for _, v := range yr.ticks() {
		y := yr.toY(v)
		fmt.Fprintf(b, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/><text x="%g" y="%.1f" text-anchor="end">%s</text>`,
			marginLeft, plotWidth-marginRight, y, y, marginLeft-6, y+4, c.format(v))
	}
	for _, v := range xr.ticks() {
		fmt.Fprintf(b, `<text x="%.1f" y="%g" text-anchor="middle">%.0f</text>`, xr.toX(v), plotHeight-8, v)
	}
}

// span is the range of an axis.
type span struct{ low, high float64 }

func (s span) share(v float64) float64 { return (v - s.low) / (s.high - s.low) }

func (s span) toX(v float64) float64 {
	return marginLeft + s.share(v)*(plotWidth-marginLeft-marginRight)
}

func (s span) toY(v float64) float64 {
	return plotHeight - marginBottom - s.share(v)*(plotHeight-marginTop-marginBottom)
}

// spans are the ranges of both axes, never empty.
func spans(points []point) (x, y span) {
	x, y = span{math.Inf(1), math.Inf(-1)}, span{math.Inf(1), math.Inf(-1)}
	for _, p := range points {
		x.low, x.high = min(x.low, p.x), max(x.high, p.x)
		y.low, y.high = min(y.low, p.y), max(y.high, p.y)
	}
	if x.high == x.low {
		x.low, x.high = x.low-1, x.high+1
	}
	if y.high == y.low {
		half := max(math.Abs(y.low)/10, 1e-9)
		y.low, y.high = y.low-half, y.high+half
	}
	return x, y
}

// ticks are three to seven round values in the range: multiples of 1, 2 or 5 times a power of ten.
func (s span) ticks() []float64 {
	rough := (s.high - s.low) / 4
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	step := 10 * power
	for _, m := range []float64{1, 2, 5} {
		if m*power >= rough {
			step = m * power
			break
		}
	}
	var out []float64
	for i := math.Ceil(s.low / step); i*step <= s.high && len(out) < 10; i++ {
		out = append(out, i*step)
	}
	return out
}

// finite leaves out what cannot be drawn.
func finite(points []point) []point {
	var out []point
	for _, p := range points {
		if !math.IsNaN(p.y) && !math.IsInf(p.y, 0) {
			out = append(out, p)
		}
	}
	return out
}

// thin averages neighbours until at most maxPoints are left.
func thin(points []point) []point {
	n := (len(points) + maxPoints - 1) / maxPoints
	if n <= 1 {
		return points
	}
	var out []point
	for ; len(points) > 0; points = points[min(n, len(points)):] {
		var mean point
		part := points[:min(n, len(points))]
		for _, p := range part {
			mean.x += p.x / float64(len(part))
			mean.y += p.y / float64(len(part))
		}
		out = append(out, mean)
	}
	return out
}
