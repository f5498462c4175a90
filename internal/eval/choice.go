package eval

import (
	"fmt"

	"lomo/internal/train"
)

// Question is a multiple-choice question: one scored text per choice, and which is right.
type Question struct {
	Choices []Sequence
	Gold    int
}

// Accuracy answers every question with its likeliest choice: by the sum of the log-probabilities, or with mean by
// their mean a token. Ties go to the first choice. It returns the share of right answers and the answers.
func Accuracy(s *train.Sweep, questions []Question, mean bool, rows int) (float64, []int, error) {
	if len(questions) == 0 {
		return 0, nil, fmt.Errorf("no questions to score")
	}
	var all []Sequence
	for _, q := range questions {
		all = append(all, q.Choices...)
	}
	scores, err := Scores(s, all, rows)
	if err != nil {
		return 0, nil, err
	}
	answers := make([]int, len(questions))
	right := 0
	for i, q := range questions {
		best := 0
		value := func(c int) float64 {
			if mean {
				return scores[c].Mean()
			}
			return scores[c].LogProb
		}
		for c := range q.Choices {
			if value(c) > value(best) {
				best = c
			}
		}
		scores = scores[len(q.Choices):]
		answers[i] = best
		if best == q.Gold {
			right++
		}
	}
	return float64(right) / float64(len(questions)), answers, nil
}
