package config

import (
	"fmt"
	"strings"
)

// Error is a setting that cannot be used. Where is "run.yaml:12", "--set" or "LOMO_DEVICE", "" when no source is to
// blame.
type Error struct {
	Where, Msg, Advice string
}

func (e *Error) Error() string {
	if e.Where == "" {
		return e.Msg
	}
	return e.Where + ": " + e.Msg
}

// Hint says what to do.
func (e *Error) Hint() string { return e.Advice }

// Errors is everything that is wrong with a configuration, so that a user sees it all at once.
type Errors []*Error

func (e Errors) Error() string {
	var lines []string
	for _, x := range e {
		lines = append(lines, x.Error())
	}
	return strings.Join(lines, "\n")
}

// problems collects errors.
type problems []*Error

func (p *problems) add(where, advice, format string, args ...any) {
	*p = append(*p, &Error{Where: where, Advice: advice, Msg: fmt.Sprintf(format, args...)})
}

func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return Errors(p)
}
