// Package onig matches regular expressions in Oniguruma's default syntax, which Hugging Face's
// tokenizers library uses for the patterns of Split and Replace.
//
//	re, err := onig.Compile(`\p{Lu}++(?!\h)|[[:alpha:]&&[^aeiou]]`)
//	err = re.Find(text, &onig.Budget{Steps: 1e6}, func(i, j int) { … })
//
// A pattern means what it means to Oniguruma 6.9.10, or Compile refuses it and names what it does not
// know. The matcher backtracks; each step is taken from a budget, so that neither a pattern nor a text
// can make it run for long.
package onig

import (
	"errors"
	"sync"
	"unicode/utf8"
)

// Budget is the work that may still be done, for one match or for many.
type Budget struct{ Steps int64 }

// Errors of matching.
var (
	ErrSteps = errors.New("takes too many steps on this text")
	errStack = errors.New("needs too much memory on this text")
)

// maxStack bounds the memory of one match.
const maxStack = 1 << 23 // entries of 32 bytes

type pool struct{ sync.Pool }

// machine is the state of a search.
type machine struct {
	re    *Regexp
	s     string
	slots []int // of groups: start and end, -1 unset; of loops: the position at their mark
	kept  int   // where \K was met, -1: nowhere
	from  int   // where the search began, for \G
	stack []entry
	steps int64
	err   error
}

// entry is a choice to come back to, or something to set back on the way.
type entry struct {
	kind     entryKind
	pc, x    int32
	pos, aux int
}

type entryKind uint8

const (
	tryBranch entryKind = iota // x of the opAlt at pc
	giveBack                   // a run that ended at pos and may be as short as aux
	takeMore                   // a lazy run at pos of which aux characters are left to take
	setSlot                    // x to pos
	setKept                    // to pos
)

// Find calls yield for each match [i,j) in s from left to right, as the library iterates: an empty match
// right behind the last match does not count. An empty s has no matches.
func (re *Regexp) Find(s string, b *Budget, yield func(i, j int)) error {
	if s == "" {
		return nil
	}
	m, _ := re.pool.Get().(*machine)
	if m == nil {
		m = &machine{re: re, slots: make([]int, re.slots)}
	}
	m.s, m.steps, m.err = s, b.Steps, nil
	defer func() {
		b.Steps = m.steps
		m.s = ""
		if cap(m.stack) > 1<<16 {
			m.stack = nil
		}
		re.pool.Put(m)
	}()
	lastEnd := -1
	for at := 0; at <= len(s); {
		i, j, ok := m.search(at)
		if !ok {
			break
		}
		if i == j && j == lastEnd {
			_, n := utf8.DecodeRuneInString(s[at:])
			at += max(n, 1)
			continue
		}
		at, lastEnd = j, j
		yield(i, j)
	}
	return m.err
}

// search finds the first match that begins at from or behind it.
func (m *machine) search(from int) (i, j int, ok bool) {
	m.from = from
	for at := from; at <= len(m.s); {
		if first := m.re.first; first != nil {
			k := at
			for k < len(m.s) && !first.has(m.s[k]) {
				k++
			}
			if m.steps -= int64(k-at) / 8; k == len(m.s) {
				return 0, 0, false
			}
			at = k
		}
		for k := range m.slots {
			m.slots[k] = -1
		}
		m.kept, m.stack = -1, m.stack[:0]
		end, ok := m.run(0, at, -1)
		if m.err != nil {
			return 0, 0, false
		}
		if ok {
			if m.kept >= 0 {
				at = m.kept
			}
			return at, end, true
		}
		_, n := utf8.DecodeRuneInString(m.s[at:])
		at += max(n, 1)
	}
	return 0, 0, false
}

func (m *machine) push(e entry) {
	if len(m.stack) >= maxStack {
		m.err = errStack
		return
	}
	m.stack = append(m.stack, e)
}

// set changes a slot so that backtracking changes it back.
func (m *machine) set(slot, pos int) {
	m.push(entry{kind: setSlot, x: int32(slot), pos: m.slots[slot]})
	m.slots[slot] = pos
}

