package records

import "fmt"

// Note says what was not taken as it stands in the files: cut, skipped, left out or replaced.
type Note struct {
	What   string `json:"what"`            // samples cut to sequence_len 1024
	Count  int    `json:"count"`           // how often
	First  string `json:"first,omitempty"` // where first: file:line
	Advice string `json:"advice,omitempty"`
}

func (n Note) String() string {
	out := fmt.Sprintf("%s: %d", n.What, n.Count)
	if n.First != "" {
		out += fmt.Sprintf(" (the first: %s)", n.First)
	}
	if n.Advice != "" {
		out += "; " + n.Advice
	}
	return out
}

// Notes collects notes in the order in which they first came up.
type Notes []Note

// Add counts one more of what, which stands at this place.
func (n *Notes) Add(what, place, advice string) {
	n.AddAll(Note{What: what, Count: 1, First: place, Advice: advice})
}

// AddAll counts some more of a note.
func (n *Notes) AddAll(more Note) {
	for i := range *n {
		if (*n)[i].What == more.What {
			(*n)[i].Count += more.Count
			return
		}
	}
	*n = append(*n, more)
}
