package cpukern

import (
	"fmt"
	"slices"
	"strings"

	"lomo/internal/suggest"
)

// kernels is one level of the machine: the functions in which time is spent. The comment at each generic twin is the definition.
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

	philox func(dst []uint16, s *stream, block uint64)
	sumSq  func(x []float32) float64

	rowKernels
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
