package ptx

import (
	"math"
	"sync"
)

var matrixOps = map[string]func(*decoder){"ldmatrix": ldmatrix, "mma": mma, "movmatrix": movmatrix}

// warpWide makes the instruction one that all live lanes execute at once.
func warpWide(d *decoder, run func(w *warp)) {
	d.in.kind = together
	d.in.need = func(w *warp, _ uint32) uint32 { return w.live }
	d.in.run = func(w *warp, m uint32) {
		if m != allLanes {
			w.fault(lowest(^m), ErrDeadlock, "lane %d has exited, all 32 are needed", lowest(^m))
		}
		run(w)
	}
}

// registers are the registers of operand i, which holds n of them.
func (d *decoder) registers(i, n int, t typ, dst bool) []int {
	list := []operand{d.arg(i)}
	if list[0].kind == opVector {
		list = list[0].list
	}
	if len(list) != n {
		d.fail("%d registers in operand %d, want %d", len(list), i+1, n)
	}
	var out []int
	for _, o := range list {
		if dst {
			out = append(out, d.dest(o, t))
		} else {
			out = append(out, d.source(o, t))
		}
	}
	return out
}

// ldmatrix loads 8x8 matrices of 16-bit numbers. Lane 8q+r gives the address of row r of matrix q; register q of lane t gets
// columns 2(t%4) and 2(t%4)+1 of row t/4, transposed the same of the transposed matrix.
func ldmatrix(d *decoder) {
	if !d.has("sync") || !d.has("aligned") || !d.has("m8n8") || !d.has("b16") {
		d.fail("form")
	}
	n := map[string]int{"x1": 1, "x2": 2, "x4": 4}[d.one("x1", "x2", "x4")]
	trans := d.has("trans")
	sp := d.space()
	d.args(2)
	dst := d.registers(0, n, typB32, true)
	at, _ := d.addr(1)
	warpWide(d, func(w *warp) {
		for q := range n {
			var m [8][8]uint16
			for r := range 8 {
				lane := 8*q + r
				w.matrixRow(&m[r], sp, lane, w.r[at.base][lane]+at.off, r, trans)
			}
			out := &w.r[dst[q]]
			for t := range 32 {
				if trans {
					out[t] = uint64(m[2*(t%4)][t/4]) | uint64(m[2*(t%4)+1][t/4])<<16
				} else {
					out[t] = uint64(m[t/4][2*(t%4)]) | uint64(m[t/4][2*(t%4)+1])<<16
				}
			}
		}
	})
}

// matrixRow reads row r, whose address lane gives, for the lanes that get its parts: they are the readers, for the order of accesses.
func (w *warp) matrixRow(row *[8]uint16, sp space, lane int, addr uint64, r int, trans bool) {
	if sp == spGeneric {
		addr -= sharedBase
	}
	if addr&15 != 0 {
		w.fault(lane, ErrMisaligned, "shared address %d of a matrix row of 16 bytes", addr)
	}
	b := w.b
	if addr+16 > uint64(len(b.shared)) || addr+16 < addr {
		w.fault(lane, ErrBounds, "shared memory bytes %d to %d of %d", int64(addr), int64(addr)+15, len(b.shared))
	}
	if s := b.shadow; s != nil {
		for c := range 4 {
			if at := int(addr) + 4*c; trans {
				w.loads(s, 8*c+r/2, at, 4)
				w.loads(s, 8*c+4+r/2, at, 4)
			} else {
				w.loads(s, 4*r+c, at, 4)
			}
		}
	}
	bytes := b.shared[addr : addr+16]
	for c := range row {
		row[c] = uint16(bytes[2*c]) | uint16(bytes[2*c+1])<<8
	}
}

// movmatrix transposes an 8x8 matrix held as ldmatrix leaves it.
func movmatrix(d *decoder) {
	if !d.has("sync") || !d.has("aligned") || !d.has("m8n8") || !d.has("trans") || !d.has("b16") {
		d.fail("form")
	}
	d.args(2)
	dst, src := d.dst(0, typB32), d.src(1, typB32)
	warpWide(d, func(w *warp) {
		from := w.r[src]
		part := func(row, col int) uint64 { return from[4*row+col/2] >> (16 * (col & 1)) & 0xffff }
		for t := range 32 {
			w.r[dst][t] = part(2*(t%4), t/4) | part(2*(t%4)+1, t/4)<<16
		}
	})
}

