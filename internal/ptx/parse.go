package ptx

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
)

// Parse reads PTX text and decodes every instruction; those it does not know are errors, all of them named. Each call gives a
// module of its own, with its own variables, though a text is decoded once.
func Parse(src string) (*Module, error) {
	decoded.mu.Lock()
	defer decoded.mu.Unlock()
	if m := decoded.texts[src]; m != nil {
		return m.Clone(), nil
	}
	m, err := parse(src)
	if err != nil {
		return nil, fmt.Errorf("ptx: %w", err)
	}
	if len(decoded.texts) >= 64 {
		clear(decoded.texts)
	}
	decoded.texts[src] = m
	return m.Clone(), nil
}

// decoded are the texts decoded so far: every card loads the same ones.
var decoded = struct {
	mu    sync.Mutex
	texts map[string]*Module
}{texts: map[string]*Module{}}

func parse(src string) (*Module, error) {
	tokens, err := lex(src)
	if err != nil {
		return nil, err
	}
	p := &parser{src: src, tokens: tokens, mod: &Module{funcs: map[string]*function{}, files: map[string]string{}}}
	if err := p.module(); err != nil {
		return nil, fmt.Errorf("line %d: near %q: %w", p.peek().line, p.peek().text, err)
	}
	var unknown []error
	for _, f := range p.all {
		for _, s := range f.stmts {
			if no, line, ok := strings.Cut(s.source, ":"); ok {
				s.source = p.mod.files[no] + ":" + line
			}
		}
		unknown = append(unknown, decode(p.mod, f)...)
	}
	return p.mod, errors.Join(unknown...)
}

type parser struct {
	src    string
	tokens []token
	pos    int
	mod    *Module
	all    []*function
	fn     *function
	scope  *scope
	source string // of the last .loc
}

func (p *parser) peek() token { return p.tokens[p.pos] }

func (p *parser) next() token {
	t := p.tokens[p.pos]
	if t.kind != tokEnd {
		p.pos++
	}
	return t
}

// accept takes the next token if it reads text.
func (p *parser) accept(text string) bool {
	if t := p.peek(); t.text == text && t.kind != tokString && t.kind != tokEnd {
		p.pos++
		return true
	}
	return false
}

func (p *parser) want(text string) error {
	if !p.accept(text) {
		return fmt.Errorf("want %q", text)
	}
	return nil
}

func (p *parser) word() (string, error) {
	if t := p.peek(); t.kind != tokWord {
		return "", errors.New("want a name")
	}
	return p.next().text, nil
}

// restOfLine takes the tokens on the line of the one just taken.
func (p *parser) restOfLine() []token {
	line, start := p.tokens[p.pos-1].line, p.pos
	for p.peek().line == line && p.peek().kind != tokEnd {
		p.pos++
	}
	return p.tokens[start:p.pos]
}

func (p *parser) module() error {
	linkage := ""
	for p.peek().kind != tokEnd {
		word := p.next()
		switch word.text {
		case ".version", ".address_size":
			p.next()
		case ".target":
			p.restOfLine()
		case ".file":
			p.file()
		case ".loc":
			p.restOfLine()
		case ".pragma":
			p.skipPast(";")
		case ".section":
			p.skipPast("}")
		case ".visible", ".weak", ".extern", ".common":
			linkage = word.text
			continue
		case ".global", ".const", ".shared":
			p.pos--
			if err := p.variable(&p.mod.vars, nil, linkage == ".extern"); err != nil {
				return err
			}
		case ".entry", ".func":
			if err := p.function(word.text == ".entry"); err != nil {
				return err
			}
		default:
			p.pos--
			return errors.New("unknown directive")
		}
		linkage = ""
	}
	return nil
}

func (p *parser) skipPast(text string) {
	for p.peek().kind != tokEnd && p.next().text != text {
	}
}

// file notes  .file 1 "name.cu".
func (p *parser) file() {
	if rest := p.restOfLine(); len(rest) >= 2 {
		name := rest[1].text
		p.mod.files[rest[0].text] = name[strings.LastIndexByte(name, '/')+1:]
	}
}

// loc notes  .loc file line column.  Files are named at the end of the text.
func (p *parser) loc() {
	if rest := p.restOfLine(); len(rest) >= 2 {
		p.source = rest[0].text + ":" + rest[1].text
	}
}

