package data

import "errors"

// ErrEmpty says that a data set has no sample.
var ErrEmpty = errors.New("the data set is empty: no sample has a token to predict")

// Error is a problem with a data set that the user can mend.
type Error struct{ Msg, Advice string }

func (e *Error) Error() string { return e.Msg }

// Hint says what to do.
func (e *Error) Hint() string { return e.Advice }
