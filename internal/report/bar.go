package report

import (
	"io"
	"strings"

	"github.com/schollz/progressbar/v3"
)

const (
	narrowBar = 15 // columns of the smallest bar: " 25% [===     ]"
	wideBar   = 46 // more room makes no bar clearer
)

// theme is of letters that every terminal and font has.
var theme = progressbar.Theme{Saucer: "=", SaucerHead: ">", SaucerPadding: " ", BarStart: "[", BarEnd: "]"}

// bar is a bar of at most width columns with its percentage, of a share between 0 and 1.
func bar(share float64, width int) string {
	const all = 10_000
	share = max(0, min(share, 1))
	text := func(inner int) string {
		b := progressbar.NewOptions(all, progressbar.OptionSetWriter(io.Discard), progressbar.OptionSetWidth(inner), progressbar.OptionSetTheme(theme),
			progressbar.OptionSetElapsedTime(false), progressbar.OptionSetPredictTime(false), progressbar.OptionUseANSICodes(false))
		_ = b.Set(int(share * all))
		_ = b.RenderBlank()
		return strings.TrimSpace(b.String())
	}
	inner := max(min(width, wideBar), narrowBar) - len("100% []")
	return text(inner)
}

// barField is a bar that takes what room there is.
func barField(share float64, rank int) Field {
	return Field{Text: bar(share, narrowBar), Rank: rank, Grow: func(width int) string { return bar(share, width) }}
}