// run executes the code at pc from byte pos on, to opMatch or opSubEnd; there pos must be target unless
// that is negative. On success the choices made stay on the stack.
func (m *machine) run(pc, pos, target int) (end int, ok bool) {
	base := len(m.stack)
	s, code := m.s, m.re.code
	branch := 0
	for {
		if m.steps--; m.steps < 0 && m.err == nil {
			m.err = ErrSteps
		}
		if m.err != nil {
			return 0, false
		}
		in := &code[pc]
		good := false
		switch in.op {
		case opText:
			if n := len(in.text); len(s)-pos >= n && s[pos:pos+n] == in.text {
				pos, pc, good = pos+n, pc+1, true
			}
		case opSet:
			if pos < len(s) {
				if r, n := decode(s, pos); in.set.has(r) {
					pos, pc, good = pos+n, pc+1, true
				}
			}
		case opRun:
			pos, good = m.runSet(in, pc, pos)
			pc++
		case opAlt:
			k := viable(in, branch, s, pos)
			branch = 0
			if k < 0 {
				break
			}
			if next := viable(in, k+1, s, pos); next >= 0 {
				m.push(entry{kind: tryBranch, pc: int32(pc), x: int32(next), pos: pos})
			}
			pc, good = in.branches[k].pc, true
		case opJump:
			pc, good = in.x, true
		case opSave:
			m.set(in.x, pos)
			pc, good = pc+1, true
		case opMark:
			m.set(in.x, pos)
			pc, good = pc+1, true
		case opLoop:
			if pc++; pos == m.slots[in.x] {
				pc = in.y
			}
			good = true
		case opAtomic:
			here := len(m.stack)
			if end, ok := m.run(pc+1, pos, -1); ok {
				m.cut(here)
				pos, pc, good = end, in.x, true
			}
		case opAhead, opBehind:
			here := len(m.stack)
			found := false
			if in.op == opAhead {
				_, found = m.run(pc+1, pos, -1)
			} else {
				found = m.behind(in, pc+1, pos)
			}
			if m.err != nil {
				return 0, false
			}
			if in.y == 1 {
				m.undo(here)
				good = !found
			} else {
				m.cut(here)
				good = found
			}
			pc = in.x
		case opSubEnd, opMatch:
			if target < 0 || pos == target {
				return pos, true
			}
		case opBackref:
			if i, j := m.slots[2*in.x], m.slots[2*in.x+1]; i >= 0 && j >= i && len(s)-pos >= j-i && s[pos:pos+j-i] == s[i:j] {
				pos, pc, good = pos+j-i, pc+1, true
			}
		case opCond:
			if pc++; m.slots[2*in.x+1] < 0 {
				pc = in.y
			}
			good = true
		case opAssert:
			good = m.holds(byte(in.x), pos)
			pc++
		case opKeep:
			m.push(entry{kind: setKept, pos: m.kept})
			m.kept = pos
			pc, good = pc+1, true
		}
		if good {
			continue
		}
		if pc, pos, branch, ok = m.back(base); !ok {
			return 0, false
		}
	}
}

func decode(s string, pos int) (rune, int) {
	if c := s[pos]; c < utf8.RuneSelf {
		return rune(c), 1
	}
	return utf8.DecodeRuneInString(s[pos:])
}

// viable is the first branch from k on that may begin here, or -1.
func viable(in *inst, k int, s string, pos int) int {
	for ; k < len(in.branches); k++ {
		if first := in.branches[k].first; first == nil || pos < len(s) && first.has(s[pos]) {
			return k
		}
	}
	return -1
}

