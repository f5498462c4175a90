package config

import (
	"errors"
	"fmt"
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

// problems collects errors, so that a user sees all of them at once.
type problems []error

func (p *problems) add(where, advice, format string, args ...any) {
	*p = append(*p, &Error{Where: where, Advice: advice, Msg: fmt.Sprintf(format, args...)})
}

func (p problems) err() error { return errors.Join(p...) }
