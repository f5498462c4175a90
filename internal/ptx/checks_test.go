package ptx

import (
	"errors"
	"math"
	"strings"
	"testing"
)

// TestChecks runs kernels in pairs: the right one passes and computes what it must, the one with a seeded fault fails with the
// error that is about it. Sources: testdata/checks.cu.
func TestChecks(t *testing.T) {
	m := parseFile(t, "checks.ptx")
	for _, c := range []struct {
		kernel      string
		grid, block int
		want        error  // nil: it passes
		says        string // part of the message
	}{
		{"reverse", 1, 256, nil, ""},
		{"reverse_no_barrier", 1, 256, ErrRace, "was read by a thread of warp"},
		{"reverse_warp", 1, 32, nil, ""},
		{"reverse_warp", 1, 64, ErrRace, "no barrier since"},
		{"reverse_no_barrier", 1, 32, ErrRace, "no barrier since"},
		{"reverse_divergent", 1, 64, ErrDeadlock, "wait for others that never come"},
		{"reverse_left", 1, 64, ErrDeadlock, "have exited"},
		{"reverse_some_warps", 1, 128, ErrDeadlock, "wait for others that never come"},
		{"tiles", 1, 64, nil, ""},
		{"tiles_no_barrier", 1, 64, ErrRace, "was read by"},
		{"copied", 1, 64, nil, ""},
		{"copied_no_wait", 1, 64, ErrAsync, "has not been waited for"},
		{"copied_wait_too_few", 1, 64, ErrAsync, "has not been waited for"},
		{"copied_no_barrier", 1, 64, ErrRace, "was read by a thread of warp"},
		{"copied_no_barrier", 1, 32, ErrAsync, "no barrier since its wait"},
		{"copied_own", 1, 64, nil, ""},
		{"copied_own_no_wait", 1, 64, ErrAsync, "has not been waited for"},
		{"stages", 1, 32, nil, ""},
		{"stages_wait_too_few", 1, 32, ErrAsync, "has not been waited for"},
		{"doubled", 3, 64, nil, ""},
		{"doubled_bounds", 4, 64, ErrBounds, "no allocation holds 4 bytes"},
		{"pairs", 1, 32, nil, ""},
		{"pairs_misaligned", 1, 32, ErrMisaligned, "for 8 bytes"},
		{"shared_pairs", 1, 64, nil, ""},
		{"shared_pairs_misaligned", 1, 64, ErrMisaligned, "for 8 bytes"},
		{"shared_index", 1, 64, nil, ""},
		{"shared_index_bounds", 1, 64, ErrBounds, "shared memory bytes 240 to 243 of 240"},
		{"winner", 1, 64, nil, ""},
		{"winner_race", 1, 64, ErrRace, "was written by thread [0 0 0] too"},
		{"winner_unwritten", 1, 64, ErrUnwritten, "shared byte 4"},
		{"warp_sum", 1, 32, nil, ""},
		{"warp_sum_halves", 1, 32, nil, ""},
		{"warp_sum_race", 1, 32, ErrRace, "nothing orders the lanes"},
		{"total", 4, 64, nil, ""},
		{"total_blocks", 1, 64, nil, ""},
		{"total_blocks", 2, 64, ErrBlocks, "which block [0 0 0] writes"},
		{"neighbours", 4, 1, nil, ""},
		{"neighbours_in_place", 4, 1, ErrBlocks, "in the same launch"},
		{"leave", 1, 32, nil, ""},
		{"leave_deadlock", 1, 32, ErrDeadlock, "lanes 0000ffff wait at line"},
		{"handover", 1, 64, nil, ""},
		{"handover_deadlock", 1, 64, ErrDeadlock, "wait for others that never come"},
		{"handover_race", 1, 64, ErrRace, ""},
		{"shift", 1, 64, nil, ""},
		{"shift_no_barrier", 1, 64, ErrGlobalRace, "was read by"},
		{"shift_no_barrier", 1, 32, ErrGlobalRace, "nothing orders the lanes"},
		{"spread", 1, 64, nil, ""},
		{"spread_no_barrier", 1, 64, ErrGlobalRace, "nothing orders the lanes"},
		{"endless", 1, 32, ErrLimit, "the launch may take 1000000"},
		{"gives_up", 1, 32, ErrTrap, ""},
		{"turns", 1, 32, nil, ""},
	} {
		for _, workers := range []int{1, 3} {
			err := check(t, m, c.kernel, c.grid, c.block, workers)
			if c.want == nil && err != nil || !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s on %d blocks of %d: %v, want %v with %q", c.kernel, c.grid, c.block, err, c.want, c.says)
				break
			}
			var f *Fault
			if errors.As(err, &f) && (f.Line == 0 || !strings.HasPrefix(f.Source, "checks.cu:") || f.Instruction == "") {
				t.Errorf("%s: the fault does not say where: %v", c.kernel, err)
			}
		}
	}
}

