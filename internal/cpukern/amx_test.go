//go:build amd64 && !noasm

package cpukern

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"lomo/internal/tensor"
)

// TestPackTiles compares the panels of AMX, which need AVX-512 only, with their definitions.
func TestPackTiles(t *testing.T) {
	if !hasAVX512 {
		t.Skip("without AVX-512 panels for AMX are made by their definition")
	}
	s := newSource()
	for _, c := range []struct{ rows, depth int }{{1, 1}, {16, 32}, {32, 64}, {31, 33}, {48, 97}, {33, 31}, {70, 130}, {64, 2}} {
		for mode := range 4 {
			o := operand{along: mode&1 == 1, v: floats{half: true}}
			o.ld = max(c.rows, c.depth) + 5 + mode/2 // odd and even
			o.v.h = s.halves((max(c.rows, c.depth)+3)*o.ld, 1)
			rows, depth := roundUp(c.rows, tileRows), roundUp(ceilDiv(c.depth, 2), tileStep)
			got, want := make([]float32, rows*depth+16), make([]float32, rows*depth)
			name := fmt.Sprintf("%+v mode %d", c, mode)
			got[rows*depth] = 42
			packTilesA(got, &o, tileRows, 2, 2+c.rows, 1, 1+c.depth)
			for i := 0; i < rows; i += 16 {
				packTileGeneric(want[i/tileRows*tileRows*depth+i%tileRows*16:], &o, 2+i, 2+min(c.rows, i+16), 1, 1+c.depth)
			}
			same(t, "A "+name, got[:rows*depth], want)
			packTilesB(got, &o, tileRows, 2, 2+c.rows, 1, 1+c.depth)
			clear(want)
			for i := 0; i < rows; i += tileRows {
				packPairsGeneric(want[i*depth:][:tileRows*depth], &o, tileRows, 2+i, 2+min(c.rows, i+tileRows), 1, 1+c.depth)
			}
			same(t, "B "+name, got[:rows*depth], want)
			if got[rows*depth] != 42 {
				t.Fatalf("%s: written beyond the panels", name)
			}
		}
	}
}

// tileLevel is the level with tiles, or the test is skipped.
func tileLevel(t *testing.T) *kernels {
	t.Helper()
	for _, k := range levels() {
		if k.tiles != nil {
			return k
		}
	}
	t.Skip("the processor has no AMX: make test-amx carries its instructions out")
	return nil
}

// TestTiles compares products of packed panels with sums in float64, and looks beside the result.
func TestTiles(t *testing.T) {
	k, s := tileLevel(t).tiles, newSource()
	for _, c := range []struct{ rows, cols, depth int }{{32, 32, 16}, {64, 32, 32}, {32, 96, 48}, {96, 64, 192}} {
		for _, acc := range []bool{false, true} {
			a, b := tileOperand(s, c.rows, 2*c.depth), tileOperand(s, c.cols, 2*c.depth)
			pa, pb := make([]float32, c.rows*c.depth), make([]float32, c.cols*c.depth)
			k.packA(pa, &a, k.mr, 0, c.rows, 0, 2*c.depth)
			k.pack(pb, &b, k.nr, 0, c.cols, 0, 2*c.depth)
			ld := c.cols + 3
			got := s.floats(c.rows*ld, 1, false)
			old := slices.Clone(got)
			multiply := func(a left) {
				for j := 0; j < c.cols; j += k.nr {
					k.multiplyPanel(got[j:], ld, a, pb[j*c.depth:], c.rows, c.depth, acc)
				}
			}
			for where, rows := range map[string]left{"packed": {at: &pa[0]}, "in place": {a.v.at(0), 2 * a.ld}} {
				copy(got, old)
				multiply(rows)
				if at, off := worstTile(got, old, ld, c.cols, &a, &b, acc); off > 1 {
					t.Fatalf("%+v acc %v, %s: c[%d, %d] is off by %.2g times the bound", c, acc, where, at/ld, at%ld, off)
				}
			}
			// The seeded fault: an element of a panel with a wrong exponent must be seen.
			pb[len(pb)/2] = math.Float32frombits(math.Float32bits(pb[len(pb)/2]) ^ 1<<23)
			copy(got, old)
			multiply(left{at: &pa[0]})
			if _, off := worstTile(got, old, ld, c.cols, &a, &b, acc); off <= 1 {
				t.Fatalf("%+v acc %v: a wrong element of a panel was not noticed", c, acc)
			}
		}
	}
}

func tileOperand(s source, rows, depth int) operand {
	o := operand{ld: depth, along: true, v: floats{h: make([]uint16, rows*depth), half: true}}
	narrowGeneric(o.v.h, s.floats(rows*depth, 0, false))
	return o
}

