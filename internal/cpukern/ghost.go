package cpukern

// The norm of a gradient dyᵀ·x without the gradient (algorithms.md 16): ‖dyᵀ·x‖² = Σ_st (x_s·x_t)(dy_s·dy_t) over pairs of tokens, which is less
// work than the product where there are few tokens. The pairs' products of x wait, a strip of tokens at a time, for those of dy.
const (
	ghostTokens = 2048
	ghostStrip  = 2 * cellM // at least, and a multiple: whole cells both ways
	ghostBytes  = ghostStrip * ghostTokens * 4
)

// ghostRows is how many tokens a strip takes: a quarter of all, as half of the square is made but for the strips' own squares.
func ghostRows(tokens int) int {
	return min(roundUp(ceilDiv(tokens, 4), ghostStrip), ghostBytes/4/tokens/ghostStrip*ghostStrip)
}

// ghostPays says whether the pairs of tokens are less work than the product p, whose sum runs over tokens.
func ghostPays(p *product) bool {
	if p.k == 0 || p.k > ghostTokens {
		return false
	}
	pairs := 0
	for strip, s := ghostRows(p.k), 0; s < p.k; s += strip {
		end := min(p.k, s+strip)
		pairs += (end - s) * end
	}
	return pairs*(p.m+p.n)/4*5 < p.k*p.m*p.n // the pairs' products are short: they must be less by a fifth
}

// ghostSumSq is the sum of squares of the product p.
func (d *Device) ghostSumSq(p *product) float64 {
	d.ghost.reset()
	strip, sum := ghostRows(p.k), 0.0
	held := d.ghost.floats(min(strip, roundUp(p.k, ghostStrip)) * p.k)
	for s := 0; s < p.k; s += strip {
		sum += d.ghostPart(p, held, s, min(p.k, s+strip))
	}
	return max(0, sum)
}

// pairsOf is the products of tokens [s0, s1) with tokens [0, s1) of a factor that has cols elements a token.
func pairsOf(o operand, cols, s0, s1 int) product {
	return product{m: s1 - s0, n: s1, k: cols, a: operand{o.v.from(s0 * o.ld), o.ld, true}, b: operand{o.v, o.ld, true}}
}

// ghostPart is the part of the sum of pairs of a token in [s0, s1) with one before it, twice, and with one in [s0, s1).
func (d *Device) ghostPart(p *product, held []float32, s0, s1 int) float64 {
	x, dy := pairsOf(p.b, p.n, s0, s1), pairsOf(p.a, p.m, s0, s1)
	d.multiply(x, d.storeTile(floats{f: held}, s1, false))
	c := d.cells(&dy)
	d.multiply(dy, func(_ *workspace, t *tile) {
		for i := t.i0; i < t.i1; i++ {
			row, other, at := t.row(i), held[i*s1+t.j0:], i/cellM*c.across+t.j0/cellN
			for j := 0; j < len(row); j += cellN {
				n := min(len(row), j+cellN) - j
				dot := float64(d.k.dot(row[j:j+n], other[j:j+n]))
				if t.j0+j < s0 { // cells lie on one side: strips are whole ones
					dot *= 2
				}
				c.sums[at] += dot
				at++
			}
		}
	})
	return total(c.sums)
}
