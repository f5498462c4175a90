package ptx

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// spinKernel spins longer the lower a block is, 40 thousand instructions at most, so that several workers finish higher blocks
// first. p holds for blocks of an index from 5 on, and y, z are 4 and 64 times the index.
const spinKernel = `
.version 7.8
.target sm_86
.address_size 64
.visible .entry k(.param .u64 out)
{
	.reg .b64 %%rd<9>, y, z;
	.reg .b32 %%r<9>;
	.reg .pred p, q;
	ld.param.u64 %%rd0, [out];
	mov.u32 %%r0, %%ctaid.x;
	mul.wide.u32 y, %%r0, 4;
	mul.wide.u32 z, %%r0, 64;
	sub.u32 %%r1, 16, %%r0;
	mul.lo.u32 %%r1, %%r1, 800;
L:
	sub.u32 %%r1, %%r1, 1;
	setp.ne.u32 q, %%r1, 0;
	@q bra L;
	setp.ge.u32 p, %%r0, 5;
	%s
	ret;
}`

// TestLowestFault: however many workers run the blocks, a launch fails with the message of the lowest block that fails.
func TestLowestFault(t *testing.T) {
	for _, c := range []struct {
		name, text string
		limit      int64
		want       error
		says       string
	}{
		{"all out of bounds", "add.u64 y, y, 100; st.global.u32 [y], %r0;", 0, ErrBounds, "block [0 0 0] thread [0 0 0]"},
		{"out of bounds from block 5", "add.u64 %rd0, %rd0, y; @p mov.u64 %rd0, 64; st.global.u32 [%rd0], %r0;", 0, ErrBounds, "block [5 0 0] thread [0 0 0]"},
		{"misaligned from block 5", "add.u64 %rd0, %rd0, y; @p add.u64 %rd0, %rd0, 1; st.global.u32 [%rd0], %r0;", 0, ErrMisaligned, "block [5 0 0] thread [0 0 0]"},
		{"all write one number", "st.global.u32 [%rd0], %r0;", 0, ErrBlocks, "block [1 0 0] thread [0 0 0]: ptx line"},
		{"blocks from 5 write one number", "add.u64 y, y, %rd0; @p mov.u64 y, %rd0; st.global.u32 [y], %r0;", 0, ErrBlocks, "block [5 0 0] thread [0 0 0]: ptx line"},
		{"many pages", strings.Repeat("st.global.u32 [%rd0], %r0; add.u64 %rd0, %rd0, 4096;", 8), 0, ErrBlocks, "address 0x70000000,"},
		{"conflict at 6, bounds at 9", "add.u64 z, z, %rd0; setp.eq.u32 q, %r0, 6; @q mov.u64 z, %rd0; setp.eq.u32 q, %r0, 9; @q mov.u64 z, 64; st.global.u32 [z], %r0;", 0, ErrBlocks, "block [6 0 0]"},
		{"too long together", "st.global.u32 [y], %r0;", 120_000, ErrBounds, "block [0 0 0]"},
		{"too long at the fourth", "", 120_000, ErrLimit, "block [3 0 0]: instruction limit: 139228 thread instructions executed up to this block's end, the launch may take 120000"},
		{"too long at once", "M: add.u32 %r2, %r2, 1; bra M;", 120_000, ErrLimit, "block [0 0 0] thread [0 0 0]: ptx line"},
		{"all trap", "trap;", 0, ErrTrap, "block [0 0 0] thread [0 0 0]"},
	} {
		m, err := Parse(fmt.Sprintf(spinKernel, c.text))
		if err != nil {
			t.Fatal(err)
		}
		alone := ""
		for _, workers := range []int{1, 2, 3, 16} {
			h := &heap{}
			out := upload(h, make([]uint32, 16<<10))
			_, err := m.Kernel("k").Run(h, Launch{Grid: [3]int{16, 1, 1}, Block: [3]int{1, 1, 1}, Args: []uint64{out}}, Options{Workers: workers, MaxInstructions: c.limit})
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%s, %d workers: %v, want %v with %q", c.name, workers, err, c.want, c.says)
			}
			if alone == "" {
				alone = err.Error()
			}
			if err.Error() != alone {
				t.Errorf("%s, %d workers: %v, and with one: %s", c.name, workers, err, alone)
			}
		}
	}
}

// TestBlocksAllRun: workers that wait for their turn leave no block out.
func TestBlocksAllRun(t *testing.T) {
	m, err := Parse(fmt.Sprintf(spinKernel, "add.u64 y, y, %rd0; mov.u32 %r2, 7; st.global.u32 [y], %r2;"))
	if err != nil {
		t.Fatal(err)
	}
	for _, workers := range []int{1, 2, 5, 16, 40} {
		h := &heap{}
		out := upload(h, make([]uint32, 16))
		s, err := m.Kernel("k").Run(h, Launch{Grid: [3]int{16, 1, 1}, Block: [3]int{1, 1, 1}, Args: []uint64{out}}, Options{Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range read[uint32](h, out, 16) {
			if v != 7 {
				t.Errorf("%d workers: block %d was left out", workers, i)
			}
		}
		// the loop, whose last branch is not taken, and 11 others
		if want := int64(16*17/2*800*3 + 16*10); s.Instructions != want {
			t.Errorf("%d workers: %d instructions, want %d", workers, s.Instructions, want)
		}
	}
}
