package jinja

import (
	"fmt"
	"time"
)

// Limits bound what a rendering may do. Zero fields take their default.
type Limits struct {
	Bytes int // bytes worked on: all that is made, copied, compared or searched. Default: 16 MiB and 64 for each byte of the variables.
	Steps int // expressions and statements evaluated. Default: 2 million and 16 for each byte of the variables.
	Depth int // macros, recursive loops and values inside each other. Default: 150.
}

// Limits on the source of a template.
const (
	maxSource = 1 << 20 // bytes
	maxTokens = 100000  // words, signs and texts; each costs some 200 bytes once it is parsed
	maxCopied = 1 << 20 // names that branches of ifs take over from what is around them
	maxNested = 100     // brackets, blocks and operators inside each other
	maxChain  = 2000    // operators of one chain, such as a + b + c
)

const (
	defaultBytes  = 16 << 20
	defaultSteps  = 2 << 20
	defaultDepth  = 150
	bytesPerInput = 64
	stepsPerInput = 16
	maxRange      = 100000  // jinja2's sandbox has this limit
	maxBits       = 1 << 16 // of an integer
	maxDigits     = 4300    // Python prints and reads no longer integer
)

// state is one rendering.
type state struct {
	limits Limits
	bytes  int // left
	steps  int // left
	depth  int
	line   int32
	now    time.Time
	vars   *Dict
	out    *builder
	// captured counts the buffers that stand between the output and the text: macros, set blocks, filters.
	captured   int
	generation [][2]int
	path       []*Dict // dictionaries that are being printed
}

// failure is the panic that an error of a template is inside this package.
type failure struct {
	message string
	raised  bool // by raise_exception
	line    int32
}

// fail ends the rendering.
func (st *state) fail(format string, a ...any) {
	panic(&failure{message: fmt.Sprintf(format, a...), line: st.line})
}

// pay takes n bytes from the budget.
func (st *state) pay(n int) {
	if st.bytes -= n; st.bytes < 0 {
		st.fail("the template works on too many bytes")
	}
}

// payTimes takes n pieces of size bytes, whose product may overflow.
func (st *state) payTimes(size, n int) {
	if size > 0 && n > st.bytes/size {
		st.bytes = -1
	}
	st.pay(size * max(n, 0))
}

// step counts one evaluation.
func (st *state) step() {
	if st.steps--; st.steps < 0 {
		st.fail("the template takes too many steps")
	}
}

// enter goes one level deeper; the function that it gives back leaves it.
func (st *state) enter(what string) func() {
	if st.depth++; st.depth > st.limits.Depth {
		st.fail("%s: more than %d levels inside each other", what, st.limits.Depth)
	}
	return st.leave
}

func (st *state) leave() { st.depth-- }
