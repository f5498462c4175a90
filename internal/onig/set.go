package onig

import (
	"slices"
	"unicode"
	"unicode/utf8"
)

// set is a set of characters: sorted pairs first, last that neither overlap nor touch.
type set []rune

func newSet(pairs ...rune) set { return clean(pairs) }

// clean sorts pairs and joins those that overlap or touch.
func clean(pairs []rune) set {
	type pair struct{ lo, hi rune }
	ps := make([]pair, 0, len(pairs)/2)
	for k := 0; k < len(pairs); k += 2 {
		ps = append(ps, pair{pairs[k], pairs[k+1]})
	}
	slices.SortFunc(ps, func(a, b pair) int { return int(a.lo) - int(b.lo) })
	s := make(set, 0, len(pairs))
	for _, p := range ps {
		if n := len(s); n > 0 && p.lo <= s[n-1]+1 {
			s[n-1] = max(s[n-1], p.hi)
		} else {
			s = append(s, p.lo, p.hi)
		}
	}
	return s
}

func (s set) union(t set) set {
	if len(s) == 0 {
		return t
	}
	if len(t) == 0 {
		return s
	}
	return clean(append(slices.Clone([]rune(s)), t...))
}

// not is every other character up to the last of Unicode.
func (s set) not() set {
	t := make(set, 0, len(s)+2)
	next := rune(0)
	for k := 0; k < len(s); k += 2 {
		if s[k] > next {
			t = append(t, next, s[k]-1)
		}
		next = s[k+1] + 1
	}
	if next <= unicode.MaxRune {
		t = append(t, next, unicode.MaxRune)
	}
	return t
}

func (s set) and(t set) set { return s.not().union(t.not()).not() }

func (s set) has(r rune) bool {
	k, found := slices.BinarySearch(s, r)
	return found || k%2 == 1
}

// fromTable is a table of package unicode as a set.
func fromTable(t *unicode.RangeTable) set {
	var pairs []rune
	add := func(lo, hi, stride rune) {
		if stride == 1 {
			pairs = append(pairs, lo, hi)
			return
		}
		for r := lo; r <= hi; r += stride {
			pairs = append(pairs, r, r)
		}
	}
	for _, r := range t.R16 {
		add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	for _, r := range t.R32 {
		add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	return clean(pairs)
}

// members is a set ready for matching: a bit for each character of the basic plane.
type members struct {
	ascii [2]uint64
	bits  []uint64 // nil: few ranges, searched
	set   set
}

// fewRanges: a search among so few is as quick as a table.
const fewRanges = 4

func (s set) members() *members {
	m := &members{set: s}
	for k := 0; k < len(s); k += 2 {
		for r := s[k]; r <= min(s[k+1], utf8.RuneSelf-1); r++ {
			m.ascii[r/64] |= 1 << (r % 64)
		}
	}
	if len(s) <= 2*fewRanges {
		return m
	}
	m.bits = make([]uint64, 0x10000/64)
	for k := 0; k < len(s) && s[k] <= 0xFFFF; k += 2 {
		for r := s[k]; r <= min(s[k+1], 0xFFFF); r++ {
			m.bits[r/64] |= 1 << (r % 64)
		}
	}
	return m
}

func (m *members) has(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return m.ascii[r/64]>>(r%64)&1 != 0
	case m.bits != nil && r <= 0xFFFF:
		return m.bits[r/64]>>(r%64)&1 != 0
	}
	return m.set.has(r)
}
