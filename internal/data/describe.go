package data

import (
	"fmt"
	"io"
)

// Token is one token of a sample, as `lomo inspect` shows it.
type Token struct {
	ID      int32  `json:"id"`
	Text    string `json:"text"`
	Label   int32  `json:"label"`   // −100: not predicted
	Trained bool   `json:"trained"` // Label is predicted, from the tokens before
}

// Describe is sample i token by token; text names an id, nil leaves names out.
func (d *Dataset) Describe(i int, text func(id int32) string) []Token {
	e := d.Example(i)
	out := make([]Token, len(e.IDs))
	for j, id := range e.IDs {
		out[j] = Token{ID: id, Label: e.Labels[j], Trained: e.Labels[j] != ignored}
		if text != nil {
			out[j].Text = text(id)
		}
	}
	return out
}

// WriteTokens writes one line a token: its place, id and text, and what is learned there.
func WriteTokens(w io.Writer, tokens []Token) error {
	for j, t := range tokens {
		learned := "-"
		if t.Trained {
			learned = "learned"
		}
		if t.Trained && t.Label != t.ID {
			learned = fmt.Sprintf("learned as %d", t.Label)
		}
		if _, err := fmt.Fprintf(w, "%6d %8d  %-20q %s\n", j, t.ID, t.Text, learned); err != nil {
			return err
		}
	}
	return nil
}
