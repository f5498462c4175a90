package tokenizer

import "slices"

// trie finds the tokens at the start of a text. Node 0 is the root; the children of node n are [first[n],first[n+1]), sorted by label.
type trie struct {
	label []byte
	first []int32
	value []int32 // id of the token that ends here, -1: none
}

// newTrie is the trie of a vocabulary's tokens.
func newTrie(ids map[string]int32) *trie {
	sorted := make([]string, 0, len(ids))
	for token := range ids {
		if token != "" {
			sorted = append(sorted, token)
		}
	}
	slices.Sort(sorted)
	type part struct{ lo, hi, depth int } // tokens that share the way to a node
	queue := []part{{0, len(sorted), 0}}
	t := &trie{label: []byte{0}}
	for n := 0; n < len(queue); n++ {
		p := queue[n]
		value := int32(-1)
		if p.lo < p.hi && len(sorted[p.lo]) == p.depth {
			value = ids[sorted[p.lo]]
			p.lo++
		}
		t.value = append(t.value, value)
		t.first = append(t.first, int32(len(queue)))
		for i := p.lo; i < p.hi; {
			b, j := sorted[i][p.depth], i
			for j < p.hi && sorted[j][p.depth] == b {
				j++
			}
			t.label = append(t.label, b)
			queue = append(queue, part{i, j, p.depth + 1})
			i = j
		}
	}
	t.first = append(t.first, int32(len(queue)))
	return t
}

// prefixes calls found with the length and id of each token that s starts with, the shortest first.
func (t *trie) prefixes(s string, found func(n int, id int32)) {
	node := int32(0)
	for i := 0; i < len(s); i++ {
		lo, hi := t.first[node], t.first[node+1]
		k, ok := slices.BinarySearch(t.label[lo:hi], s[i])
		if !ok {
			return
		}
		node = lo + int32(k)
		if id := t.value[node]; id >= 0 {
			found(i+1, id)
		}
	}
}
