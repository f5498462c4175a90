package onig

import (
	"slices"
	"strings"
	"sync"
	"unicode"
)

// Case is ignored as Unicode folds it (CaseFolding.txt, statuses C and F): characters of one orbit are
// equal, and some characters equal a text of two or three.

// orbits are the sets of characters that differ only in case.
var orbits = sync.OnceValue(func() (all [][]rune) {
	known := map[rune]int{} // character -> its orbit
	join := func(rs []rune) {
		for _, r := range rs {
			if k, ok := known[r]; ok {
				for _, r := range rs {
					if !slices.Contains(all[k], r) {
						all[k], known[r] = append(all[k], r), k
					}
				}
				return
			}
		}
		for _, r := range rs {
			known[r] = len(all)
		}
		all = append(all, rs)
	}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if _, ok := known[r]; ok || unicode.SimpleFold(r) == r {
			continue
		}
		rs := []rune{r}
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			rs = append(rs, f)
		}
		join(rs)
	}
	for _, rs := range newOrbits {
		join([]rune(rs))
	}
	return all
})

var orbitOf = sync.OnceValue(func() map[rune][]rune {
	m := map[rune][]rune{}
	for _, o := range orbits() {
		for _, r := range o {
			m[r] = o
		}
	}
	return m
})

// newOrbits are those that Unicode 16 knows and package unicode does not, and characters that fold to
// the same text.
var newOrbits = []string{
	"\u1c89\u1c8a", "\ua7cb\u0264", "\ua7cc\ua7cd", "\ua7da\ua7db", "\ua7dc\u019b", "\ufb05\ufb06", "\u0390\u1fd3", "\u03b0\u1fe3",
}

func init() {
	for r := rune(0x10D50); r <= 0x10D65; r++ { // Garay
		newOrbits = append(newOrbits, string([]rune{r, r + 0x20}))
	}
}

// longFolds are the characters that fold to more than one, each followed by what it folds to.
const longFolds = "\u00df=ss \u0130=i\u0307 \u0149=\u02bcn \u01f0=j\u030c \u0390=\u03b9\u0308\u0301 \u03b0=\u03c5\u0308\u0301 \u0587=\u0565\u0582 \u1e96=h\u0331 " +
	"\u1e97=t\u0308 \u1e98=w\u030a \u1e99=y\u030a \u1e9a=a\u02be \u1e9e=ss \u1f50=\u03c5\u0313 \u1f52=\u03c5\u0313\u0300 \u1f54=\u03c5\u0313\u0301 " +
	"\u1f56=\u03c5\u0313\u0342 \u1f80=\u1f00\u03b9 \u1f81=\u1f01\u03b9 \u1f82=\u1f02\u03b9 \u1f83=\u1f03\u03b9 \u1f84=\u1f04\u03b9 " +
	"\u1f85=\u1f05\u03b9 \u1f86=\u1f06\u03b9 \u1f87=\u1f07\u03b9 \u1f88=\u1f00\u03b9 \u1f89=\u1f01\u03b9 \u1f8a=\u1f02\u03b9 \u1f8b=\u1f03\u03b9 " +
	"\u1f8c=\u1f04\u03b9 \u1f8d=\u1f05\u03b9 \u1f8e=\u1f06\u03b9 \u1f8f=\u1f07\u03b9 \u1f90=\u1f20\u03b9 \u1f91=\u1f21\u03b9 \u1f92=\u1f22\u03b9 " +
	"\u1f93=\u1f23\u03b9 \u1f94=\u1f24\u03b9 \u1f95=\u1f25\u03b9 \u1f96=\u1f26\u03b9 \u1f97=\u1f27\u03b9 \u1f98=\u1f20\u03b9 \u1f99=\u1f21\u03b9 " +
	"\u1f9a=\u1f22\u03b9 \u1f9b=\u1f23\u03b9 \u1f9c=\u1f24\u03b9 \u1f9d=\u1f25\u03b9 \u1f9e=\u1f26\u03b9 \u1f9f=\u1f27\u03b9 \u1fa0=\u1f60\u03b9 " +
	"\u1fa1=\u1f61\u03b9 \u1fa2=\u1f62\u03b9 \u1fa3=\u1f63\u03b9 \u1fa4=\u1f64\u03b9 \u1fa5=\u1f65\u03b9 \u1fa6=\u1f66\u03b9 \u1fa7=\u1f67\u03b9 " +
	"\u1fa8=\u1f60\u03b9 \u1fa9=\u1f61\u03b9 \u1faa=\u1f62\u03b9 \u1fab=\u1f63\u03b9 \u1fac=\u1f64\u03b9 \u1fad=\u1f65\u03b9 \u1fae=\u1f66\u03b9 " +
	"\u1faf=\u1f67\u03b9 \u1fb2=\u1f70\u03b9 \u1fb3=\u03b1\u03b9 \u1fb4=\u03ac\u03b9 \u1fb6=\u03b1\u0342 \u1fb7=\u03b1\u0342\u03b9 " +
	"\u1fbc=\u03b1\u03b9 \u1fc2=\u1f74\u03b9 \u1fc3=\u03b7\u03b9 \u1fc4=\u03ae\u03b9 \u1fc6=\u03b7\u0342 \u1fc7=\u03b7\u0342\u03b9 " +
	"\u1fcc=\u03b7\u03b9 \u1fd2=\u03b9\u0308\u0300 \u1fd3=\u03b9\u0308\u0301 \u1fd6=\u03b9\u0342 \u1fd7=\u03b9\u0308\u0342 " +
	"\u1fe2=\u03c5\u0308\u0300 \u1fe3=\u03c5\u0308\u0301 \u1fe4=\u03c1\u0313 \u1fe6=\u03c5\u0342 \u1fe7=\u03c5\u0308\u0342 \u1ff2=\u1f7c\u03b9 " +
	"\u1ff3=\u03c9\u03b9 \u1ff4=\u03ce\u03b9 \u1ff6=\u03c9\u0342 \u1ff7=\u03c9\u0342\u03b9 \u1ffc=\u03c9\u03b9 \ufb00=ff \ufb01=fi \ufb02=fl " +
	"\ufb03=ffi \ufb04=ffl \ufb05=st \ufb06=st \ufb13=\u0574\u0576 \ufb14=\u0574\u0565 \ufb15=\u0574\u056b \ufb16=\u057e\u0576 \ufb17=\u0574\u056d"

