package ptx

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// stmt is one instruction as it is written, its names resolved.
type stmt struct {
	op      string // opcode with modifiers
	args    []operand
	pred    int // predicate that guards it, -1 if none
	negated bool
	line    int
	source  string // file:line of the last .loc
	raw     string
	targets []operand // of brx.idx
}

// text is the instruction on one line.
func (s *stmt) text() string { return strings.Join(strings.Fields(s.raw), " ") }

type operandKind uint8

const (
	opNone operandKind = iota
	opReg
	opPred
	opNumber
	opVector  // {a, b}
	opAddress // [a+4]
	opSymbol  // address of a variable, or a label or function by name
	opSpecial // %tid.x
	opSink    // _
	opList    // (a, b) of a call
)

// operand is one argument of an instruction.
type operand struct {
	kind    operandKind
	sym     *symbol // register, predicate or variable
	name    string
	num     number
	negated bool // !p
	offset  int64
	list    []operand
	pair    *operand // the q of  p|q
	scope   *scope   // where a label is looked up
}

// body parses what stands between a function's braces, the first one taken.
func (p *parser) body(f *function) error {
	p.scope = &scope{up: p.scope}
	for depth := 1; depth > 0; {
		t := p.peek()
		if t.kind == tokEnd {
			return errors.New("function without end")
		}
		var err error
		switch {
		case p.accept("{"):
			p.scope = &scope{up: p.scope}
			depth++
		case p.accept("}"):
			p.scope = p.scope.up
			depth--
		case p.accept(";"):
		case t.kind == tokWord && t.text[0] == '.':
			err = p.bodyDirective(f)
		case t.kind == tokWord && p.tokens[p.pos+1].text == ":":
			err = p.label(f)
		default:
			err = p.statement(f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) bodyDirective(f *function) error {
	switch p.next().text {
	case ".loc":
		p.loc()
	case ".pragma":
		p.skipPast(";")
	case ".reg":
		return p.registers(f)
	case ".shared", ".local", ".param":
		p.pos--
		return p.variable(p.scope, f, false)
	default:
		p.pos--
		return errors.New("unknown directive in a function")
	}
	return nil
}

// registers parses  .reg .f32 %f<9>, x;  behind .reg.
func (p *parser) registers(f *function) error {
	ty, err := parseType(strings.TrimPrefix(p.next().text, "."))
	if err != nil {
		return err
	}
	for {
		name, err := p.word()
		if err != nil {
			return err
		}
		count := -1
		if p.accept("<") {
			if count, err = strconv.Atoi(p.next().text); err != nil || count < 0 || count+f.nregs+f.npreds > 1<<16 {
				return errors.New("bad number of registers")
			}
			if err := p.want(">"); err != nil {
				return err
			}
		}
		if err := p.addRegisters(f, ty, name, count); err != nil {
			return err
		}
		if !p.accept(",") {
			return p.want(";")
		}
	}
}

// addRegisters declares one register (count -1) or name0 to name(count-1).
func (p *parser) addRegisters(f *function, ty typ, name string, count int) error {
	add := func(name string) error {
		v := &symbol{name: name, space: spReg, width: ty.bits}
		if ty.kind == 'p' {
			v.pred, v.index = true, f.npreds
			f.npreds++
		} else {
			v.index = f.newReg(ty.bits)
		}
		return p.scope.add(v)
	}
	if count < 0 {
		return add(name)
	}
	for i := range count {
		if err := add(name + strconv.Itoa(i)); err != nil {
			return err
		}
	}
	return nil
}

// label notes where a label stands; of  name: .branchtargets a, b;  it notes the list.
func (p *parser) label(f *function) error {
	name := p.next().text
	p.next()
	v := &symbol{name: name, isLab: true, label: len(f.stmts)}
	if p.accept(".branchtargets") {
		list, err := p.operands(";")
		if err != nil {
			return err
		}
		f.stmts = append(f.stmts, &stmt{op: ".branchtargets", pred: -1, targets: list, line: p.peek().line})
	}
	return p.scope.add(v)
}

func (p *parser) statement(f *function) error {
	first := p.peek()
	s := &stmt{pred: -1, line: first.line, source: p.source}
	if p.accept("@") {
		s.negated = p.accept("!")
		name, err := p.word()
		if err != nil {
			return err
		}
		v := p.scope.find(name)
		if v == nil || !v.pred {
			return fmt.Errorf("%s is no predicate", name)
		}
		s.pred = v.index
	}
	var err error
	if s.op, err = p.word(); err != nil {
		return err
	}
	if s.args, err = p.operands(";"); err != nil {
		return fmt.Errorf("%s: %w", s.op, err)
	}
	s.raw = p.src[first.at:p.tokens[p.pos-1].at]
	f.stmts = append(f.stmts, s)
	return nil
}

// operands parses up to and with the closing mark.
func (p *parser) operands(end string) ([]operand, error) {
	var list []operand
	for !p.accept(end) {
		o, err := p.operand()
		if err != nil {
			return nil, err
		}
		list = append(list, o)
		if !p.accept(",") && p.peek().text != end {
			return nil, fmt.Errorf("want %q or a comma", end)
		}
	}
	return list, nil
}

func (p *parser) operand() (operand, error) {
	t := p.peek()
	switch {
	case p.accept("{"):
		list, err := p.operands("}")
		return operand{kind: opVector, list: list}, err
	case p.accept("("):
		list, err := p.operands(")")
		return operand{kind: opList, list: list}, err
	case p.accept("["):
		o, err := p.operand()
		if err != nil {
			return o, err
		}
		return operand{kind: opAddress, list: []operand{o}}, p.want("]")
	case p.accept("!"):
		o, err := p.operand()
		o.negated = true
		return o, err
	case t.text == "-" || t.kind == tokNumber:
		minus := p.accept("-")
		if p.peek().kind != tokNumber {
			return operand{}, errors.New("want a number behind -")
		}
		n, err := parseNumber(p.next().text)
		if minus {
			n = n.negated()
		}
		return operand{kind: opNumber, num: n}, err
	case t.kind == tokWord:
		return p.named()
	}
	return operand{}, errors.New("want an operand")
}

// named parses a name with what may follow it: +4, -4, |q.
func (p *parser) named() (operand, error) {
	name := p.next().text
	o := operand{name: name, sym: p.scope.find(name), scope: p.scope}
	switch {
	case name == "_":
		o.kind = opSink
	case name == "WARP_SZ":
		return operand{kind: opNumber, num: number{bits: 32}}, nil
	case o.sym != nil && o.sym.pred:
		o.kind = opPred
	case o.sym != nil && o.sym.space == spReg && !o.sym.isLab:
		o.kind = opReg
	case isSpecial(name):
		o.kind = opSpecial
	case name[0] == '%' && o.sym == nil:
		return o, fmt.Errorf("register %s is not declared", name)
	default:
		o.kind = opSymbol
	}
	for p.peek().text == "+" || p.peek().text == "-" {
		minus := p.next().text == "-"
		if p.accept("-") {
			minus = !minus
		}
		n, err := parseNumber(p.next().text)
		if err != nil {
			return o, err
		}
		if minus {
			n.bits = -n.bits
		}
		o.offset += int64(n.bits)
	}
	if p.accept("|") {
		q, err := p.named()
		if err != nil {
			return o, err
		}
		o.pair = &q
	}
	return o, nil
}
