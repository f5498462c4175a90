package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
)

// point is a value at a step; of several steps, their mean with the least and the greatest.
type point struct{ x, y, low, high float64 }

// dot is a point of one value.
func dot(x, y float64) point { return point{x, y, y, y} }

// series is one line of a chart, or its points.
type series struct {
	name   string
	class  string // colour and form, as report.css knows them
	points []point
	kind   seriesKind
}

type seriesKind int

const (
	lineKind  seriesKind = iota // a line
	bandKind                    // a line, and the area between least and greatest values
	dotsKind                    // points on a thin line
	levelKind                   // a level line: one value for all steps
)

// chart is one plot over steps.
type chart struct {
	ID, Title string
	Unit      string // of the values, for the axis
	Note      string // below the chart
	format    format
	series    []series
	marks     []float64 // steps that are marked below the lines
	marked    string    // what the marks mean
	zero      bool      // the axis begins at 0
	log       bool      // there is a second view with a logarithmic axis
}

// Empty tells that there is nothing to draw.
func (c chart) Empty() bool {
	for _, s := range c.series {
		for _, p := range s.points {
			if s.kind != levelKind && finite(p.y) {
				return false
			}
		}
	}
	return len(c.marks) == 0
}

// finite tells whether a value can be drawn: it is a number, and one whose range with others is a number too.
func finite(v float64) bool { return math.Abs(v) < 1e150 }

// The user space of a plot. It is stretched to the plot's box, whose text is HTML beside it: so text keeps its size at every width.
const plotSize = 1000.0

// HTML draws the chart. What of it is text goes through html.EscapeString.
func (c chart) HTML() template.HTML {
	var b strings.Builder
	x, y := c.spans()
	fmt.Fprintf(&b, `<figure class="chart" id="%s"><figcaption id="%[1]s-title">%s</figcaption>`, c.ID, html.EscapeString(c.Title))
	logs := c.log && c.positive().low > 0
	if logs {
		fmt.Fprintf(&b, `<input type="checkbox" class="to-log" id="%s-log"><label for="%[1]s-log">log scale</label>`, c.ID)
	}
	c.legend(&b)
	c.plot(&b, "linear", x, y)
	if logs {
		c.plot(&b, "log", x, logarithmic(c.positive()))
	}
	if c.Note != "" {
		fmt.Fprintf(&b, `<p class="note">%s</p>`, html.EscapeString(c.Note))
	}
	b.WriteString("</figure>")
	return template.HTML(b.String())
}

func (c chart) legend(b *strings.Builder) {
	b.WriteString(`<ul class="legend">`)
	for _, s := range c.series {
		fmt.Fprintf(b, `<li class="%s"><svg viewBox="0 0 24 10" aria-hidden="true"><path d="M1 5H23"/></svg>%s</li>`, s.classes(), html.EscapeString(s.name))
	}
	if len(c.marks) > 0 {
		fmt.Fprintf(b, `<li class="skip"><svg viewBox="0 0 24 10" aria-hidden="true"><path d="M12 0V10"/></svg>%s</li>`, html.EscapeString(c.marked))
	}
	b.WriteString(`</ul>`)
}

func (s series) classes() string {
	return s.class + " " + map[seriesKind]string{lineKind: "line", bandKind: "band", dotsKind: "dots", levelKind: "level"}[s.kind]
}

// plot is the box with lines, grid and numbers. The script reads its ranges to place what it shows under the pointer.
func (c chart) plot(b *strings.Builder, class string, x, y span) {
	fmt.Fprintf(b, `<div class="frame %s"><div class="y-name" aria-hidden="true">%s</div>`, class, html.EscapeString(c.Unit))
	fmt.Fprintf(b, `<div class="plot" data-chart="%s" data-x="%s %s" data-y="%s %s"%s>`, c.ID, num(x.low), num(x.high), num(y.low), num(y.high), map[bool]string{true: " data-log"}[y.log])
	fmt.Fprintf(b, `<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-labelledby="%s-%s-t" aria-describedby="%[1]s-%[2]s-d"><title id="%[1]s-%[2]s-t">%s</title><desc id="%[1]s-%[2]s-d">%s</desc>`,
		c.ID, class, html.EscapeString(c.Title), html.EscapeString(c.describe()))
	var labels strings.Builder
	c.axes(b, &labels, x, y)
	for _, s := range c.series {
		s.draw(b, x, y)
	}
	for _, m := range c.marks {
		fmt.Fprintf(b, `<path class="skip" d="M%s 1000v-30"/>`, num(x.at(m)*plotSize))
	}
	fmt.Fprintf(b, `</svg>%s</div><div class="x-name" aria-hidden="true">step</div></div>`, labels.String())
}

// axes draws grid lines into b and their numbers into labels.
func (c chart) axes(b, labels *strings.Builder, x, y span) {
	ticks, write := y.ticks(c.format, 5)
	for _, v := range ticks {
		at := 1 - y.at(v)
		fmt.Fprintf(b, `<path class="grid" d="M0 %sH1000"/>`, num(at*plotSize))
		fmt.Fprintf(labels, `<span class="y-tick" aria-hidden="true" style="top:%s%%">%s</span>`, num(at*100), html.EscapeString(write(v)))
	}
	ticks, write = x.ticks(wholeFormat, 7)
	for i, v := range ticks {
		odd := ""
		if i%2 == 1 && len(ticks) > 4 {
			odd = " odd"
		}
		fmt.Fprintf(b, `<path class="grid faint" d="M%s 0V1000"/>`, num(x.at(v)*plotSize))
		fmt.Fprintf(labels, `<span class="x-tick%s" aria-hidden="true" style="left:%s%%">%s</span>`, odd, num(x.at(v)*100), html.EscapeString(write(v)))
	}
}

