package ptx

import (
	"fmt"
	"slices"
)

// Module is parsed PTX with the storage of its .global and .const variables: one card's copy, as if loaded there.
type Module struct {
	kernels []*Kernel
	funcs   map[string]*function
	vars    scope
	data    []byte // .global and .const variables, at moduleBase
	files   map[string]string
	mu      atomicLock // atomics on global memory, one at a time over all blocks
}

// Kernel is an .entry of a module.
type Kernel struct {
	Name    string
	Params  []Param
	Static  int    // bytes of statically declared shared memory
	MaxNTID [3]int // the block the kernel was compiled for, zero where nothing is said
	fn      *function
	mod     *Module
	blocks  blocks
}

// Param is where a parameter lies in the kernel's parameter space, in bytes.
type Param struct {
	Name                string
	Size, Align, Offset int
}

// Clone is the module as another card loads it: the same code, with variables of its own that hold what m's do now.
func (m *Module) Clone() *Module {
	n := &Module{funcs: m.funcs, files: m.files, data: slices.Clone(m.data)}
	for _, k := range m.kernels {
		n.kernels = append(n.kernels, &Kernel{Name: k.Name, Params: k.Params, Static: k.Static, MaxNTID: k.MaxNTID, fn: k.fn, mod: n})
	}
	return n
}

// Kernel is the kernel of that name, nil if there is none.
func (m *Module) Kernel(name string) *Kernel {
	for _, k := range m.kernels {
		if k.Name == name {
			return k
		}
	}
	return nil
}

// Kernels are all kernels in the order of the text.
func (m *Module) Kernels() []*Kernel { return m.kernels }

// space is a state space of PTX.
type space uint8

const (
	spGeneric space = iota
	spGlobal
	spShared
	spLocal
	spParam
	spConst
	spReg
)

func (s space) String() string {
	return [...]string{"generic", "global", "shared", "local", "param", "const", "reg"}[s]
}

// Generic addresses above these belong to a space other than global memory. Addresses of .global and .const variables are
// always in their window.
const (
	moduleBase = uint64(1) << 60
	sharedBase = uint64(1) << 61
	localBase  = uint64(1) << 62
)

// symbol is what a name stands for: a register, a predicate, a variable or a label.
type symbol struct {
	name  string
	space space
	pred  bool
	width int // bits of a register
	index int // register or predicate number
	off   int // of a variable in its space
	size  int
	align int
	ext   bool // .extern .shared array: begins behind the static variables
	vars  []int
	label int // instruction number
	isLab bool
}

// scope is the names declared between two braces.
type scope struct {
	names map[string]*symbol
	up    *scope
}

func (s *scope) find(name string) *symbol {
	for ; s != nil; s = s.up {
		if v := s.names[name]; v != nil {
			return v
		}
	}
	return nil
}

func (s *scope) add(v *symbol) error {
	if s.names == nil {
		s.names = map[string]*symbol{}
	}
	if s.names[v.name] != nil {
		return fmt.Errorf("%s is declared twice", v.name)
	}
	s.names[v.name] = v
	return nil
}

// function is an .entry or a .func: its registers, its spaces, its code.
type function struct {
	name    string
	entry   bool
	params  []*symbol
	results []*symbol
	body    bool

	nregs   int
	npreds  int
	widths  []int          // bits of each register
	consts  map[uint64]int // constant -> the register that holds it
	special map[string]int // special register -> the register that holds it
	init    [][32]uint64   // registers at the start: constants, the rest a NaN
	base    int            // register that holds the frame's first byte of local memory

	paramSize int
	calls     bool // its body declares parameters of calls
	localSize int
	shared    int // static bytes
	externs   []*symbol
	maxntid   [3]int

	stmts []*stmt
	code  []instr
}

// poison is what registers start as: no kernel may depend on it, a float32, float64 or bfloat16 sees a NaN.
const poison = 0x7fffdead7fffdead

func (f *function) newReg(width int) int {
	f.nregs++
	f.widths = append(f.widths, width)
	return f.nregs - 1
}

// constant is the register that holds v in all lanes.
func (f *function) constant(v uint64) int {
	r, ok := f.consts[v]
	if !ok {
		r = f.newReg(64)
		f.consts[v] = r
	}
	return r
}

// finish lays out the registers as they are when the function is entered.
func (f *function) finish() {
	f.init = make([][32]uint64, f.nregs)
	for i := range f.init {
		fill(&f.init[i], poison&mask(f.widths[i]))
	}
	for v, r := range f.consts {
		fill(&f.init[r], v)
	}
}

func fill(r *[32]uint64, v uint64) {
	for i := range r {
		r[i] = v
	}
}

// mask has the low bits of a width set.
func mask(bits int) uint64 {
	if bits >= 64 {
		return ^uint64(0)
	}
	return 1<<bits - 1
}
