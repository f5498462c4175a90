package report

import (
	"os"
	"strings"

	"golang.org/x/term"
)

// Terminal is what of a terminal a line that moves must know.
type Terminal struct {
	Width   func() int // columns, asked anew for each line; 0: the terminal does not say
	Resized <-chan os.Signal
}

// usualWidth is taken for a terminal that does not say how wide it is.
const usualWidth = 80

// OpenTerminal is the terminal that f writes to, nil where lines can only follow each other: f is a file or a pipe, or the user's environment says
// so (TERM=dumb, NO_COLOR, or a TERM that is empty).
func OpenTerminal(f *os.File, env []string) *Terminal {
	if !term.IsTerminal(int(f.Fd())) || plainWanted(env) {
		return nil
	}
	return &Terminal{Resized: resizes(), Width: func() int {
		w, _, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 0
		}
		return w
	}}
}

// plainWanted reports an environment that asks for no control characters. A later value of a name counts.
func plainWanted(env []string) bool {
	values := map[string]string{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		values[name] = value
	}
	return values["NO_COLOR"] != "" || values["TERM"] == "dumb" || values["TERM"] == ""
}

// columns is how many columns a line may take. The last one stays free: some terminals begin a new line as soon as it is written.
func (t *Terminal) columns() int {
	w := t.Width()
	if w <= 0 {
		w = usualWidth
	}
	return max(w-1, 1)
}
