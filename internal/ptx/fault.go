package ptx

import (
	"errors"
	"fmt"
)

// What a Fault is about, for errors.Is.
var (
	ErrBounds     = errors.New("out of bounds")
	ErrMisaligned = errors.New("misaligned access")
	ErrUnwritten  = errors.New("read of unwritten shared memory")
	ErrRace       = errors.New("shared memory race")
	ErrGlobalRace = errors.New("race of a block's threads in global memory")
	ErrAsync      = errors.New("missing cp.async wait")
	ErrBlocks     = errors.New("blocks in conflict")
	ErrDeadlock   = errors.New("deadlock")
	ErrLimit      = errors.New("instruction limit")
	ErrTrap       = errors.New("trap")
	ErrUnknown    = errors.New("unknown instruction")
)

// Fault is an error of a running kernel, with its place.
type Fault struct {
	Kernel        string
	Block, Thread [3]int
	Line          int    // of the PTX text; 0 where no thread's instruction is at fault but the blocks together
	Source        string // file:line of the .cu where the PTX says so
	Instruction   string
	Err           error  // what it is about
	Text          string // what happened
}

func (f *Fault) Error() string {
	if f.Line == 0 {
		return fmt.Sprintf("kernel %s: block %v: %v: %s", f.Kernel, f.Block, f.Err, f.Text)
	}
	source := ""
	if f.Source != "" {
		source = " (" + f.Source + ")"
	}
	return fmt.Sprintf("kernel %s: block %v thread %v: ptx line %d%s: %s: %v: %s",
		f.Kernel, f.Block, f.Thread, f.Line, source, f.Instruction, f.Err, f.Text)
}

func (f *Fault) Unwrap() error { return f.Err }

// fault stops the launch: something is wrong with what a lane does at the instruction being run. It is recovered in block.run.
func (w *warp) fault(lane int, err error, format string, args ...any) {
	panic(w.newFault(lane, err, format, args...))
}

// later notes a fault that is reported at the next barrier or the end, unless a race explains it first: what has been read is
// then written by another thread.
func (w *warp) later(lane int, err error, format string, args ...any) {
	if w.b.pending == nil {
		w.b.pending = w.newFault(lane, err, format, args...)
	}
}

func (w *warp) newFault(lane int, err error, format string, args ...any) *Fault {
	f := &Fault{Err: err, Text: fmt.Sprintf(format, args...), Kernel: w.b.k.Name, Block: w.b.id, Thread: w.b.thread(w.id*32 + lane)}
	if w.in != nil && w.in.stmt != nil {
		f.Line, f.Source, f.Instruction = w.in.stmt.line, w.in.stmt.source, w.in.stmt.text()
	}
	return f
}

// thread is the %tid of the block's nth thread.
func (b *block) thread(n int) [3]int {
	d := b.l.Block
	return [3]int{n % d[0], n / d[0] % d[1], n / d[0] / d[1]}
}
