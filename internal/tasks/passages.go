package tasks

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"lomo/internal/data/records"
)

// multirc asks of each proposed answer whether it is right.
func multirc(r records.Record) ([]Example, error) {
	var passage struct {
		Text      string `json:"text"`
		Questions []struct {
			Question string `json:"question"`
			Answers  []struct {
				Text  string          `json:"text"`
				Label json.RawMessage `json:"label"`
			} `json:"answers"`
		} `json:"questions"`
	}
	if err := r.Decode("passage", &passage); err != nil {
		return nil, err
	}
	var out []Example
	for _, q := range passage.Questions {
		for _, a := range q.Answers {
			gold, err := label(r, a.Label, booleans)
			if err != nil {
				return nil, err
			}
			prompt := fmt.Sprintf("%s\nQuestion: %s\nI found this answer \"%s\". Is that correct? Yes or No?", passage.Text, q.Question, a.Text)
			out = append(out, Example{Prompt: prompt + answer, Choices: noYes, Gold: gold})
		}
	}
	if len(out) == 0 {
		return nil, r.Errorf("field \"passage\": no answer to judge")
	}
	return out, nil
}

// span is a part of a passage; both ends count characters, and end is the last one.
type span struct {
	Start int    `json:"start"`
	End   int    `json:"end"`
	Text  string `json:"text"`
}

// record asks which entity of the passage fits a gap. The choices are the distinct entities in the order of their first
// occurrence (the order of the original loader is not fixed) without the further right answers; the gold one is the
// first right answer by the alphabet.
func record(r records.Record) ([]Example, error) {
	var passage struct {
		Text     string `json:"text"`
		Entities []span `json:"entities"`
	}
	if err := r.Decode("passage", &passage); err != nil {
		return nil, err
	}
	entities, err := distinctEntities(passage.Text, passage.Entities)
	if err != nil {
		return nil, r.Errorf("field \"passage\": %w", err)
	}
	var queries []struct {
		Query   string `json:"query"`
		Answers []span `json:"answers"`
	}
	if err := r.Decode("qas", &queries); err != nil {
		return nil, err
	}
	text := strings.ReplaceAll(passage.Text, "@highlight\n", "- ")
	var out []Example
	for _, q := range queries {
		choices, gold, err := candidates(entities, q.Answers)
		if err != nil {
			return nil, r.Errorf("field \"qas\": %w", err)
		}
		prompt := fmt.Sprintf("%s\n%s\nQuestion: What is the \"@placeholder\"?", text, q.Query)
		out = append(out, Example{Prompt: prompt + answer, Choices: choices, Gold: gold})
	}
	return out, nil
}

// distinctEntities cuts the entities out of a passage, each text once.
func distinctEntities(text string, spans []span) ([]string, error) {
	spans = slices.Clone(spans)
	slices.SortStableFunc(spans, func(a, b span) int { return cmp.Compare(a.Start, b.Start) })
	chars := []rune(text)
	var out []string
	for _, s := range spans {
		if s.Start < 0 || s.End < s.Start || s.End >= len(chars) {
			return nil, fmt.Errorf("entity at %d to %d of a text of %d characters", s.Start, s.End, len(chars))
		}
		if e := string(chars[s.Start : s.End+1]); !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out, nil
}

// candidates is the entities without all right answers but the first, and where that one stands.
func candidates(entities []string, answers []span) (choices []string, gold int, err error) {
	if len(answers) == 0 {
		return entities, Unlabelled, nil
	}
	var right []string
	for _, a := range answers {
		right = append(right, a.Text)
	}
	slices.Sort(right)
	right = slices.Compact(right)
	for _, e := range entities {
		if !slices.Contains(right[1:], e) {
			choices = append(choices, e)
		}
	}
	if gold = slices.Index(choices, right[0]); gold < 0 {
		return nil, 0, fmt.Errorf("answer %q is no entity of the passage", right[0])
	}
	return choices, gold, nil
}