// mma decodes  mma.sync.aligned.m16n8kK.row.col.f32.T.T.f32 d, a, b, c  for K = 16 and 8 and T = f16 and bf16: D = A·B + C with A
// (16, K), B (K, 8), C and D (16, 8). Which lane holds what is in fragmentA, fragmentB and fragmentC.
func mma(d *decoder) {
	if !d.has("sync") || !d.has("aligned") || !d.has("row") || !d.has("col") {
		d.fail("form")
	}
	k := map[string]int{"m16n8k16": 16, "m16n8k8": 8}[d.one("m16n8k16", "m16n8k8")]
	if k == 0 || len(d.mods) != 4 {
		d.fail("shape")
	}
	td, ta, tb, tc := d.typ(), d.typ(), d.typ(), d.typ()
	float := typ{kind: 'f', bits: 32}
	if td != float || tc != float || ta != tb || ta.bits != 16 || !ta.float() {
		d.fail("types")
	}
	d.args(4)
	dst, a := d.registers(0, 4, float, true), d.registers(1, k/4, typB32, false)
	b, c := d.registers(2, k/8, typB32, false), d.registers(3, 4, float, false)
	brain := ta.kind == 'g'
	table := halfTable()
	warpWide(d, func(w *warp) {
		var ma [16][16]float64
		var mb [8][16]float64 // by column
		for i, r := range a {
			row, col := fragmentA(0, i)
			spread(&w.r[r], brain, table, func(lane int, low, high float64) {
				m := &ma[row+lane/4]
				m[(col+lane%4*2)&15], m[(col+lane%4*2+1)&15] = low, high
			})
		}
		for i, r := range b {
			row, _ := fragmentB(0, i)
			spread(&w.r[r], brain, table, func(lane int, low, high float64) {
				m := &mb[lane/4]
				m[(row+lane%4*2)&15], m[(row+lane%4*2+1)&15] = low, high
			})
		}
		for lane := range 32 {
			var out [4]uint64 // d may name registers of c
			for i := range out {
				row, col := fragmentC(lane, i)
				out[i] = b32(float32(float64(f32(w.r[c[i]][lane])) + dot(&ma[row], &mb[col])))
			}
			for i, v := range out {
				w.r[dst[i]][lane] = v
			}
		}
	})
}

// spread gives the two numbers in each lane's register to f.
func spread(r *[32]uint64, brain bool, table *[1 << 16]float64, f func(lane int, low, high float64)) {
	if brain {
		for lane, v := range r {
			f(lane, float64(math.Float32frombits(uint32(v)<<16)), float64(math.Float32frombits(uint32(v)&0xffff0000)))
		}
		return
	}
	for lane, v := range r {
		f(lane, table[uint16(v)], table[uint16(v>>16)])
	}
}

// fragmentA is the place in A of the low half of a lane's register i; the high half is one column on.
func fragmentA(lane, i int) (row, col int) { return lane/4 + i%2*8, lane%4*2 + i/2*8 }

// fragmentB is the place in B of the low half of a lane's register i; the high half is one row on.
func fragmentB(lane, i int) (row, col int) { return lane%4*2 + i*8, lane / 4 }

// fragmentC is the place in C and D of a lane's register i.
func fragmentC(lane, i int) (row, col int) { return lane/4 + i/2*8, lane%4*2 + i%2 }

// dot sums in float64: exact products, one rounding to float32 by the caller. For K = 8 the rest is zero.
func dot(a, b *[16]float64) float64 {
	s0 := a[0]*b[0] + a[4]*b[4] + a[8]*b[8] + a[12]*b[12]
	s1 := a[1]*b[1] + a[5]*b[5] + a[9]*b[9] + a[13]*b[13]
	s2 := a[2]*b[2] + a[6]*b[6] + a[10]*b[10] + a[14]*b[14]
	s3 := a[3]*b[3] + a[7]*b[7] + a[11]*b[11] + a[15]*b[15]
	return (s0 + s1) + (s2 + s3)
}

// halfTable is the value of every float16.
var halfTable = sync.OnceValue(func() *[1 << 16]float64 {
	t := new([1 << 16]float64)
	for i := range t {
		t[i] = halfFormat.widen(uint64(i))
	}
	return t
})
