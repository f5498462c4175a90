package tokenizer

// text is a piece of the input on its way to the model, together with the way back: normalizers
// may change, add and drop bytes, and offsets must still name bytes of the input.
type text struct {
	s string
	// at is the input offset of s[0] while s is still a plain slice of the input.
	at int
	// src[i] is the half-open range of input bytes that byte i of s stands for (empty for an
	// inserted byte). nil: s is input[at:at+len(s)], or nobody asked for offsets.
	src [][2]int32
	// alphabet reports that the bytes of s stand for characters of the byte-level alphabet: the
	// mapping is left to the model, which knows the symbol of each byte.
	alphabet bool
	// cost is shared by all texts that come from one input; nil: this text pays for itself.
	cost *allowance
}

// allowed is what may still be spent on t.
func (t text) allowed() *allowance {
	if t.cost == nil {
		return allow(len(t.s))
	}
	return t.cost
}

// slice is the part s[i:j], keeping its way back to the input.
func (t text) slice(i, j int) text {
	u := text{s: t.s[i:j], at: t.at + i, alphabet: t.alphabet, cost: t.cost}
	if t.src != nil {
		u.src = t.src[i:j]
	}
	return u
}

// span is the input range that bytes [i,j) of s came from; i == j gives an empty range.
func (t text) span(i, j int) [2]int {
	if t.src == nil {
		return [2]int{t.at + i, t.at + j}
	}
	if i == j {
		if i < len(t.src) {
			return [2]int{int(t.src[i][0]), int(t.src[i][0])}
		}
		return [2]int{t.end(), t.end()}
	}
	return [2]int{int(t.src[i][0]), int(t.src[j-1][1])}
}

// end is the input offset just behind the text.
func (t text) end() int {
	if t.src == nil {
		return t.at + len(t.s)
	}
	if len(t.src) == 0 {
		return t.at
	}
	return int(t.src[len(t.src)-1][1])
}

// rewrite builds the successor of a text, byte by byte or string by string.
type rewrite struct {
	from text
	buf  []byte
	src  [][2]int32
	// track is false when the caller wants no offsets: src then stays nil and costs nothing.
	track bool
	cost  *allowance
	err   error // the text would be too long; what was put since is lost
}

func newRewrite(from text, track bool) *rewrite {
	return &rewrite{from: from, buf: make([]byte, 0, len(from.s)+16), track: track, cost: from.allowed()}
}

// keep copies bytes [i,j) of the old text unchanged.
func (r *rewrite) keep(i, j int) {
	r.buf = append(r.buf, r.from.s[i:j]...)
	if !r.track {
		return
	}
	for k := i; k < j; k++ {
		s := r.from.span(k, k+1)
		r.src = append(r.src, [2]int32{int32(s[0]), int32(s[1])})
	}
}

// put writes s in the place of bytes [i,j) of the old text; i == j inserts.
func (r *rewrite) put(s string, i, j int) {
	if more := len(s) - (j - i); more > 0 && r.err == nil {
		r.err = r.cost.grow(more, len(r.buf)+len(s))
	}
	if r.err != nil {
		return
	}
	r.buf = append(r.buf, s...)
	if !r.track {
		return
	}
	at := r.from.span(i, j)
	for range len(s) {
		r.src = append(r.src, [2]int32{int32(at[0]), int32(at[1])})
	}
}

// text is the finished successor.
func (r *rewrite) text() (text, error) {
	if r.err != nil {
		return text{}, r.err
	}
	return text{s: string(r.buf), at: r.from.at, src: r.src, alphabet: r.from.alphabet, cost: r.from.cost}, nil
}