// function parses from behind .entry or .func.
func (p *parser) function(entry bool) error {
	f := &function{entry: entry, consts: map[uint64]int{}, special: map[string]int{}, npreds: 1}
	own := &scope{up: &p.mod.vars}
	p.fn, p.scope, p.source = f, own, ""
	var err error
	if p.accept("(") {
		if f.results, err = p.params(own, f); err != nil {
			return err
		}
	}
	if f.name, err = p.word(); err != nil {
		return err
	}
	if p.accept("(") {
		if f.params, err = p.params(own, f); err != nil {
			return err
		}
	}
	for p.peek().text != "{" && p.peek().text != ";" {
		if err := p.functionDirective(f); err != nil {
			return err
		}
	}
	if p.accept(";") {
		return nil // a prototype: the body stands elsewhere or, .extern, nowhere
	}
	f.body = true
	f.base = f.newReg(64)
	for _, v := range p.mod.vars.names { // static shared variables of the module belong to every kernel
		if v.space == spShared && !v.ext {
			f.shared = max(f.shared, v.off+v.size)
		}
	}
	p.next()
	if err := p.body(f); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	p.all = append(p.all, f)
	p.mod.funcs[f.name] = f
	if entry {
		k := &Kernel{Name: f.name, Static: f.shared, MaxNTID: f.maxntid, fn: f, mod: p.mod}
		for _, v := range f.params {
			k.Params = append(k.Params, Param{v.name, v.size, v.align, v.off})
		}
		p.mod.kernels = append(p.mod.kernels, k)
	}
	return nil
}

// functionDirective is what may stand between the parameters and the body.
func (p *parser) functionDirective(f *function) error {
	switch t := p.next(); t.text {
	case ".maxntid", ".reqntid":
		f.maxntid = [3]int{1, 1, 1}
		for i := 0; i < 3; i++ {
			n, err := strconv.Atoi(p.next().text)
			if err != nil {
				return err
			}
			f.maxntid[i] = n
			if !p.accept(",") {
				break
			}
		}
	case ".minnctapersm", ".maxnreg", ".maxnctapersm":
		p.next()
	case ".noreturn":
	case ".pragma":
		p.skipPast(";")
	default:
		p.pos--
		return errors.New("unknown directive of a function")
	}
	return nil
}

// params parses a list of .param declarations, the opening parenthesis taken.
func (p *parser) params(s *scope, f *function) ([]*symbol, error) {
	var list []*symbol
	for !p.accept(")") {
		v, err := p.declaration()
		if err != nil {
			return nil, err
		}
		if v.space != spParam {
			return nil, fmt.Errorf("parameter %s is in space %s, want .param", v.name, v.space)
		}
		place(v, &f.paramSize)
		if err := s.add(v); err != nil {
			return nil, err
		}
		list = append(list, v)
		p.accept(",")
	}
	return list, nil
}

// place gives v the next aligned offset in a space that is size bytes long so far.
func place(v *symbol, size *int) {
	v.off = (*size + v.align - 1) / v.align * v.align
	*size = v.off + v.size
}

