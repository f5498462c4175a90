// Command _gen writes the assembly of package cpukern. Each function does whole vectors only: the Go wrapper beside the
// generic twin handles what is left over, so that no kernel has to.
//
//	go run -C _gen . -out ../kernels_amd64.s -stubs ../kernels_amd64.go -pkg cpukern
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// programs write the functions, those of one file after another's.
var programs []func()

// assembly takes a file's programs.
func assembly(of ...func()) bool {
	programs = append(programs, of...)
	return true
}

func main() {
	ConstraintExpr("amd64")
	ConstraintExpr("!noasm")
	for _, write := range programs {
		write()
	}
	Generate()
}

// ptr loads a pointer argument.
func ptr(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

// scalar loads a float32 argument into every lane.
func scalar(name string) reg.VecVirtual {
	x := Load(Param(name), XMM()).(reg.VecVirtual)
	y := YMM()
	VBROADCASTSS(x, y)
	return y
}

// vectors is a whole function's loop over vectors of eight elements; sixteens (wide.go) has wider ones.
func vectors(n reg.Register, pointers []reg.GPVirtual, bytes []int, body func()) {
	widths[0].vectors(n, pointers, bytes, body)
	finish()
}

func at(p reg.Register, disp int) Mem { return Mem{Base: p, Disp: disp} }

// load is eight float32 in a register.
func load(m Mem) reg.VecVirtual {
	y := YMM()
	VMOVUPS(m, y)
	return y
}

// loadHalves is eight BF16 widened.
func loadHalves(m Mem) reg.VecVirtual {
	y := YMM()
	VPMOVZXWD(m, y)
	VPSLLD(Imm(16), y, y)
	return y
}

var constants = map[string]Mem{}

// constant is a vector with the same 32 bits in each lane, in read-only memory.
func constant(name string, v Constant) Mem {
	if m, ok := constants[name]; ok {
		return m
	}
	m := GLOBL(name, 8|16) // RODATA|NOPTR
	for i := range 8 {
		DATA(4*i, v)
	}
	constants[name] = m
	return m
}

// inRegister is a constant in a register, for loops.
func inRegister(m Mem) reg.VecVirtual { return load(m) }
