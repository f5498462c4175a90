package ptx

import (
	"math"
	"testing"
)

func TestFirst(t *testing.T) {
	m := parseFile(t, "first.ptx")
	h := &heap{}
	stop := upload(h, []uint32{0})
	M, N, K := 70, 75, 64
	a, b := make([]uint16, M*K), make([]uint16, N*K)
	fa, fb := make([]float32, M*K), make([]float32, N*K)
	for i := range a {
		fa[i] = float32(i*7%13) - 6
		a[i] = uint16(math.Float32bits(fa[i]) >> 16)
	}
	for i := range b {
		fb[i] = float32(i*5%11) - 5
		b[i] = uint16(math.Float32bits(fb[i]) >> 16)
	}
	pa, pb := upload(h, a), upload(h, b)
	y := upload(h, make([]float32, M*N))
	_, err := m.Kernel("gemm").Run(h, Launch{Grid: [3]int{2, 2, 1}, Block: [3]int{128, 1, 1}, Args: []uint64{stop, y, pa, pb, uint64(M), uint64(N), uint64(K)}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := read[float32](h, y, M*N)
	for i := range M {
		for j := range N {
			var want float32
			for k := range K {
				want += fa[i*K+k] * fb[j*K+k]
			}
			if got[i*N+j] != want {
				t.Fatalf("%d %d: %v want %v", i, j, got[i*N+j], want)
			}
		}
	}
	n := 100
	x := make([]float32, 3*n)
	for i := range x {
		x[i] = float32(i%17) * 0.1
	}
	px, py := upload(h, x), upload(h, make([]float32, 3*n))
	run(t, m, "softmax", h, 3, 64, n*4, stop, py, px, uint64(n), fbits(1))
	t.Log(read[float32](h, py, 10))
	pp := upload(h, make([]uint32, 400))
	run(t, m, "phil", h, 3, 32, 0, stop, pp, 5|7<<32, 100)
	t.Logf("%x", read[uint32](h, pp, 8))
	pf := upload(h, make([]float32, 32))
	run(t, m, "fn", h, 1, 32, 0, stop, pf, 4)
	t.Log(read[float32](h, pf, 32))
	cnt, big, xs, ys, d, q := upload(h, make([]uint32, 256)), upload(h, make([]int64, 128)), upload(h, make([]uint16, 128)), upload(h, make([]uint16, 128)), upload(h, make([]float64, 128)), upload(h, make([]byte, 128))
	t.Log(try(m, "misc", h, 1, 128, 0, stop, cnt, big, xs, ys, d, 100, q))
}
