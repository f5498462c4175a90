package ptx

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// warpKernel wraps instructions of one warp: registers a0 to a9 are loaded from in[lane][0..9], d0 to d3 are stored to out[lane].
func warpKernel(t *testing.T, text string) *Module {
	t.Helper()
	src := ".version 7.8\n.target sm_86\n.address_size 64\n.visible .entry k(.param .u64 in, .param .u64 out)\n{\n" +
		".reg .b64 %rd<4>; .reg .b32 %r, a<10>, d<4>, s; .reg .pred p, q;\n.shared .align 16 .b8 tile[1024];\n" +
		"ld.param.u64 %rd0, [in]; ld.param.u64 %rd1, [out]; mov.u32 %r, %laneid;\n" +
		"mad.wide.u32 %rd0, %r, 40, %rd0; mad.wide.u32 %rd1, %r, 16, %rd1;\n"
	for i := range 10 {
		src += fmt.Sprintf("ld.global.b32 a%d, [%%rd0+%d];\n", i, 4*i)
	}
	for i := range 4 {
		src += fmt.Sprintf("mov.b32 d%d, 0;\n", i)
	}
	src += text + "\n"
	for i := range 4 {
		src += fmt.Sprintf("st.global.b32 [%%rd1+%d], d%d;\n", 4*i, i)
	}
	m, err := Parse(src + "ret;\n}")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func runWarp(t *testing.T, text string, in [32][10]uint32) [32][4]uint32 {
	t.Helper()
	m := warpKernel(t, text)
	h := &heap{}
	pi, po := upload(h, in[:]), upload(h, make([][4]uint32, 32))
	run(t, m, "k", h, 1, 32, 0, pi, po)
	return [32][4]uint32(read[[4]uint32](h, po, 32))
}

// halfBits are the 16 bits of small integers in each format.
func halfBits(f format, v float64) uint32 { return uint32(f.narrow(v, "rn")) }

// TestMMA checks the layout against the definition in the PTX manual, section "Matrix Fragments for mma.m16n8k16 with
// floating point type": element i of a lane's fragment by groupID = lane / 4 and t = lane % 4.
func TestMMA(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, k := range []int{16, 8} {
		for name, f := range map[string]format{"bf16": brainFormat, "f16": halfFormat} {
			var A [16][16]float64
			var B [16][8]float64
			var C [16][8]float64
			for i := range 16 {
				for j := range k {
					A[i][j] = float64(r.IntN(255) - 127)
				}
				for j := range 8 {
					C[i][j] = float64(r.IntN(1 << 12))
					if i < k {
						B[i][j] = float64(r.IntN(255) - 127)
					}
				}
			}
			var in [32][10]uint32
			for lane := range 32 {
				group, id := lane/4, lane%4
				for i := range k / 2 { // of A: 8 elements, or 4
					row := group + 8
					if i < 2 || i >= 4 && i < 6 {
						row = group
					}
					col := id*2 + i&1
					if i >= 4 {
						col += 8
					}
					in[lane][i/2] |= halfBits(f, A[row][col]) << (16 * (i & 1))
				}
				for i := range k / 4 { // of B
					row := id*2 + i&1
					if i >= 2 {
						row += 8
					}
					in[lane][4+i/2] |= halfBits(f, B[row][group]) << (16 * (i & 1))
				}
				for i := range 4 {
					in[lane][6+i] = math.Float32bits(float32(C[group+i/2*8][id*2+i&1]))
				}
			}
			args := "{a0,a1,a2,a3}, {a4,a5}"
			if k == 8 {
				args = "{a0,a1}, {a4}"
			}
			out := runWarp(t, fmt.Sprintf("mma.sync.aligned.m16n8k%d.row.col.f32.%s.%s.f32 {d0,d1,d2,d3}, %s, {a6,a7,a8,a9};", k, name, name, args), in)
			for lane := range 32 {
				for i := range 4 {
					row, col := lane/4, lane%4*2+i&1
					if i >= 2 {
						row += 8
					}
					want := C[row][col]
					for j := range k {
						want += A[row][j] * B[j][col]
					}
					if got := math.Float32frombits(out[lane][i]); float64(got) != want {
						t.Fatalf("%s k=%d: D[%d][%d] = %v, want %v", name, k, row, col, got, want)
					}
				}
			}
		}
	}
}

// TestMMANeedsTheWarp: the instruction is for 32 lanes.
func TestMMANeedsTheWarp(t *testing.T) {
	m := warpKernel(t, "setp.lt.u32 p, %r, 31; @!p bra END;\nmma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {d0,d1,d2,d3}, {a0,a1}, {a4}, {a6,a7,a8,a9};\nEND:")
	h := &heap{}
	if err := try(m, "k", h, 1, 32, 0, upload(h, make([]uint32, 320)), upload(h, make([]uint32, 128))); err == nil {
		t.Fatal("mma by 31 lanes passed")
	}
}

func TestLdmatrix(t *testing.T) {
	for _, trans := range []bool{false, true} {
		for _, n := range []int{1, 2, 4} {
			// tile element e (16 bits) is e; lane i gives the address of row 31-i, so that the order of addresses is seen
			text := "shl.b32 s, %r, 5;\n"
			text += "mov.u32 a8, tile; add.u32 s, s, a8;\n"
			for i := range 8 {
				text += fmt.Sprintf("mad.lo.u32 a9, %%r, 16, %d; shl.b32 a8, a9, 16; add.u32 a9, a9, 65535; add.u32 a9, a9, 1; mad.lo.u32 a9, %%r, 16, %d; or.b32 a9, a9, a8;\n", 2*i+1, 2*i)
				text += fmt.Sprintf("st.shared.b32 [s+%d], a9;\n", 4*i)
			}
			mod, regs := "", map[int]string{1: "{d0}", 2: "{d0,d1}", 4: "{d0,d1,d2,d3}"}[n]
			if trans {
				mod = ".trans"
			}
			text += "bar.warp.sync -1;\nmov.u32 a8, tile; sub.u32 s, 31, %r; mad.lo.u32 s, s, 16, a8;\n"
			text += fmt.Sprintf("ldmatrix.sync.aligned.m8n8.x%d%s.shared.b16 %s, [s];", n, mod, regs)
			out := runWarp(t, text, [32][10]uint32{})
			for lane := range 32 {
				for q := range n {
					for half := range 2 {
						row, col := lane/4, lane%4*2+half
						if trans {
							row, col = col, row
						}
						want := uint32(8*(31-(8*q+row)) + col)
						if got := out[lane][q] >> (16 * half) & 0xffff; got != want {
							t.Fatalf("x%d%s: lane %d matrix %d half %d: %d, want %d", n, mod, lane, q, half, got, want)
						}
					}
				}
			}
		}
	}
}

func TestMovmatrix(t *testing.T) {
	var in [32][10]uint32
	for i := range in {
		in[i][0] = uint32(2*i) | uint32(2*i+1)<<16
	}
	out := runWarp(t, "movmatrix.sync.aligned.m8n8.trans.b16 d0, a0;", in)
	for i := range out {
		row, col := i/4, i%4*2
		if want := uint32(8*col+row) | uint32(8*(col+1)+row)<<16; out[i][0] != want {
			t.Fatalf("lane %d: %#x, want %#x", i, out[i][0], want)
		}
	}
}

func TestWarpInstructions(t *testing.T) {
	var in [32][10]uint32
	for i := range in {
		in[i] = [10]uint32{uint32(100 + i), uint32(i * 7 % 32), uint32(i / 3)}
	}
	b2i := func(b bool) uint32 { return uint32(truth(b)) }
	ballot := func(f func(i int) bool) uint32 {
		v := uint32(0)
		for i := range 32 {
			v |= b2i(f(i)) << i
		}
		return v
	}
	clamp := func(j, i int, ok bool) uint32 {
		if ok {
			return uint32(100 + j)
		}
		return uint32(100 + i)
	}
	for _, c := range []struct {
		text string
		want func(i int) [2]uint32
	}{
		{"shfl.sync.bfly.b32 d0|p, a0, 5, 31, -1; selp.b32 d1, 1, 0, p;", func(i int) [2]uint32 { return [2]uint32{uint32(100 + (i ^ 5)), 1} }},
		{"shfl.sync.down.b32 d0|p, a0, 3, 31, -1; selp.b32 d1, 1, 0, p;", func(i int) [2]uint32 { return [2]uint32{clamp(i+3, i, i+3 < 32), b2i(i+3 < 32)} }},
		{"shfl.sync.up.b32 d0|p, a0, 3, 0, -1; selp.b32 d1, 1, 0, p;", func(i int) [2]uint32 { return [2]uint32{clamp(i-3, i, i >= 3), b2i(i >= 3)} }},
		{"shfl.sync.idx.b32 d0|p, a0, a1, 31, -1; selp.b32 d1, 1, 0, p;", func(i int) [2]uint32 { return [2]uint32{uint32(100 + i*7%32), 1} }},
		// segments of 8 lanes: mask 24 (31-7) in bits 8 to 12
		{"shfl.sync.idx.b32 d0|p, a0, 2, 0x181f, -1; selp.b32 d1, 1, 0, p;", func(i int) [2]uint32 { return [2]uint32{uint32(100 + i&24 + 2), 1} }},
		{"shfl.sync.down.b32 d0|p, a0, 6, 0x181f, -1; selp.b32 d1, 1, 0, p;", func(i int) [2]uint32 { return [2]uint32{clamp(i+6, i, i&7 < 2), b2i(i&7 < 2)} }},
		{"shfl.sync.up.b32 d0|p, a0, 6, 0x1800, -1; selp.b32 d1, 1, 0, p;", func(i int) [2]uint32 { return [2]uint32{clamp(i-6, i, i&7 >= 6), b2i(i&7 >= 6)} }},
		{"setp.gt.u32 p, a0, 110; vote.sync.ballot.b32 d0, p, -1;", func(int) [2]uint32 { return [2]uint32{ballot(func(i int) bool { return i > 10 })} }},
		{"setp.gt.u32 p, a0, 110; vote.sync.all.pred q, p, -1; selp.b32 d0, 1, 0, q; vote.sync.any.pred q, p, -1; selp.b32 d1, 1, 0, q;",
			func(int) [2]uint32 { return [2]uint32{0, 1} }},
		{"setp.gt.u32 p, a0, 99; vote.sync.uni.pred q, p, -1; selp.b32 d0, 1, 0, q;", func(int) [2]uint32 { return [2]uint32{1} }},
		{"match.any.sync.b32 d0, a2, -1;", func(i int) [2]uint32 { return [2]uint32{ballot(func(j int) bool { return j/3 == i/3 })} }},
		{"match.all.sync.b32 d0|p, a2, -1; selp.b32 d1, 1, 0, p;", func(int) [2]uint32 { return [2]uint32{} }},
		{"redux.sync.add.s32 d0, a0, -1; redux.sync.max.u32 d1, a0, -1;", func(int) [2]uint32 { return [2]uint32{32*100 + 31*16, 131} }},
		{"redux.sync.xor.b32 d0, a0, -1; redux.sync.min.s32 d1, a0, -1;", func(int) [2]uint32 {
			x := 0
			for i := range 32 {
				x ^= 100 + i
			}
			return [2]uint32{uint32(x), 100}
		}},
		{"mov.u32 d0, %lanemask_lt; mov.u32 d1, %lanemask_ge;", func(i int) [2]uint32 { return [2]uint32{1<<i - 1, ^uint32(1<<i - 1)} }},
		// lanes that part and meet again: the sum of both ways, and a loop that runs as often as the lane says
		{"setp.lt.u32 p, %r, 9; @p bra A; add.u32 d0, a0, 1; bra.uni B; A: mov.u32 d0, 7; B: shfl.sync.bfly.b32 d1, d0, 1, 31, -1;", func(i int) [2]uint32 {
			v := func(i int) uint32 {
				if i < 9 {
					return 7
				}
				return uint32(101 + i)
			}
			return [2]uint32{v(i), v(i ^ 1)}
		}},
		{"mov.u32 s, 0; L: setp.ge.u32 p, s, a2; @p bra E; add.u32 d0, d0, a0; add.u32 s, s, 1; bra L; E: bar.warp.sync -1;",
			func(i int) [2]uint32 { return [2]uint32{uint32(i / 3 * (100 + i))} }},
		{"rem.u32 s, %r, 3; T: .branchtargets X, Y, Z; brx.idx s, T; X: mov.u32 d0, 10; bra E; Y: mov.u32 d0, 11; bra E; Z: mov.u32 d0, 12; E: bar.warp.sync -1;",
			func(i int) [2]uint32 { return [2]uint32{uint32(10 + i%3)} }},
		{"setp.lt.u32 p, %r, 9; bar.red.popc.u32 d0, 0, p; bar.red.and.pred q, 0, p; selp.b32 d1, 1, 0, q;", func(int) [2]uint32 { return [2]uint32{9, 0} }},
	} {
		out := runWarp(t, c.text, in)
		for i := range out {
			want := c.want(i)
			if got := [2]uint32(out[i][:2]); got != want {
				t.Errorf("%s: lane %d: %d, want %d", c.text, i, got, want)
				break
			}
		}
	}
}

func TestUnknown(t *testing.T) {
	for _, text := range []string{"wmma.load.a.sync d0;", "add.rq.s32 d0, d0, d0;", "add.s32 d0, d0;", "tex.1d.v4.f32.s32 d0, d0;", "ld.global.b32.foo d0, [%rd0];"} {
		_, err := Parse(".version 7.8\n.visible .entry k()\n{\n.reg .b32 d0; .reg .b64 %rd0;\n" + text + "\nret;\n}")
		if err == nil {
			t.Errorf("%s is accepted", text)
		} else {
			t.Log(err)
		}
	}
}
