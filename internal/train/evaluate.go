package train

import (
	"fmt"
	"iter"
	"math"

	"lomo/internal/data"
)

// Evaluate is the mean token loss of batches under the present weights, summed in float64. Ranks take the batches in turn.
func (s *Sweep) Evaluate(batches iter.Seq[data.Batch]) (EvalMetrics, error) {
	var sum float64
	var m EvalMetrics
	var turn []data.Batch // one for each rank
	n := 0
	score := func() error {
		losses, err := s.TurnLosses(turn)
		if err != nil {
			return fmt.Errorf("evaluation batch %d: %w", n, err)
		}
		for _, l := range losses {
			sum += float64(l)
		}
		m.Tokens += len(losses)
		turn = turn[:0]
		return nil
	}
	for b := range batches {
		n++
		if turn = append(turn, b); len(turn) == s.Comm.Size() {
			if err := score(); err != nil {
				return m, err
			}
		}
	}
	if len(turn) > 0 {
		if err := score(); err != nil {
			return m, err
		}
	}
	return s.total(m, sum, n)
}

// total adds up what the ranks found.
func (s *Sweep) total(m EvalMetrics, sum float64, batches int) (EvalMetrics, error) {
	sum, err := s.addUp(sum)
	if err != nil {
		return m, err
	}
	tokens, err := s.addUp(float64(m.Tokens))
	if err != nil {
		return m, err
	}
	if m.Tokens = int(tokens); m.Tokens == 0 {
		return m, fmt.Errorf("evaluation: no token is predicted in %d batches", batches)
	}
	m.Loss = sum / tokens
	m.Perplexity = math.Exp(m.Loss)
	return m, nil
}

// TurnLosses is the token losses of this rank's batch of a turn, which has at most one for each rank; a rank without one takes part
// and returns none.
func (s *Sweep) TurnLosses(turn []data.Batch) ([]float32, error) {
	if s.Comm.Size() == 1 {
		return s.TokenLosses(turn[0])
	}
	return s.losses(func() (*Pass, error) { return s.Load(turn) })
}

// TokenLosses is −log p of each predicted token of one micro-batch, in row order.
func (s *Sweep) TokenLosses(b data.Batch) ([]float32, error) {
	return s.losses(func() (*Pass, error) { return s.load([]data.Batch{b}, b, 0) })
}

func (s *Sweep) losses(load func() (*Pass, error)) ([]float32, error) {
	mark := s.D.Memory().Mark()
	defer s.D.Memory().Release(mark)
	pass, err := load()
	if err != nil {
		return nil, err
	}
	if err := pass.Forward(false); err != nil {
		return nil, err
	}
	losses, err := pass.Loss()
	if pass.idle {
		return nil, err
	}
	return losses, err
}