// longFold maps a character to the text it folds to, foldedFrom back.
var longFold, foldedFrom = func() (map[rune][]rune, map[string][]rune) {
	to, from := map[rune][]rune{}, map[string][]rune{}
	for _, pair := range strings.Fields(longFolds) {
		char, text, _ := strings.Cut(pair, "=")
		r := []rune(char)[0]
		to[r] = []rune(text)
		from[text] = append(from[text], r)
	}
	return to, from
}()

// simple is the character that r folds to if that is one: the lowest of its orbit will do.
func simple(r rune) rune {
	if o, ok := orbitOf()[r]; ok && longFold[r] == nil {
		return foldKey(o)
	}
	return r
}

// foldKey is the character that stands for an orbit in longFolds: its lower case.
func foldKey(o []rune) rune {
	for _, r := range o {
		if strings.ContainsRune(longFolds, r) && longFold[r] == nil {
			return r
		}
	}
	return o[0]
}

// cases is the set of a character and those that differ only in case.
func cases(r rune) set {
	s := newSet(r, r)
	for _, o := range orbitOf()[r] {
		s = s.union(newSet(o, o))
	}
	return s
}

// withCases adds to a set what differs from its members only in case.
func (s set) withCases() set {
	pairs := slices.Clone([]rune(s))
	for _, o := range orbits() {
		if slices.ContainsFunc(o, s.has) {
			for _, r := range o {
				pairs = append(pairs, r, r)
			}
		}
	}
	return clean(pairs)
}

// classNode is the node of a class. Where case is ignored a character may also match the text that it
// folds to, unless the class is negated.
func (p *parser) classNode(s set, negative bool) *node {
	if !p.fold {
		return &node{kind: class, set: flip(s, negative)}
	}
	s = s.withCases()
	if negative {
		return &node{kind: class, set: s.not()}
	}
	n := &node{kind: alt, kids: []*node{{kind: class, set: s}}}
	seen := map[string]bool{}
	for k := 0; k < len(multi); k++ {
		r := multi[k]
		if text := string(longFold[r]); s.has(r) && !seen[text] {
			seen[text] = true
			n.kids = append(n.kids, sequence(longFold[r]))
		}
	}
	if len(n.kids) == 1 {
		return n.kids[0]
	}
	return n
}

// multi are the characters of longFold in order.
var multi = func() (rs []rune) {
	for r := range longFold {
		rs = append(rs, r)
	}
	slices.Sort(rs)
	return rs
}()

// sequence matches a text whatever its case, character by character.
func sequence(rs []rune) *node {
	var kids []*node
	for _, r := range rs {
		kids = append(kids, &node{kind: class, set: cases(r)})
	}
	return join(kids)
}

// anyCase is a text whose case is ignored. Two or three characters that some character folds to are
// taken together, the first such from the left and the longest, as Oniguruma does; not so in a
// look-behind, where one character stays one.
func anyCase(rs []rune, behind bool) *node {
	var kids []*node
	for i := 0; i < len(rs); {
		size := 1
		var from []rune
		for n := min(3, len(rs)-i); n > 1 && !behind; n-- {
			var key []rune
			for _, r := range rs[i : i+n] {
				key = append(key, simple(r))
			}
			if from = foldedFrom[string(key)]; from != nil {
				size = n
				kids = append(kids, &node{kind: alt, kids: []*node{sequence(key), {kind: class, set: ofAll(from)}}})
				break
			}
		}
		if from == nil {
			one := &node{kind: class, set: cases(rs[i])}
			if text := longFold[rs[i]]; text != nil {
				one.set = one.set.union(ofAll(foldedFrom[string(text)]))
				if !behind {
					one = &node{kind: alt, kids: []*node{one, sequence(text)}}
				}
			}
			kids = append(kids, one)
		}
		i += size
	}
	return join(kids)
}

func ofAll(rs []rune) set {
	var pairs []rune
	for _, r := range rs {
		pairs = append(pairs, r, r)
	}
	return clean(pairs)
}
