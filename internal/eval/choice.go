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

// Answers is what a model answers to a list of questions.
type Answers struct {
	Best  []int // the likeliest choice of each
	Ties  []int // the questions where several choices are the likeliest: the first of them is taken
	Right int
}

// Accuracy is the share of right answers.
func (a Answers) Accuracy() float64 { return float64(a.Right) / float64(len(a.Best)) }

// Answer answers every question with its likeliest choice: by the sum of the log-probabilities, or with mean by their mean a
// token. Ties go to the first choice.
func Answer(s *train.Sweep, questions []Question, mean bool, rows int) (Answers, error) {
	a := Answers{Best: make([]int, len(questions))}
	if len(questions) == 0 {
		return a, fmt.Errorf("no questions to score")
	}
	var all []Sequence
	for _, q := range questions {
		all = append(all, q.Choices...)
	}
	scores, err := Scores(s, all, rows)
	if err != nil {
		return a, err
	}
	for i, q := range questions {
		best, tied := likeliest(scores[:len(q.Choices)], mean)
		scores = scores[len(q.Choices):]
		if a.Best[i] = best; best == q.Gold {
			a.Right++
		}
		if tied {
			a.Ties = append(a.Ties, i)
		}
	}
	return a, nil
}

// likeliest is the first of the best scores, and whether there is another.
func likeliest(scores []Score, mean bool) (best int, tied bool) {
	value := func(s Score) float64 {
		if mean {
			return s.Mean()
		}
		return s.LogProb
	}
	for c := 1; c < len(scores); c++ {
		switch v := value(scores[c]); {
		case v > value(scores[best]):
			best, tied = c, false
		case v == value(scores[best]):
			tied = true
		}
	}
	return best, tied
}