// check runs a kernel of checks.cu on fresh memory and compares what the right ones compute.
func check(t *testing.T, m *Module, kernel string, grid, block, workers int) error {
	h := &heap{}
	x := make([]float32, 1024)
	for i := range x {
		x[i] = float32(i + 1)
	}
	n := 1024
	var args []uint64
	y, px := upload(h, make([]float32, 1024)), upload(h, x)
	base, _, _ := strings.Cut(kernel, "_")
	switch base {
	case "tiles":
		n = 5
		args = []uint64{y, px, 5}
	case "stages":
		n = 7
		args = []uint64{y, px, 7}
	case "doubled":
		n = grid*block - 10
		y, px = upload(h, make([]float32, n)), upload(h, x[:n])
		args = []uint64{y, px, uint64(n)}
	case "shift":
		y = px
		args = []uint64{y}
	case "total", "leave", "endless", "gives", "turns":
		args = []uint64{y}
	case "neighbours":
		if args = []uint64{y, px}; kernel == "neighbours_in_place" {
			kernel, args = "neighbours", []uint64{px, px}
		}
	default:
		args = []uint64{y, px}
	}
	if k := m.Kernel(kernel); k == nil {
		t.Fatalf("no kernel %s", kernel)
	}
	_, err := m.Kernel(kernel).Run(h, Launch{Grid: [3]int{grid, 1, 1}, Block: [3]int{block, 1, 1}, Args: args}, Options{Workers: workers, MaxInstructions: 1e6})
	if err != nil {
		return err
	}
	want := expected(base, grid, block, n)
	for i, v := range read[float32](h, y, min(len(want), n)) {
		if v != want[i] {
			t.Errorf("%s: element %d is %v, want %v", kernel, i, v, want[i])
			break
		}
	}
	return nil
}

// expected is what a right kernel leaves in y for x = 1, 2, 3, ...
func expected(base string, grid, block, n int) []float32 {
	y := make([]float32, 0, 1024)
	raw := func(v uint32) { y = append(y, math.Float32frombits(v)) }
	switch base {
	case "reverse", "handover":
		for i := range min(block, map[string]int{"handover": 32}[base]+block*int(truth(base == "reverse"))) {
			y = append(y, float32(map[bool]int{true: block, false: 32}[base == "reverse"]-i))
		}
	case "tiles":
		sum := float32(0)
		for i := range 64 * n {
			sum += float32(i + 1)
		}
		for range 64 {
			y = append(y, sum)
		}
	case "copied":
		for i := range 256 {
			y = append(y, float32(i+1))
		}
	case "stages":
		for i := range n {
			for j := range 32 {
				for k := range 4 {
					y = append(y, float32(128*i+4*(31-j)+k+1))
				}
			}
		}
		y = y[:min(len(y), n)]
	case "doubled":
		for i := range n {
			y = append(y, float32(2*(i+1)))
		}
	case "pairs":
		for i := range 64 {
			y = append(y, float32(i+3))
		}
	case "shared":
		if block == 64 {
			break
		}
	case "winner":
		raw(math.Float32bits(64))
	case "warp":
		for i := range 32 {
			y = append(y, map[bool]float32{true: 136, false: 392}[i < 16])
		}
	case "total":
		if grid == 4 {
			raw(4 * 64 * 65 / 2)
		} else {
			raw(7)
		}
	case "leave":
		for i := range uint32(16) {
			raw(i ^ 1)
		}
	case "shift":
		for i := range block {
			y = append(y, float32(i+2))
		}
	case "spread":
		for range block + 1 {
			y = append(y, 3)
		}
	case "turns":
		raw(0)
		raw(31 * 32 / 2)
	case "neighbours":
		for i := range grid {
			y = append(y, float32(i+1+(i+1)%grid+1))
		}
	}
	return y
}