// runSet matches an opRun.
func (m *machine) runSet(in *inst, pc, pos int) (end int, ok bool) {
	s, most := m.s, in.y
	if in.lazy {
		most = in.x
	}
	low, n := pos, 0
	for ; pos < len(s) && (most < 0 || n < most); n++ {
		r, size := decode(s, pos)
		if !in.set.has(r) {
			break
		}
		if pos += size; n < in.x {
			low = pos
		}
	}
	m.steps -= int64(n) / 4
	switch {
	case n < in.x:
		return 0, false
	case in.lazy:
		left := in.y - in.x
		if in.y < 0 {
			left = len(s) // enough for any text
		}
		if left > 0 {
			m.push(entry{kind: takeMore, pc: int32(pc), pos: pos, aux: left})
		}
	case !in.possessive && pos > low:
		m.push(entry{kind: giveBack, pc: int32(pc), pos: pos, aux: low})
	}
	return pos, true
}

// back returns to the last choice above base.
func (m *machine) back(base int) (pc, pos, branch int, ok bool) {
	for len(m.stack) > base {
		e := &m.stack[len(m.stack)-1]
		switch e.kind {
		case tryBranch:
			pc, pos, branch = int(e.pc), e.pos, int(e.x)
			m.stack = m.stack[:len(m.stack)-1]
			return pc, pos, branch, true
		case giveBack:
			_, n := utf8.DecodeLastRuneInString(m.s[:e.pos])
			pc, pos = int(e.pc)+1, e.pos-n
			if e.pos = pos; pos <= e.aux {
				m.stack = m.stack[:len(m.stack)-1]
			}
			return pc, pos, 0, true
		case takeMore:
			if e.pos < len(m.s) {
				if r, n := decode(m.s, e.pos); m.re.code[e.pc].set.has(r) {
					pc, pos = int(e.pc)+1, e.pos+n
					e.pos = pos
					if e.aux--; e.aux == 0 {
						m.stack = m.stack[:len(m.stack)-1]
					}
					return pc, pos, 0, true
				}
			}
		case setSlot:
			m.slots[e.x] = e.pos
		case setKept:
			m.kept = e.pos
		}
		m.stack = m.stack[:len(m.stack)-1]
	}
	return 0, 0, 0, false
}

// cut forgets the choices above base but not what must be set back.
func (m *machine) cut(base int) {
	kept := m.stack[:base]
	for _, e := range m.stack[base:] {
		if e.kind == setSlot || e.kind == setKept {
			kept = append(kept, e)
		}
	}
	m.stack = kept
}

// undo sets back what changed above base and forgets the choices.
func (m *machine) undo(base int) {
	for k := len(m.stack) - 1; k >= base; k-- {
		switch e := &m.stack[k]; e.kind {
		case setSlot:
			m.slots[e.x] = e.pos
		case setKept:
			m.kept = e.pos
		}
	}
	m.stack = m.stack[:base]
}

// behind tries the look-behind from each place that is far enough and not too far before pos.
func (m *machine) behind(in *inst, pc, pos int) bool {
	at := pos
	for n := 0; ; n++ {
		if n >= in.min {
			if _, ok := m.run(pc, at, pos); ok {
				return true
			}
			if m.err != nil {
				return false
			}
		}
		if at == 0 || n == in.max {
			return false
		}
		_, size := utf8.DecodeLastRuneInString(m.s[:at])
		at -= size
		m.steps--
	}
}

// holds reports whether pos is a place of this letter.
func (m *machine) holds(place byte, pos int) bool {
	s := m.s
	switch place {
	case '^':
		return pos == 0 || s[pos-1] == '\n' && pos < len(s)
	case '$':
		return pos == len(s) || s[pos] == '\n'
	case 'A':
		return pos == 0
	case 'z':
		return pos == len(s)
	case 'Z':
		return pos == len(s) || pos == len(s)-1 && s[pos] == '\n'
	case 'G':
		return pos == m.from
	}
	before, after := false, false
	if pos > 0 {
		r, _ := utf8.DecodeLastRuneInString(s[:pos])
		before = wordMembers().has(r)
	}
	if pos < len(s) {
		r, _ := decode(s, pos)
		after = wordMembers().has(r)
	}
	return (before != after) == (place == 'b')
}

var wordMembers = sync.OnceValue(func() *members { return isWord().members() })
