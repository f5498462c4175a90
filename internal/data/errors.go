package data

import (
	"errors"
	"fmt"
	"strings"

	"lomo/internal/data/records"
)

// ErrEmpty says that a data set has no sample.
var ErrEmpty = errors.New("the data set is empty: no sample has a token to predict")

// Error is a problem with a data set that the user can mend.
type Error struct{ Msg, Advice string }

func (e *Error) Error() string { return e.Msg }

// Hint says what to do.
func (e *Error) Hint() string { return e.Advice }

// maxErrors is how many mistakes of the data are told; more are counted.
const maxErrors = 20

// Errors is all that is wrong with some data, so that a user sees it at once.
type Errors struct {
	All  []error
	More int // not in All
}

func (e *Errors) Error() string {
	var lines []string
	for _, x := range e.All {
		lines = append(lines, x.Error())
	}
	if e.More > 0 {
		lines = append(lines, e.Rest())
	}
	return strings.Join(lines, "\n")
}

// Unwrap is the errors told.
func (e *Errors) Unwrap() []error { return e.All }

// Rest says how many errors are not told, "" for none.
func (e *Errors) Rest() string {
	if e.More == 0 {
		return ""
	}
	if e.More == 1 {
		return "and 1 more mistake in the data"
	}
	return fmt.Sprintf("and %d more mistakes in the data", e.More)
}

// add takes an error, which may be several.
func (e *Errors) add(err error) {
	var many *Errors
	switch {
	case err == nil:
	case e.told(err):
	case errors.As(err, &many):
		for _, x := range many.All {
			e.add(x)
		}
		e.More += many.More
	case len(e.All) < maxErrors:
		e.All = append(e.All, err)
	default:
		e.More++
	}
}

// told counts an error of a record with one before it that says the same of another record of the file: most mistakes are made in all of them.
func (e *Errors) told(err error) bool {
	bad, is := err.(*records.Error)
	if !is {
		return false
	}
	for _, x := range e.All {
		if first, is := x.(*records.Error); is && bad.Like(first) {
			first.Others += 1 + bad.Others
			return true
		}
	}
	return false
}

// err is nil, the one error, or all of them.
func (e *Errors) err() error {
	switch len(e.All) {
	case 0:
		return nil
	case 1:
		return e.All[0]
	}
	return e
}

// Join is the errors of several loads as one.
func Join(errs ...error) error {
	var all Errors
	for _, err := range errs {
		all.add(err)
	}
	return all.err()
}