// draw writes a series as paths. Where a value cannot be drawn the line has a gap.
func (s series) draw(b *strings.Builder, x, y span) {
	if s.kind == bandKind && wide(s.points) {
		var up, down []string
		for _, p := range s.points {
			if y.draws(p.low) && y.draws(p.high) {
				up = append(up, place(x, y, p.x, p.high))
				down = append(down, place(x, y, p.x, p.low))
			}
		}
		for i, j := 0, len(down)-1; i < j; i, j = i+1, j-1 {
			down[i], down[j] = down[j], down[i]
		}
		if len(up) > 0 {
			fmt.Fprintf(b, `<path class="%s area" d="M%s L%sZ"/>`, s.class, strings.Join(up, " "), strings.Join(down, " "))
		}
	}
	if s.kind == levelKind {
		if len(s.points) > 0 && y.draws(s.points[0].y) {
			fmt.Fprintf(b, `<path class="%s" d="M0 %sH1000"/>`, s.classes(), num((1-y.at(s.points[0].y))*plotSize))
		}
		return
	}
	path, single := trace(s.points, x, y)
	if path != "" {
		fmt.Fprintf(b, `<path class="%s" d="%s"/>`, s.classes(), path)
	}
	if s.kind == dotsKind {
		single = nil
		for _, p := range s.points {
			if y.draws(p.y) {
				single = append(single, p)
			}
		}
	}
	many := ""
	if len(single) > 80 {
		many = " many"
	}
	for _, p := range single { // a line of no length with round ends stays round when the plot is stretched
		fmt.Fprintf(b, `<path class="%s point%s" d="M%sh0"/>`, s.class, many, place(x, y, p.x, p.y))
	}
}

// trace is the path of the points, and those that stand alone between gaps.
func trace(points []point, x, y span) (path string, single []point) {
	var b strings.Builder
	run := 0
	for i, p := range points {
		if !y.draws(p.y) {
			run = 0
			continue
		}
		run++
		if run == 1 && (i+1 == len(points) || !y.draws(points[i+1].y)) {
			single = append(single, p)
			continue
		}
		b.WriteString(map[bool]string{true: "M", false: " "}[run == 1])
		b.WriteString(place(x, y, p.x, p.y))
	}
	return b.String(), single
}

// wide tells whether points stand for several values.
func wide(points []point) bool {
	for _, p := range points {
		if p.high > p.low {
			return true
		}
	}
	return false
}

func place(x, y span, px, py float64) string {
	return num(x.at(px)*plotSize) + " " + num((1-y.at(py))*plotSize)
}

// describe says in a sentence what the chart shows, for those who cannot see it.
func (c chart) describe() string {
	var parts []string
	for _, s := range c.series {
		var shown []point
		for _, p := range s.points {
			if finite(p.y) {
				shown = append(shown, p)
			}
		}
		if len(shown) == 0 {
			continue
		}
		first, last := shown[0], shown[len(shown)-1]
		if s.kind == levelKind {
			parts = append(parts, fmt.Sprintf("%s: %s", s.name, c.format.value(first.y)))
			continue
		}
		parts = append(parts, fmt.Sprintf("%s: from %s at step %.0f to %s at step %.0f", s.name, c.format.value(first.y), math.Ceil(first.x), c.format.value(last.y), math.Floor(last.x)))
	}
	if n := len(c.marks); n > 0 {
		parts = append(parts, fmt.Sprintf("%s: %d", c.marked, n))
	}
	return strings.Join(parts, "; ") + ". The values are in the table below the charts."
}

// spans are the ranges of both axes, never empty.
func (c chart) spans() (x, y span) {
	x, y = emptySpan(), emptySpan()
	for _, s := range c.series {
		for _, p := range s.points {
			if !finite(p.y) {
				continue
			}
			y.take(p.y)
			if s.kind == bandKind {
				y.take(p.low)
				y.take(p.high)
			}
			if s.kind != levelKind {
				x.take(p.x)
			}
		}
	}
	for _, m := range c.marks {
		x.take(m)
	}
	if c.zero {
		y.take(0)
	}
	y.widen(c.zero)
	if x.low == x.high {
		x.low, x.high = x.low-0.5, x.high+0.5
	}
	return x, y
}

// positive is the range of the values above 0.
func (c chart) positive() span {
	y := emptySpan()
	for _, s := range c.series {
		for _, p := range s.points {
			for _, v := range []float64{p.low, p.y, p.high} {
				if finite(v) && v > least {
					y.take(v)
				}
			}
		}
	}
	if y.low > y.high {
		return span{}
	}
	return y
}

// num writes a coordinate.
func num(v float64) string {
	text := fmt.Sprintf("%.2f", v)
	if math.Abs(v) < 0.1 && v != 0 { // ranges of small values, such as rates
		return fmt.Sprintf("%.6g", v)
	}
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}
