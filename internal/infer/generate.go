package infer

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"lomo/internal/device"
)

// Finish says why a continuation ended.
type Finish string

const (
	Stop        Finish = "stop"        // the model ended it, or a stop string did
	Length      Finish = "length"      // it has as many tokens as were asked for
	Full        Finish = "context"     // the session holds no more
	Interrupted Finish = "interrupted" // somebody did not want more
)

// Request is how a text is to be continued.
type Request struct {
	Sampler Sampler
	Limit   int     // of new tokens
	Ends    []int32 // tokens that end the continuation and are no part of it
	// Emit sees each token of the continuation; true ends it behind that one. nil: not wanted.
	Emit func(id int32) (end bool)
	// Go is asked before each piece of work, of the prompt too; false ends it there. nil: always.
	Go func() bool
}

// Generate takes the session to the tokens of text and continues them. It returns the chosen tokens.
func Generate(s *Session, text []int32, r Request) (out []int32, why Finish, err error) {
	logits, _, err := s.Continue(text, r.Go)
	for text := slices.Clone(text); err == nil; {
		if err := finite(logits, s.Len()); err != nil {
			return nil, "", err
		}
		id := r.Sampler.Next(logits, len(out), text)
		if slices.Contains(r.Ends, id) {
			return out, Stop, nil
		}
		out, text = append(out, id), append(text, id)
		switch {
		case r.Emit != nil && r.Emit(id):
			return out, Stop, nil
		case len(out) == r.Limit:
			return out, Length, nil
		case len(text) >= s.Max():
			return out, Full, nil
		case r.Go != nil && !r.Go():
			return out, Interrupted, nil
		}
		logits, err = s.Append([]int32{id})
	}
	if errors.Is(err, errInterrupted) {
		return out, Interrupted, nil
	}
	return out, "", err
}

// finite refuses logits that nothing can be chosen from.
func finite(logits []float32, n int) error {
	for id, l := range logits {
		if math.IsNaN(float64(l)) || math.IsInf(float64(l), 1) {
			return fmt.Errorf("the logit of token %d after %d tokens is %w: %v", id, n, device.ErrNotFinite, l)
		}
	}
	return nil
}
