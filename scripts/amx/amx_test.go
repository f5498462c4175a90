//go:build linux && amd64

package main

import (
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestDecode reads every instruction that internal/cpukern writes as bytes: decode must find what the comment above it says, and
// its whole length.
func TestDecode(t *testing.T) {
	text, err := os.ReadFile("../../internal/cpukern/kernels_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	var comment string
	var code []byte
	n := 0
	check := func() {
		if len(code) == 0 || comment == "prefetchw (%rax)" {
			code = nil
			return
		}
		n++
		in, ok := decode(append(code, make([]byte, 16)...))
		want := strings.Fields(comment)
		name := strings.Replace(want[0], "tileloaddt1", "tileloadd", 1)
		if !ok || in.length != len(code) || in.op.String() != name {
			t.Errorf("%s: %v, %d bytes of %d, %v", comment, in, in.length, len(code), ok)
		}
		if last := "%tmm" + strconv.Itoa(in.tile); name == "tdpbf16ps" && want[1] != "%tmm"+strconv.Itoa(in.b)+",%tmm"+strconv.Itoa(in.a)+","+last || name == "tileloadd" && !strings.HasSuffix(want[1], last) {
			t.Errorf("%s: decoded as %v", comment, in)
		}
		code = nil
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if after, ok := strings.CutPrefix(line, "// "); ok {
			check()
			comment = after
		} else if hex, ok := strings.CutPrefix(line, "BYTE $0x"); ok {
			b, _ := strconv.ParseUint(hex, 16, 8)
			code = append(code, byte(b))
		} else if line != "" {
			check()
		}
	}
	if n < 30 {
		t.Errorf("%d instructions found, want at least 30", n)
	}
	for _, other := range []string{"\xc4\xe2\x7d\x19\x00", "\x0f\x0b", "\xc4\xe2\x52\x5c\xe8"} { // VBROADCASTSD, UD2, TDPBF16PS with the same tile twice
		if in, ok := decode([]byte(other + strings.Repeat("\x90", 16))); ok {
			t.Errorf("% x decoded as %v", other, in)
		}
	}
}

// TestFMA compares with arithmetic of 200 bits, on operands whose exponents lie far apart too.
func TestFMA(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 200000 {
		x := math.Float32frombits(rnd.Uint32() & 0xbfff0000) // BF16, sizes up to 2
		y := math.Float32frombits(rnd.Uint32() & 0xbfff0000)
		z := math.Float32frombits(math.Float32bits(x*y)&0x7f800000 ^ rnd.Uint32()&0x8fffffff)
		if x, y, z = flush(x), flush(y), flush(z); z != z || z > math.MaxFloat32 || z < -math.MaxFloat32 {
			continue
		}
		exact := func(v float32) *big.Float { return new(big.Float).SetPrec(400).SetFloat64(float64(v)) }
		sum := exact(x)
		sum.Mul(sum, exact(y)).Add(sum, exact(z))
		want, _ := sum.Float32()
		if got := fma(x, y, z); math.Float32bits(got) != math.Float32bits(flush(want)) && got != want {
			t.Fatalf("%g·%g + %g = %g, want %g", x, y, z, got, flush(want))
		}
	}
}

// TestProduct multiplies tiles of ragged sizes, and knows what must not be done.
func TestProduct(t *testing.T) {
	var config [64]byte
	config[0] = 1
	for i, size := range [][2]int{{5, 12}, {5, 8}, {2, 12}} { // c 5 × 3, a 5 × 4, b 4 × 3
		config[48+i], config[16+2*i] = byte(size[0]), byte(size[1])
	}
	var th tiles
	if err := th.product(0, 1, 2); err != nil {
		t.Fatal(err)
	}
	if err := th.execute(instruction{op: zero}, [16]uint64{}, nil); err != errNotConfigured {
		t.Errorf("a tile that is not configured: %v", err)
	}
	if err := th.configure(config); err != nil {
		t.Fatal(err)
	}
	put := func(tile, row, i int, v float32) {
		bits := math.Float32bits(v)
		th.data[tile][row][2*i], th.data[tile][row][2*i+1] = byte(bits>>16), byte(bits>>24)
	}
	for m := range 5 {
		for k := range 4 {
			put(1, m, k, float32(m+2*k))
		}
	}
	for k := range 4 {
		for n := range 3 {
			put(2, k/2, 2*n+k%2, float32(k-n))
		}
	}
	for range 2 { // the second adds
		if err := th.product(0, 1, 2); err != nil {
			t.Fatal(err)
		}
	}
	for m := range 5 {
		for n := range 3 {
			want := 0
			for k := range 4 {
				want += 2 * (m + 2*k) * (k - n)
			}
			b := th.data[0][m][4*n:]
			if got := math.Float32frombits(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24); got != float32(want) {
				t.Errorf("c[%d, %d] = %g, want %d", m, n, got, want)
			}
		}
	}
	if err := th.product(1, 0, 2); err == nil {
		t.Error("sizes that do not fit were multiplied")
	}
	config[60] = 1
	if err := th.configure(config); err == nil {
		t.Error("a reserved byte was accepted")
	}
}