// declaration parses  .space .align n .v4 .type name[n][m],  leaving an initialiser or the end to the caller. The elements'
// width in bits is kept in width.
func (p *parser) declaration() (*symbol, error) {
	v := &symbol{align: 1}
	lanes := 1
	for p.peek().kind == tokWord && p.peek().text[0] == '.' {
		switch t := p.next().text; t {
		case ".global":
			v.space = spGlobal
		case ".const":
			v.space = spConst
		case ".shared":
			v.space = spShared
		case ".local":
			v.space = spLocal
		case ".param":
			v.space = spParam
		case ".align":
			n, err := strconv.Atoi(p.next().text)
			if err != nil || n < 1 || n > 1<<20 {
				return nil, errors.New("bad alignment")
			}
			v.align = n
		case ".ptr": // .ptr .space .align n says of what a pointer points to, not of the parameter
			for p.peek().text == ".global" || p.peek().text == ".const" || p.peek().text == ".shared" || p.peek().text == ".local" {
				p.next()
			}
			if p.accept(".align") {
				p.next()
			}
		case ".v2":
			lanes = 2
		case ".v4":
			lanes = 4
		case ".attribute":
			p.skipPast(")")
		default:
			ty, err := parseType(t[1:])
			if err != nil {
				return nil, err
			}
			v.width = max(ty.bits, 8)
		}
	}
	name, err := p.word()
	if err != nil {
		return nil, err
	}
	v.name, v.size = name, v.width/8*lanes
	v.align = max(v.align, v.size)
	for p.accept("[") {
		if p.accept("]") {
			v.ext, v.size = true, 0
			continue
		}
		n, err := strconv.Atoi(p.next().text)
		if err != nil {
			return nil, err
		}
		if v.size *= n; n < 0 || n > 1<<30 || v.size > 1<<26 {
			return nil, fmt.Errorf("%s is too large", v.name)
		}
		if err := p.want("]"); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// variable parses a declared variable with its initialiser and places it.
func (p *parser) variable(s *scope, f *function, extern bool) error {
	v, err := p.declaration()
	if err != nil {
		return err
	}
	switch {
	case v.space == spShared && v.ext:
		if f != nil {
			f.externs = append(f.externs, v)
		}
	case v.space == spShared && f == nil:
		size := 0
		for _, o := range p.mod.vars.names {
			if o.space == spShared {
				size = max(size, o.off+o.size)
			}
		}
		place(v, &size)
	case v.space == spShared:
		place(v, &f.shared)
	case v.space == spLocal && f != nil:
		place(v, &f.localSize)
	case v.space == spParam && f != nil:
		f.calls = true
		place(v, &f.paramSize)
	case v.space == spGlobal || v.space == spConst:
		if extern {
			return fmt.Errorf("%s is defined in another module", v.name)
		}
		size := len(p.mod.data)
		if place(v, &size); size > 1<<26 {
			return fmt.Errorf("%s: more than 64 MiB of variables", v.name)
		}
		p.mod.data = append(p.mod.data, make([]byte, size-len(p.mod.data))...)
	default:
		return fmt.Errorf("%s: space %s cannot be declared here", v.name, v.space)
	}
	if p.accept("=") {
		if err := p.initialise(v); err != nil {
			return err
		}
	}
	if err := s.add(v); err != nil {
		return err
	}
	return p.want(";")
}

// initialise writes the values behind = into the variable's bytes.
func (p *parser) initialise(v *symbol) error {
	at, step := v.off, v.width/8
	for depth := 0; ; {
		switch {
		case p.accept("{"):
			depth++
		case p.accept("}"):
			depth--
		case p.accept(","):
		default:
			n, err := p.number(v.width)
			if err != nil {
				return fmt.Errorf("initial value of %s: %w", v.name, err)
			}
			if at+step > v.off+v.size {
				return fmt.Errorf("%s has more values than it holds", v.name)
			}
			put(p.mod.data[at:at+step], n)
			at += step
		}
		if depth == 0 {
			return nil
		}
	}
}

// number parses a constant as bits of a width.
func (p *parser) number(bits int) (uint64, error) {
	minus := p.accept("-")
	t := p.next()
	if t.kind != tokNumber {
		return 0, errors.New("want a number")
	}
	imm, err := parseNumber(t.text)
	if err != nil {
		return 0, err
	}
	if minus {
		imm = imm.negated()
	}
	return imm.as(typ{kind: 'b', bits: bits}), nil
}

// number is a constant as it is written: an integer, or a float with the width of its own bits.
type number struct {
	bits  uint64
	float int // 0, 32, 64
}

func parseNumber(s string) (number, error) {
	low := strings.ToLower(s)
	switch {
	case strings.HasPrefix(low, "0f") && len(s) == 10:
		v, err := strconv.ParseUint(s[2:], 16, 32)
		return number{v, 32}, err
	case strings.HasPrefix(low, "0d") && len(s) == 18:
		v, err := strconv.ParseUint(s[2:], 16, 64)
		return number{v, 64}, err
	case strings.Contains(s, "."):
		v, err := strconv.ParseFloat(s, 64)
		return number{math.Float64bits(v), 64}, err
	}
	v, err := strconv.ParseUint(strings.TrimRight(low, "u"), 0, 64)
	return number{v, 0}, err
}

func (n number) negated() number {
	switch n.float {
	case 32:
		return number{n.bits ^ 1<<31, 32}
	case 64:
		return number{n.bits ^ 1<<63, 64}
	}
	return number{-n.bits, 0}
}

// as is the constant in the bits of a type.
func (n number) as(t typ) uint64 {
	switch {
	case n.float == 64 && t.kind == 'f' && t.bits == 32:
		return uint64(math.Float32bits(float32(math.Float64frombits(n.bits))))
	case n.float == 32 && t.kind == 'f' && t.bits == 64:
		return math.Float64bits(float64(math.Float32frombits(uint32(n.bits))))
	}
	return n.bits & mask(t.bits)
}

func put(b []byte, v uint64) {
	for i := range b {
		b[i] = byte(v >> (8 * i))
	}
}
