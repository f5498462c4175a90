//go:build amd64 && !noasm

package cpukern

func updateAVX2(w, g []float32, s *stepConsts) {
	n := len(w) &^ 7
	if n > 0 {
		updateVec(&w[0], &g[0], n, s.scale, s.clip, s.coef, s.keep, s.lr)
	}
	updateGeneric(w[n:], g[n:], s)
}

func updateHalvesAVX2(w []uint16, g []float32, noise []uint16, s *stepConsts) {
	n := len(w) &^ 7
	if n > 0 {
		updateHalvesVec(&w[0], &g[0], &noise[0], n, s.scale, s.clip, s.coef, s.keep, s.lr)
	}
	updateHalvesGeneric(w[n:], g[n:], noise[n:], s)
}

func adamAVX2(w, m, v, g []float32, k *adam, c *stepConsts) {
	n := len(w) &^ 7
	if n > 0 {
		adamVec(&w[0], &m[0], &v[0], &g[0], n, c.scale, c.clip, c.coef, c.keep, k.one1, k.beta2, k.one2, k.root, k.eps, k.rate)
	}
	adamGeneric(w[n:], m[n:], v[n:], g[n:], k, c)
}

func squaresAVX2(g []float32, c *stepConsts, eps float32) float32 {
	n := len(g) &^ 7
	sum := squaresGeneric(g[n:], c, eps)
	if n > 0 {
		sum += squaresVec(&g[0], n, c.scale, c.clip, c.coef, eps)
	}
	return sum
}

func addSquaresAVX2(sum, g []float32, c *stepConsts, eps float32) {
	n := len(sum) &^ 7
	if n > 0 {
		addSquaresVec(&sum[0], &g[0], n, c.scale, c.clip, c.coef, eps)
	}
	addSquaresGeneric(sum[n:], g[n:], c, eps)
}

func unitAVX2(u, g, cf []float32, c *stepConsts, rf float32) {
	n := len(u) &^ 7
	if n > 0 {
		unitVec(&u[0], &g[0], &cf[0], n, c.scale, c.clip, c.coef, rf)
	}
	unitGeneric(u[n:], g[n:], cf[n:], c, rf)
}

func rsqrtAVX2(dst, x []float32) {
	n := len(dst) &^ 7
	if n > 0 {
		rsqrtVec(&dst[0], &x[0], n)
	}
	rsqrtGeneric(dst[n:], x[n:])
}
