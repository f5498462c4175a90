package report

import (
	"strings"

	"github.com/rivo/uniseg"
)

// Field is a part of a line on a terminal. Where not all fit, the one with the highest Rank is shortened or left out first.
type Field struct {
	Text  string
	Short string // what it may shrink to; "": it is left out whole
	Rank  int    // 0 stays to the last

	ShortRank int // when it shrinks; 0: when it would go

	Grow func(width int) string // makes the text of what room is left in the line; nil: the text stays as it is
}

// gap is what stands between two fields.
const gap = "  "

// Fit is a line of fields, in their order, of at most width columns: a pure function, so that it can be tested for every width. Fields shrink and
// then go by their rank; of the last one what fits is kept.
func Fit(fields []Field, width int) string {
	var left []Field
	for _, f := range fields {
		if f.Text != "" {
			left = append(left, f)
		}
	}
	for lineWidth(left) > width && len(left) > 0 {
		least := 0
		for i, f := range left {
			if f.cost() >= left[least].cost() {
				least = i
			}
		}
		switch f := &left[least]; {
		case f.Short != "":
			f.Text, f.Short = f.Short, ""
		case len(left) > 1:
			left = append(left[:least], left[least+1:]...)
		default:
			return cut(f.Text, width)
		}
	}
	if room := width - lineWidth(left); room > 0 {
		for i, f := range left {
			if f.Grow != nil {
				left[i].Text = f.Grow(uniseg.StringWidth(f.Text) + room)
				break
			}
		}
	}
	return joined(left)
}

// cost is the rank of the next thing that the field gives up.
func (f Field) cost() int {
	if f.Short != "" {
		return max(f.Rank, f.ShortRank)
	}
	return f.Rank
}

func joined(fields []Field) string {
	texts := make([]string, len(fields))
	for i, f := range fields {
		texts[i] = f.Text
	}
	return strings.Join(texts, gap)
}

func lineWidth(fields []Field) int { return uniseg.StringWidth(joined(fields)) }

// cut is what of a text fits into width columns.
func cut(text string, width int) string {
	var out strings.Builder
	for state := -1; text != ""; {
		var cluster string
		var w int
		cluster, text, w, state = uniseg.FirstGraphemeClusterInString(text, state)
		if width -= w; width < 0 {
			break
		}
		out.WriteString(cluster)
	}
	return out.String()
}
