package ptx

import "math/bits"

var controlOps = map[string]func(*decoder){
	"bra": bra, "brx": brx, "call": callFunc, "ret": leave, "exit": leave, "bar": bar, "barrier": bar,
	"membar": nothing, "fence": nothing, "nanosleep": nothing, "pmevent": nothing, "trap": trap, "brkpt": trap, "griddepcontrol": nothing,
}

func nothing(d *decoder) { d.mods = nil; d.in.run = func(*warp, uint32) {} }

// labelled is the instruction a label names, looked up from the scope of its use.
func (d *decoder) labelled(o operand) int {
	v := o.scope.find(o.name)
	if v == nil || !v.isLab {
		d.fail("label %s is not there", o.name)
	}
	return v.label
}

func bra(d *decoder) {
	d.has("uni")
	d.args(1)
	d.in.kind, d.in.target = branch, d.labelled(d.arg(0))
}

func brx(d *decoder) {
	d.has("idx")
	d.has("uni")
	d.args(2)
	d.in.kind, d.in.target = branchTable, d.src(0, typ{kind: 'u', bits: 32})
	if list := d.arg(1); list.kind == opVector {
		for _, o := range list.list {
			d.in.table = append(d.in.table, d.labelled(o))
		}
		return
	}
	at := d.labelled(d.arg(1))
	if at == len(d.fn.stmts) {
		d.fail("%s is no list of targets", d.arg(1).name)
	}
	s := d.fn.stmts[at]
	if s.op != ".branchtargets" {
		d.fail("%s is no list of targets", d.arg(1).name)
	}
	for _, o := range s.targets {
		d.in.table = append(d.in.table, d.labelled(o))
	}
}

func leave(d *decoder) {
	d.has("uni")
	d.args(0)
	if d.in.kind = ret; opcode(d) == "exit" {
		d.in.kind = exit
	}
}

func trap(d *decoder) {
	d.in.run = func(w *warp, m uint32) { w.fault(bits.TrailingZeros32(m), ErrTrap, "the kernel gave up") }
}

// callFunc decodes  call.uni (result), name, (a, b).
func callFunc(d *decoder) {
	d.has("uni")
	op := &callOp{}
	args := d.s.args
	if len(args) > 0 && args[0].kind == opList {
		op.results = d.paramList(args[0])
		args = args[1:]
	}
	if len(args) == 0 || len(args) > 2 || args[0].kind != opSymbol {
		d.fail("form of the call")
	}
	op.name = args[0].name
	if len(args) == 2 {
		op.args = d.paramList(args[1])
	}
	if fn := d.mod.funcs[op.name]; fn != nil {
		if len(fn.params) != len(op.args) || len(fn.results) != len(op.results) {
			d.fail("%d arguments and %d results, want %d and %d", len(op.args), len(op.results), len(fn.params), len(fn.results))
		}
		op.fn = fn
	}
	d.in.kind, d.in.call = call, op
}

func (d *decoder) paramList(o operand) []*symbol {
	var list []*symbol
	for _, a := range o.list {
		if a.sym == nil || a.sym.space != spParam {
			d.fail("argument %s is no .param", a.name)
		}
		list = append(list, a.sym)
	}
	return list
}

// bar decodes bar.sync, bar.arrive, bar.red, bar.warp.sync and the barrier forms of the same.
func bar(d *decoder) {
	u32 := typ{kind: 'u', bits: 32}
	if d.has("warp") {
		d.has("sync")
		d.args(1)
		mask := d.src(0, u32)
		d.in.kind, d.in.need = together, memberMask(mask)
		d.in.run = func(w *warp, m uint32) { w.syncLanes(mask, m) }
		return
	}
	d.has("cta")
	op := &barrierOp{threads: -1, aligned: opcode(d) == "bar" || d.has("aligned")}
	d.has("aligned")
	first := 0
	switch d.one("sync", "arrive", "red") {
	case "arrive":
		op.arrive = true
	case "red":
		first = 1
		switch d.one("popc", "and", "or") {
		case "popc":
			d.has("u32")
			op.red, op.dst = 'p', d.dst(0, u32)
		case "and":
			d.has("pred")
			op.red, op.dst = 'a', d.predDst(d.arg(0))
		default:
			d.has("pred")
			op.red, op.dst = 'o', d.predDst(d.arg(0))
		}
		op.src, op.negated = d.pred(d.arg(len(d.s.args) - 1))
	}
	op.id = d.src(first, u32)
	rest := len(d.s.args) - first
	if op.red != 0 {
		rest--
	}
	if rest == 2 {
		op.threads = d.src(first+1, u32)
	}
	d.in.kind, d.in.bar = barrier, op
}
