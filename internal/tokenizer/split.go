package tokenizer

// split cuts at the matches of a pattern (pre-tokenizer Split). behavior says where a match goes:
//
//	Removed             away
//	Isolated            a piece of its own
//	MergedWithPrevious  to the piece before it, unless that is a match too
//	MergedWithNext      to the piece after it, unless that is a match too
//	Contiguous          neighbouring matches become one piece
type splitter struct {
	pattern  *pattern
	behavior string
	invert   bool // what does not match counts as the match
}

// cut is one piece: a match, or what lies between two of them.
type cut struct {
	i, j  int
	match bool
}

func (p *splitter) split(t text, _ bool, emit func(text) error) error {
	if p.pattern.scan != nil && p.behavior == "Isolated" {
		// Every character is in a match: nothing to collect.
		for i := 0; i < len(t.s); {
			j := p.pattern.scan(t.s, i)
			if err := emit(t.slice(i, j)); err != nil {
				return err
			}
			i = j
		}
		return nil
	}
	cuts, err := p.cuts(t)
	if err != nil {
		return err
	}
	for _, c := range mergeCuts(cuts, p.behavior) {
		if p.behavior == "Removed" && c.match || c.i == c.j {
			continue
		}
		if err := emit(t.slice(c.i, c.j)); err != nil {
			return err
		}
	}
	return nil
}

// cuts covers s with matches and the gaps between them.
func (p *splitter) cuts(t text) ([]cut, error) {
	s := t.s
	var cuts []cut
	end := 0
	err := p.pattern.find(s, t.allowed(), func(i, j int) {
		if i > end {
			cuts = append(cuts, cut{end, i, p.invert})
		}
		cuts = append(cuts, cut{i, j, !p.invert})
		end = j
	})
	if end < len(s) {
		cuts = append(cuts, cut{end, len(s), p.invert})
	}
	return cuts, err
}

// mergeCuts joins neighbours as the behavior wants, in place.
func mergeCuts(cuts []cut, behavior string) []cut {
	switch behavior {
	case "MergedWithPrevious", "Contiguous":
		out := cuts[:0]
		before := false // was the cut before this one a match?
		for _, c := range cuts {
			join := c.match && !before
			if behavior == "Contiguous" {
				join = c.match == before
			}
			before = c.match
			if join && len(out) > 0 {
				out[len(out)-1].j = c.j
				continue
			}
			out = append(out, c)
		}
		return out
	case "MergedWithNext":
		k := len(cuts) // the result grows down from the end
		after := false
		for n := len(cuts) - 1; n >= 0; n-- {
			c := cuts[n]
			if c.match && !after && k < len(cuts) {
				cuts[k].i = c.i
			} else {
				k--
				cuts[k] = c
			}
			after = c.match
		}
		return cuts[k:]
	}
	return cuts
}
