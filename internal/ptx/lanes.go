package ptx

import "math/bits"

// The loops over lanes. Registers are given by number; f sees 64 bits and must look at no more than its type's.

type runner = func(w *warp, m uint32)

func each1(d, a int, f func(a uint64) uint64) runner {
	return func(w *warp, m uint32) {
		rd, ra := &w.r[d], &w.r[a]
		if m == allLanes {
			for i := range rd {
				rd[i] = f(ra[i])
			}
			return
		}
		for ; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			rd[i] = f(ra[i])
		}
	}
}

func each2(d, a, b int, f func(a, b uint64) uint64) runner {
	return func(w *warp, m uint32) {
		rd, ra, rb := &w.r[d], &w.r[a], &w.r[b]
		if m == allLanes {
			for i := range rd {
				rd[i] = f(ra[i], rb[i])
			}
			return
		}
		for ; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			rd[i] = f(ra[i], rb[i])
		}
	}
}

func each3(d, a, b, c int, f func(a, b, c uint64) uint64) runner {
	return func(w *warp, m uint32) {
		rd, ra, rb, rc := &w.r[d], &w.r[a], &w.r[b], &w.r[c]
		if m == allLanes {
			for i := range rd {
				rd[i] = f(ra[i], rb[i], rc[i])
			}
			return
		}
		for ; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			rd[i] = f(ra[i], rb[i], rc[i])
		}
	}
}

// test is the lanes of m for which f holds.
func test(w *warp, m uint32, a, b int, f func(a, b uint64) bool) uint32 {
	ra, rb := &w.r[a], &w.r[b]
	var yes uint32
	for rest := m; rest != 0; rest &= rest - 1 {
		i := bits.TrailingZeros32(rest) & 31
		if f(ra[i], rb[i]) {
			yes |= 1 << i
		}
	}
	return yes
}

// setPred sets the lanes of m of a predicate to those of v.
func (w *warp) setPred(p int, m, v uint32) { w.p[p] = w.p[p]&^m | v&m }

// guard is a predicate's lanes, inverted if negated.
func (w *warp) guard(p int, negated bool) uint32 {
	if negated {
		return ^w.p[p]
	}
	return w.p[p]
}