// worstTile is where c differs most from c0 (with acc) plus a·b, in units of the bound: 1e-6 of the sum of the products' sizes (measured 2e-7).
func worstTile(c, c0 []float32, ld, cols int, a, b *operand, acc bool) (at int, off float64) {
	for i := range c {
		want, size := float64(c0[i]), 0.0
		if i%ld < cols {
			size = math.Abs(want)
			if !acc {
				want, size = 0, 0
			}
			for k := range a.ld {
				p := float64(tensor.BF16ToF32(a.v.h[i/ld*a.ld+k])) * float64(tensor.BF16ToF32(b.v.h[i%ld*b.ld+k]))
				want, size = want+p, size+math.Abs(p)
			}
		}
		if d := math.Abs(float64(c[i])-want) / (1e-6 * max(size, 1e-30)); d > off || d != d {
			at, off = i, d
		}
	}
	return at, off
}

// TestTileProducts runs the three layouts on BF16 with ragged sizes beside the generic level.
func TestTileProducts(t *testing.T) {
	k, s := tileLevel(t), newSource()
	d, g := openTest(t, Options{Level: k.level, Threads: 2}), openTest(t, Options{Level: "generic", Threads: 1})
	defer d.Close() //nolint:errcheck // a device of a test
	defer g.Close() //nolint:errcheck // a device of a test
	for _, c := range []benchShape{{5, 1, 1}, {33, 31, 65}, {97, 64, 100}, {40, 450, 33}, {200, 129, 260}} {
		x, w, dy := halfTensor(s, c.n, c.in), halfTensor(s, c.out, c.in), halfTensor(s, c.n, c.out)
		for _, p := range []struct {
			name       string
			rows, cols int
			run        func(d *Device, out tensor.Tensor)
		}{
			{"MatMul", c.n, c.out, func(d *Device, y tensor.Tensor) { d.MatMul(y, x, w, false) }},
			{"MatMulBackwardInput", c.n, c.in, func(d *Device, dx tensor.Tensor) { d.MatMulBackwardInput(dx, dy, w, true) }},
			{"OuterAdd", c.out, c.in, func(d *Device, g tensor.Tensor) { d.OuterAdd(g, dy, x, false) }},
		} {
			got, want := tensor.NewHost("got", tensor.F32, p.rows, p.cols), tensor.NewHost("want", tensor.F32, p.rows, p.cols)
			p.run(d, got)
			p.run(g, want)
			var mean float64
			for _, v := range want.F32s() {
				mean += math.Abs(float64(v)) / float64(want.Len())
			}
			for i, v := range want.F32s() { // measured 1e-6 of the mean size
				if off := math.Abs(float64(got.F32s()[i] - v)); !(off <= 4e-6*(mean+math.Abs(float64(v)))) {
					t.Fatalf("%s %+v: element %d is %g, generic %g, mean size %g", p.name, c, i, got.F32s()[i], v, mean)
				}
			}
		}
	}
}

func halfTensor(s source, rows, cols int) tensor.Tensor {
	x := tensor.NewHost("x", tensor.BF16, rows, cols)
	narrowGeneric(x.U16s(), s.floats(rows*cols, 0, false))
	return x
}

// TestEncodings has objdump read the instructions that are written as bytes: it must say what the comments say.
func TestEncodings(t *testing.T) {
	objdump, err := exec.LookPath("objdump")
	if err != nil {
		t.Skip("objdump is not installed")
	}
	text, err := os.ReadFile("kernels_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	code, comments := byteInstructions(t, string(text))
	if len(comments) < 30 {
		t.Fatalf("%d instructions written as bytes, want at least 30", len(comments))
	}
	if got := disassemble(t, objdump, code); !slices.Equal(got, comments) {
		t.Errorf("objdump reads\n%s\nthe comments say\n%s", strings.Join(got, "\n"), strings.Join(comments, "\n"))
	}
	code[len(code)-1] ^= 0x80 // the seeded fault
	if got := disassemble(t, objdump, code); slices.Equal(got, comments) {
		t.Error("a wrong byte was not noticed")
	}
}

// byteInstructions are the BYTE directives of the assembly and the comment above each group of them.
func byteInstructions(t *testing.T, text string) (code []byte, comments []string) {
	t.Helper()
	comment, inside := "", false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if after, ok := strings.CutPrefix(line, "// "); ok {
			comment, inside = after, false
			continue
		}
		if hex, ok := strings.CutPrefix(line, "BYTE $0x"); ok {
			b, err := strconv.ParseUint(hex, 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			if !inside {
				comments, inside = append(comments, comment), true
			}
			code = append(code, byte(b))
		}
	}
	return code, comments
}

// disassembled is a line of objdump: address, instruction.
var disassembled = regexp.MustCompile(`(?m)^\s*[0-9a-f]+:\t(.*?)\s*$`)

func disassemble(t *testing.T, objdump string, code []byte) (lines []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(path, code, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(objdump, "-D", "-b", "binary", "-m", "i386:x86-64", "--no-show-raw-insn", path).Output()
	if err != nil {
		t.Fatalf("objdump: %v", err)
	}
	for _, m := range disassembled.FindAllSubmatch(out, -1) {
		lines = append(lines, string(bytes.Join(bytes.Fields(m[1]), []byte(" "))))
	}
	return lines
}
