package ptx

import (
	"fmt"
	"slices"
	"strings"
)

// decoder turns one statement into an instruction. Its methods report what does not fit by a panic with badInstr.
type decoder struct {
	mod  *Module
	fn   *function
	s    *stmt
	mods []string // modifiers not yet looked at
	in   instr
}

type badInstr struct{ text string }

func (d *decoder) fail(format string, args ...any) { panic(badInstr{fmt.Sprintf(format, args...)}) }

// decode decodes a function's statements. The errors name instructions that are not known or not in a known form.
func decode(m *Module, f *function) []error {
	var errs []error
	for _, s := range f.stmts {
		in, err := decodeOne(m, f, s)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: line %d: %s: %w: %s", f.name, s.line, s.text(), ErrUnknown, err.text))
		}
		f.code = append(f.code, in)
	}
	f.code = append(f.code, instr{kind: ret, pred: -1, stmt: &stmt{op: "ret", raw: "end of the function", pred: -1}})
	f.finish()
	return errs
}

func decodeOne(m *Module, f *function, s *stmt) (in instr, err *badInstr) {
	defer func() {
		if r := recover(); r != nil {
			b, ok := r.(badInstr)
			if !ok {
				panic(r)
			}
			err = &b
		}
	}()
	parts := strings.Split(s.op, ".")
	d := &decoder{mod: m, fn: f, s: s, mods: parts[1:], in: instr{pred: s.pred, negated: s.negated, stmt: s}}
	if strings.HasPrefix(s.op, ".") { // .branchtargets
		d.in.run = func(*warp, uint32) {}
		return d.in, nil
	}
	how, ok := decoders[parts[0]]
	if !ok {
		d.fail("no such opcode")
	}
	how(d)
	if len(d.mods) > 0 {
		d.fail("modifier .%s", d.mods[0])
	}
	return d.in, nil
}

var decoders map[string]func(*decoder)

func init() {
	decoders = map[string]func(*decoder){}
	for _, table := range []map[string]func(*decoder){intOps, floatOps, moveOps, memoryOps, controlOps, warpOps, matrixOps} {
		for name, how := range table {
			decoders[name] = how
		}
	}
}

// has takes a modifier, wherever it stands.
func (d *decoder) has(name string) bool {
	i := slices.Index(d.mods, name)
	if i < 0 {
		return false
	}
	d.mods = slices.Delete(d.mods, i, i+1)
	return true
}

// one takes whichever of the modifiers is there, "" if none.
func (d *decoder) one(names ...string) string {
	for _, n := range names {
		if d.has(n) {
			return n
		}
	}
	return ""
}

// ignore takes modifiers that change nothing here: cache hints and the like.
func (d *decoder) ignore(names ...string) {
	for _, n := range names {
		d.has(n)
	}
}

// typ takes the next modifier as a type.
func (d *decoder) typ() typ {
	if len(d.mods) == 0 {
		d.fail("no type")
	}
	t, err := parseType(d.mods[0])
	if err != nil {
		d.fail("%v", err)
	}
	d.mods = d.mods[1:]
	return t
}

func (d *decoder) arg(i int) operand {
	if i >= len(d.s.args) {
		d.fail("%d operands, want more", len(d.s.args))
	}
	return d.s.args[i]
}

func (d *decoder) args(n ...int) int {
	if !slices.Contains(n, len(d.s.args)) {
		d.fail("%d operands, want %v", len(d.s.args), n)
	}
	return len(d.s.args)
}

// src is the register that holds operand i.
func (d *decoder) src(i int, t typ) int { return d.source(d.arg(i), t) }

func (d *decoder) source(o operand, t typ) int {
	switch o.kind {
	case opReg:
		if o.sym.width < t.bits {
			d.fail("register %s has %d bits, want %d", o.name, o.sym.width, t.bits)
		}
		return o.sym.index
	case opNumber:
		return d.fn.constant(o.num.as(t))
	case opSpecial:
		return d.specialReg(o.name)
	case opSymbol:
		return d.address(o)
	}
	d.fail("operand is no value")
	return 0
}

// address is the register that holds a variable's address plus the operand's offset.
func (d *decoder) address(o operand) int {
	if o.sym == nil || o.sym.isLab {
		d.fail("%s is not declared", o.name)
	}
	v := o.sym
	off := uint64(int64(v.off) + o.offset)
	switch v.space {
	case spGlobal, spConst:
		return d.fn.constant(moduleBase + off)
	case spShared:
		if v.ext {
			if o.offset != 0 {
				d.fail("offset to dynamic shared memory")
			}
			return d.specialReg("%dynamic")
		}
		return d.fn.constant(off)
	case spParam:
		return d.fn.constant(off)
	case spLocal:
		return d.localReg(off)
	}
	d.fail("%s has no address", o.name)
	return 0
}

// localReg holds the address of a byte of the frame's local memory. Kernels' frames begin at 0.
func (d *decoder) localReg(off uint64) int {
	switch {
	case d.fn.entry:
		return d.fn.constant(off)
	case off != 0:
		d.fail("a local variable that is not the first of a device function")
	}
	return d.fn.base
}

// dst is the register that operand i names, a spare one for _.
func (d *decoder) dst(i int, t typ) int { return d.dest(d.arg(i), t) }

func (d *decoder) dest(o operand, t typ) int {
	switch o.kind {
	case opReg:
		if o.sym.width < t.bits {
			d.fail("register %s has %d bits, want %d", o.name, o.sym.width, t.bits)
		}
		return o.sym.index
	case opSink:
		return d.fn.newReg(64)
	}
	d.fail("destination %s is no register", o.name)
	return 0
}

// width is the bits of a destination register.
func (d *decoder) width(o operand) int {
	if o.kind == opReg {
		return o.sym.width
	}
	return 64
}

// pred is the predicate that operand o names; negated where it is !p.
func (d *decoder) pred(o operand) (index int, negated bool) {
	switch {
	case o.kind == opPred:
		return o.sym.index, o.negated
	case o.kind == opNumber: // a constant truth
		p := d.truth()
		return p, (o.num.bits != 0) == o.negated
	}
	d.fail("%s is no predicate", o.name)
	return 0, false
}

// truth is a predicate that is always true: special sets it.
func (d *decoder) truth() int { return 0 }

// predDst is the predicate that operand o names, a spare one for _.
func (d *decoder) predDst(o operand) int {
	switch o.kind {
	case opPred:
		return o.sym.index
	case opSink:
		d.fn.npreds++
		return d.fn.npreds - 1
	}
	d.fail("%s is no predicate", o.name)
	return 0
}

// spaceMod takes a state space modifier.
func (d *decoder) space() space {
	for i, name := range []string{"global", "shared", "local", "param", "const"} {
		if d.has(name) || name == "shared" && (d.has("shared::cta")) || name == "param" && (d.has("param::entry") || d.has("param::func")) {
			return space(i + 1)
		}
	}
	return spGeneric
}
