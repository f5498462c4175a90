package train

import (
	"fmt"
	"iter"
	"math"

	"lomo/internal/data"
)

// Evaluate is the mean token loss of batches under the present weights, summed in float64.
func (s *Sweep) Evaluate(batches iter.Seq[data.Batch]) (EvalMetrics, error) {
	var sum float64
	var m EvalMetrics
	n := 0
	for b := range batches {
		n++
		losses, err := s.TokenLosses(b)
		if err != nil {
			return m, fmt.Errorf("evaluation batch %d: %w", n, err)
		}
		for _, l := range losses {
			sum += float64(l)
		}
		m.Tokens += len(losses)
	}
	if m.Tokens == 0 {
		return m, fmt.Errorf("evaluation: no token is predicted in %d batches", n)
	}
	m.Loss = sum / float64(m.Tokens)
	m.Perplexity = math.Exp(m.Loss)
	return m, nil
}

// TokenLosses is −log p of each predicted token of one micro-batch, in row order.
func (s *Sweep) TokenLosses(b data.Batch) ([]float32, error) {
	mark := s.D.Memory().Mark()
	defer s.D.Memory().Release(mark)
	pass, err := s.Load([]data.Batch{b})
	if err != nil {
		return nil, err
	}
	if err := pass.Forward(false); err != nil {
		return nil, err
	}
	return pass.Loss()
}
