package cpukern

import (
	"fmt"
	"slices"
	"strings"

	"lomo/internal/suggest"
)

// kernels is one level of the machine: the functions in which time is spent. Slices of one call have the length of the
// first, any length, any alignment. The comment at each generic twin is the definition.
type kernels struct {
	level string // as in LOMO_CPU
	name  string // for people

	mr, nr int // the tile of micro, in rows and columns
	micro  func(k int, a, b, c *float32, ldc int, acc bool)
	direct func(k int, a *float32, lda int, b, c *float32, ldc int, acc bool) // micro for rows of A that lie lda bytes apart

	pack  func(dst []float32, o *operand, width, i0, i1, k0, k1 int)
	pairs *kernels // micro and pack for products of two BF16 factors; nil where the machine has no instruction for them (pairs_amd64.go)
	tiles *kernels // the same for products of whole matrices; nil where the machine has no tiles for them (amx_amd64.go)

	// What kernels for tiles have beside mr, nr and pack, which is B's there.
	packA func(dst []float32, o *operand, width, i0, i1, k0, k1 int)
	whole func(c []float32, ld int, a left, pb []float32, rows, depth int, acc bool) // multiplyPanel, instead of micro and direct
	peak  *spinner                                                                   // a loop that may measure the peak; nil: micro does
	step  int                                                                        // depths of panels are multiples of it; 0: any

	blockK int // elements of a panel, at most, in a block of the sum

	floatTiles, roundedTiles, pairTiles *tileKernels // attention's: for float32, for BF16 as such numbers, for pairs of it (nil as pairs is)

	prefetch func(p *byte, bytes, stride, rows int) // lines that will be written soon; nil: leave it to the processor

	dot   func(x, y []float32) float32
	dot16 func(x []float32, y []uint16) float32

	widen      func(dst []float32, src []uint16)
	narrow     func(dst []uint16, src []float32)
	stochastic func(dst []uint16, src []float32, noise []uint16)
	philox     func(dst []uint16, s *stream, block uint64)

	update       func(w, g []float32, s *stepConsts)
	updateHalves func(w []uint16, g []float32, noise []uint16, s *stepConsts)
	adam         func(w, m, v, g []float32, k *adam, c *stepConsts)
	squares      func(g []float32, c *stepConsts, eps float32) float32
	addSquares   func(sum, g []float32, c *stepConsts, eps float32)
	unit         func(u, g, cf []float32, c *stepConsts, rf float32)
	rsqrt        func(dst, x []float32)

	axpy     func(y, x []float32, a float32)
	scale    func(x []float32, a float32)
	mulScale func(dst, x, w []float32, a float32)
	dot3     func(x, y, z []float32) float32

	normInput  func(dx, dy, w, x []float32, r, back float32)
	normWeight func(sum, dy, x []float32, r float32)
	rotate     func(a, b, cos, sin []float32, sign float32)

	maximum func(x []float32) float32
	expSum  func(dst, x []float32, shift float32) float32

	silu, gelu gate // gate.go

	softCap         func(z []float32, inverse, limit float32)
	softCapBackward func(dz, z []float32, inverse float32)

	// The same where tensors are BF16: widened, made, and rounded to nearest in one pass (halves.go).
	axpyHalves     func(y []uint16, x []float32, a float32)
	mulScaleHalves func(dst []uint16, x, w []float32, a float32)
	rotateHalves   func(a, b []uint16, cos, sin []float32, sign float32)

	sumSq    func(x []float32) float64
	absMax   func(x []float32) uint32
	absMax16 func(x []uint16) uint32
}

// levels lists what this build and machine can run, the best last. The names a user may ask for are levelNames.
func levels() []*kernels {
	return append([]*kernels{genericKernels()}, archKernels()...)
}

var levelNames = []string{"generic", "avx2", "avx512", "amx"}

// Levels are the levels this machine can run, the best last.
func Levels() []string {
	var names []string
	for _, k := range levels() {
		names = append(names, k.level)
	}
	return names
}

// CheckLevel refuses a level, as LOMO_CPU names it, that is unknown or that this machine lacks; "" is the best it has.
func CheckLevel(name string) error {
	_, err := chooseLevel(name)
	return err
}

// LevelError is a level that cannot be had.
type LevelError struct{ Msg, Advice string }

func (e *LevelError) Error() string { return e.Msg }

// Hint is what to take.
func (e *LevelError) Hint() string { return e.Advice }

func chooseLevel(want string) (*kernels, error) {
	all := levels()
	if want == "" {
		return all[len(all)-1], nil
	}
	want = strings.ToLower(want)
	for _, k := range all {
		if k.level == want {
			return k, nil
		}
	}
	if !slices.Contains(levelNames, want) {
		advice := "leave it out: the best that the machine has is then taken"
		if near := suggest.Nearest(want, levelNames); near != "" {
			advice = fmt.Sprintf("did you mean %q?", near)
		}
		return nil, &LevelError{fmt.Sprintf("CPU level %q is unknown: want one of %s", want, strings.Join(levelNames, ", ")), advice}
	}
	return nil, &LevelError{fmt.Sprintf("CPU level %q: this machine or build cannot run it, only %s", want, strings.Join(Levels(), ", ")),
		"leave it out: " + all[len(all)-1].level + ", the best it has, is then taken"}
}
