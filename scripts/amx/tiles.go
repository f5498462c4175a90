//go:build linux && amd64

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// tiles is one thread's.
type tiles struct {
	configured bool
	used       bool
	rows, cols [8]int // cols are bytes
	data       [8][16][64]byte
}

// ram is what instructions read and write.
type ram interface {
	read(at uint64, b []byte) error
	write(at uint64, b []byte) error
}

var errNotConfigured = errors.New("tiles are not configured")

// execute carries out in with the general registers as they are.
func (t *tiles) execute(in instruction, general [16]uint64, mem ram) error {
	switch in.op {
	case configure:
		var b [64]byte
		if err := mem.read(general[in.base]+uint64(in.disp), b[:]); err != nil {
			return err
		}
		return t.configure(b)
	case release:
		*t = tiles{used: t.used}
		return nil
	}
	if !t.configured {
		return errNotConfigured
	}
	if t.rows[in.tile] == 0 || t.cols[in.tile] == 0 {
		return fmt.Errorf("tile %d has no size", in.tile)
	}
	switch in.op {
	case zero:
		t.data[in.tile] = [16][64]byte{}
	case product:
		return t.product(in.tile, in.a, in.b)
	default:
		return t.move(in, general, mem)
	}
	return nil
}

// configure reads palette 1: bytes of a row for each tile from byte 16 on, rows from byte 48 on; all else must be zero.
func (t *tiles) configure(b [64]byte) error {
	if b[0] != 1 || b[1] != 0 {
		return fmt.Errorf("palette %d, first row %d: only palette 1 from row 0 is known", b[0], b[1])
	}
	*t = tiles{configured: true, used: t.used}
	for i := range 8 {
		t.cols[i], t.rows[i] = int(binary.LittleEndian.Uint16(b[16+2*i:])), int(b[48+i])
		if t.cols[i] > 64 || t.rows[i] > 16 || (t.cols[i] == 0) != (t.rows[i] == 0) {
			return fmt.Errorf("tile %d of %d rows of %d bytes", i, t.rows[i], t.cols[i])
		}
	}
	for i, v := range b {
		if v != 0 && (i > 1 && i < 16 || i >= 32 && i < 48 || i >= 56) {
			return fmt.Errorf("reserved byte %d of the configuration is %d", i, v)
		}
	}
	return nil
}

// move loads or stores a tile's rows, the index register apart; a load clears what the tile does not cover.
func (t *tiles) move(in instruction, general [16]uint64, mem ram) error {
	at, stride := general[in.base]+uint64(in.disp), uint64(0)
	if in.index >= 0 {
		stride = general[in.index] * uint64(in.scale)
	}
	if in.op == load {
		t.data[in.tile] = [16][64]byte{}
	}
	for r := range t.rows[in.tile] {
		row := t.data[in.tile][r][:t.cols[in.tile]]
		f := mem.read
		if in.op == store {
			f = mem.write
		}
		if err := f(at+uint64(r)*stride, row); err != nil {
			return err
		}
	}
	return nil
}

// product is TDPBF16PS: c += a·b. For each element the even and the odd positions are summed apart by fused multiply-adds, then both sums
// are added and their sum is added to c; every result is rounded to nearest even, and subnormal numbers count as zero on the way in and out.
func (t *tiles) product(c, a, b int) error {
	if t.rows[a] != t.rows[c] || t.cols[b] != t.cols[c] || t.cols[a]/4 != t.rows[b] {
		return fmt.Errorf("sizes do not fit: c %d × %d, a %d × %d, b %d × %d", t.rows[c], t.cols[c], t.rows[a], t.cols[a], t.rows[b], t.cols[b])
	}
	for m := range t.rows[c] {
		for n := range t.cols[c] / 4 {
			var even, odd float32
			for k := range t.cols[a] / 4 {
				even = fma(t.bf16(a, m, 2*k), t.bf16(b, k, 2*n), even)
				odd = fma(t.bf16(a, m, 2*k+1), t.bf16(b, k, 2*n+1), odd)
			}
			at := t.data[c][m][4*n:]
			old := flush(math.Float32frombits(binary.LittleEndian.Uint32(at)))
			binary.LittleEndian.PutUint32(at, math.Float32bits(flush(old+flush(even+odd))))
		}
	}
	return nil
}

func (t *tiles) bf16(tile, row, i int) float32 {
	return flush(math.Float32frombits(uint32(binary.LittleEndian.Uint16(t.data[tile][row][2*i:])) << 16))
}

// flush is zero for subnormal numbers.
func flush(x float32) float32 {
	if math.Float32bits(x)&0x7f800000 == 0 {
		return math.Float32frombits(math.Float32bits(x) & 0x80000000)
	}
	return x
}

// fma is x·y + z rounded once. The product of two BF16 has 16 bits, exact in float64; where the sum with the 24 bits of z is not exact there,
// they lie so far apart that rounding it once more, to float32, changes nothing.
func fma(x, y, z float32) float32 { return flush(float32(float64(x)*float64(y) + float64(z))) }
