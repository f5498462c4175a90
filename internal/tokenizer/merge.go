package tokenizer

import (
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/nlpodyssey/gotokenizers/models/bpemodel"
)

// encoder is the working memory of one Encode call: a word being merged, and a cache of pieces. The
// Tokenizer keeps a pool of them, so that calls may run side by side without locks.
type encoder struct {
	word    []node
	queue   []candidate
	symbols []symbol
	slots   []slot
	steps   []way
	long    *LongWord // the first of the piece that was encoded last
}

// maxWord bounds what is merged as one word, in bytes as the model meets them: merging holds some 50 bytes for each. A variable for tests.
var maxWord = 512 << 10

// LongWord is the error of a text with a word that is too long to be merged at once.
type LongWord struct {
	At, Bytes int    // where it begins in the text, if offsets are asked for, and its length as the model meets it
	begins    string // of it
}

func (e *LongWord) Error() string {
	return fmt.Sprintf("%d bytes that the tokenizer takes for one word, at most %d are merged at once; they begin %q", e.Bytes, maxWord, e.begins)
}

// Hint says what to do.
func (e *LongWord) Hint() string {
	return "is it packed data, or one character over and over? leave it out, or break it with spaces or line ends"
}

// fits reports whether s, at a place of the piece, is short enough; else it is kept as the error, with the place in the piece.
func (e *encoder) fits(s string, at int) bool {
	if len(s) > maxWord && e.long == nil {
		e.long = &LongWord{at, len(s), string([]rune(s[:min(len(s), 4*16)])[:min(maxWord, 16)])}
	}
	return len(s) <= maxWord
}

// Size of the cache: about 0.8 MB when full of words. Longer pieces seldom come again.
const (
	cacheSlots = 1 << 13
	maxCached  = 64 // bytes
)

// slot is one place of the cache; a piece has exactly one place and replaces what was there.
type slot struct {
	key     string
	symbols []symbol
}

var cacheSeed = maphash.MakeSeed()

// slot is the place of piece s.
func (e *encoder) slot(s string) *slot {
	if e.slots == nil {
		e.slots = make([]slot, cacheSlots)
	}
	return &e.slots[maphash.String(cacheSeed, s)%cacheSlots]
}

// node is a symbol of the word being merged, linked to its neighbours (-1: none). A symbol that was
// merged into its left neighbour has id gone.
type node struct {
	symbol
	prev, next int32
}

const gone = -1

// add appends a symbol to the word.
func (e *encoder) add(s symbol) {
	n := int32(len(e.word))
	if n > 0 {
		e.word[n-1].next = n
	}
	e.word = append(e.word, node{s, n - 1, -1})
}

// flush appends s unless it is empty, and empties it.
func (e *encoder) flush(s *symbol) {
	if s.j > s.i {
		e.add(*s)
		*s = symbol{}
	}
}

// candidate is a pair of neighbours that may merge: the symbol at pos and the one after it.
type candidate struct{ rank, pos, id int32 }

func (a candidate) before(b candidate) bool {
	return a.rank < b.rank || a.rank == b.rank && a.pos < b.pos
}

// merge applies the merges to the word until none is left: always the pair of lowest rank, the
// leftmost first. With a queue it takes O(n log n) for a word of n symbols.
func (e *encoder) merge(merges bpemodel.MergeMap) {
	e.queue = slices.Grow(e.queue[:0], len(e.word))
	for i := range len(e.word) - 1 {
		e.propose(merges, int32(i))
	}
	for len(e.queue) > 0 {
		top := e.pop()
		left := &e.word[top.pos]
		if left.id == gone || left.next < 0 {
			continue
		}
		// The pair may have changed since it was queued. Like Hugging Face's, this test looks at
		// the merged token and not at the rank, which differs when two pairs spell one token.
		right := &e.word[left.next]
		if v, ok := merges.Get(int(left.id), int(right.id)); !ok || int32(v.ID) != top.id {
			continue
		}
		left.id, left.j, left.next = top.id, right.j, right.next
		right.id = gone
		if left.next >= 0 {
			e.word[left.next].prev = top.pos
			e.propose(merges, top.pos)
		}
		if left.prev >= 0 {
			e.propose(merges, left.prev)
		}
	}
}

// propose queues the pair at pos and its right neighbour if they merge.
func (e *encoder) propose(merges bpemodel.MergeMap, pos int32) {
	left := &e.word[pos]
	if v, ok := merges.Get(int(left.id), int(e.word[left.next].id)); ok {
		e.push(candidate{int32(v.Rank), pos, int32(v.ID)})
	}
}

// push and pop keep queue a binary heap; container/heap would allocate for each candidate.
func (e *encoder) push(c candidate) {
	e.queue = append(e.queue, c)
	q, i := e.queue, len(e.queue)-1
	for i > 0 && c.before(q[(i-1)/2]) {
		q[i] = q[(i-1)/2]
		i = (i - 1) / 2
	}
	q[i] = c
}

func (e *encoder) pop() candidate {
	q := e.queue
	top, c := q[0], q[len(q)-1]
	q = q[:len(q)-1]
	e.queue = q
	i := 0
	for {
		k := 2*i + 1
		if k >= len(q) {
			break
		}
		if k+1 < len(q) && q[k+1].before(q[k]) {
			k++
		}
		if !q[k].before(c) {
			break
		}
		q[i] = q[k]
		i = k
	}
	if len(q) > 0 {
		q[i] = c
	}
	return top
}
