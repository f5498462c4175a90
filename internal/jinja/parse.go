package jinja

import (
	"slices"
	"strings"
)

// parser builds the tree of a template from its tokens.
type parser struct {
	toks  []token
	at    int
	depth int
}

func (p *parser) cur() *token { return &p.toks[p.at] }

func (p *parser) look() *token { return &p.toks[min(p.at+1, len(p.toks)-1)] }

func (p *parser) next() *token {
	t := &p.toks[p.at]
	if t.kind != tEnd {
		p.at++
	}
	return t
}

func (p *parser) fail(format string, a ...any) { failAt(p.cur().line, format, a...) }

func (t *token) is(k kind, s string) bool { return t.kind == k && t.s == s }

func (p *parser) op(s string) bool { return p.cur().is(tOp, s) }

func (p *parser) name(s string) bool { return p.cur().is(tName, s) }

func (p *parser) skipOp(s string) bool {
	if p.op(s) {
		p.at++
		return true
	}
	return false
}

func (p *parser) skipName(s string) bool {
	if p.name(s) {
		p.at++
		return true
	}
	return false
}

func (p *parser) expectOp(s string) {
	if !p.skipOp(s) {
		p.fail("%s stands where %q is wanted", p.cur().describe(), s)
	}
}

func (p *parser) expectKind(k kind, what string) *token {
	if p.cur().kind != k {
		p.fail("%s stands where %s is wanted", p.cur().describe(), what)
	}
	return p.next()
}

func (p *parser) ident() *token { return p.expectKind(tName, "a name") }

func (t *token) describe() string {
	switch t.kind {
	case tEnd:
		return "the end of the template"
	case tVarEnd:
		return "}}"
	case tBlockEnd:
		return "%}"
	case tData:
		return "text"
	case tString:
		return "a string"
	case tInt, tFloat:
		return "a number"
	case tName:
		return "the name " + t.s
	}
	return `"` + t.s + `"`
}

// deeper guards everything that parses itself.
func (p *parser) deeper() func() {
	if p.depth++; p.depth > maxNested {
		p.fail("more than %d brackets, operators and blocks inside each other", maxNested)
	}
	return func() { p.depth-- }
}

func parse(toks []token) []stmt {
	p := &parser{toks: toks}
	return p.statements(nil)
}

// statements are those up to a block whose tag is one of ends, which is left to read.
func (p *parser) statements(ends []string) []stmt {
	defer p.deeper()()
	var body []stmt
	for {
		t := p.cur()
		switch t.kind {
		case tEnd:
			if ends != nil {
				p.fail("the template ends where {%% %s %%} is wanted", strings.Join(ends, " or "))
			}
			return body
		case tData:
			body = append(body, &dataNode{t.s})
			p.at++
		case tVarBegin:
			p.at++
			x := p.tuple(tupleOptions{cond: true})
			p.expectKind(tVarEnd, "}}")
			body = append(body, &outputNode{[]expr{x}, t.line})
		default:
			p.at++
			if p.cur().kind == tName && slices.Contains(ends, p.cur().s) {
				return body
			}
			body = append(body, p.statement())
			p.expectKind(tBlockEnd, "%}")
		}
	}
}

// block are the statements behind the end of the tag that is being read.
func (p *parser) block(ends ...string) []stmt {
	p.skipOp(":")
	p.expectKind(tBlockEnd, "%}")
	return p.statements(ends)
}

// lastBlock is a block whose end tag is read, too.
func (p *parser) lastBlock(end string) []stmt {
	body := p.block(end)
	p.at++
	return body
}

func (p *parser) statement() stmt {
	t := p.cur()
	if t.kind != tName {
		p.fail("%s stands where the name of a tag is wanted", t.describe())
	}
	p.at++
	switch t.s {
	case "for":
		return p.forLoop(t.line)
	case "if":
		return p.ifElse(t.line)
	case "set":
		return p.set(t.line)
	case "with":
		return p.with(t.line)
	case "macro":
		m := &macroNode{name: p.cur().s, line: t.line}
		m.target = p.storeName()
		p.signature(m)
		m.body = p.lastBlock("endmacro")
		return m
	case "call":
		n := &callBlockNode{body: &macroNode{name: "caller", line: t.line}, line: t.line}
		if p.op("(") {
			p.signature(n.body)
		}
		call, ok := p.expression().(*callNode)
		if !ok {
			failAt(t.line, "call: what follows is no call")
		}
		n.call = call
		n.body.body = p.lastBlock("endcall")
		return n
	case "filter":
		n := &filterBlockNode{line: t.line}
		n.filter = p.filter(nil, true)
		n.body = p.lastBlock("endfilter")
		return n
	case "print":
		n := &outputNode{line: t.line}
		for p.cur().kind != tBlockEnd {
			if n.items != nil {
				p.expectOp(",")
			}
			n.items = append(n.items, p.expression())
		}
		return n
	case "generation":
		n := &callBlockNode{body: &macroNode{name: "caller", line: t.line}, line: t.line, generation: true}
		n.body.body = p.lastBlock("endgeneration")
		return n
	case "break":
		return &loopControlNode{breakLoop, t.line}
	case "continue":
		return &loopControlNode{continueLoop, t.line}
	case "import", "from", "include", "extends", "block", "autoescape":
		failAt(t.line, "the tag %s is not supported", t.s)
	}
	if strings.HasPrefix(t.s, "end") || t.s == "else" || t.s == "elif" {
		failAt(t.line, "the tag %s has no block that it could belong to", t.s)
	}
	failAt(t.line, "unknown tag %s", t.s)
	return nil
}

func (p *parser) forLoop(line int32) stmt {
	n := &forNode{line: line}
	n.target = p.target(tupleOptions{simple: true, end: "in"})
	if !p.skipName("in") {
		p.fail("%s stands where \"in\" is wanted", p.cur().describe())
	}
	n.iter = p.tuple(tupleOptions{end: "recursive"})
	if p.skipName("if") {
		n.test = p.expression()
	}
	n.recursive = p.skipName("recursive")
	n.body = p.block("endfor", "else")
	if p.next().s == "else" {
		n.other = p.lastBlock("endfor")
	}
	return n
}

func (p *parser) ifElse(line int32) stmt {
	first := &ifNode{line: line}
	n := first
	for {
		n.test = p.tuple(tupleOptions{})
		n.body = p.block("elif", "else", "endif")
		t := p.next()
		switch t.s {
		case "elif":
			n = &ifNode{line: t.line}
			first.elifs = append(first.elifs, n)
			continue
		case "else":
			first.other = p.lastBlock("endif")
		}
		return first
	}
}

func (p *parser) set(line int32) stmt {
	target := p.target(tupleOptions{simple: true, namespace: true})
	if p.skipOp("=") {
		return &setNode{target, p.tuple(tupleOptions{cond: true}), line}
	}
	n := &setBlockNode{target: target, line: line}
	n.filter = p.filter(nil, false)
	n.body = p.lastBlock("endset")
	return n
}

func (p *parser) with(line int32) stmt {
	n := &withNode{line: line}
	for p.cur().kind != tBlockEnd {
		if n.targets != nil {
			p.expectOp(",")
		}
		target := p.target(tupleOptions{simple: true})
		setContext(target, param)
		n.targets = append(n.targets, target)
		p.expectOp("=")
		n.values = append(n.values, p.expression())
	}
	n.body = p.lastBlock("endwith")
	return n
}

func (p *parser) storeName() *nameNode {
	t := p.ident()
	n := &nameNode{name: t.s, ctx: store, line: t.line}
	if !assignable(n) {
		failAt(t.line, "cannot assign to %s", t.s)
	}
	return n
}

// signature reads the parameters of a macro or a call block.
func (p *parser) signature(m *macroNode) {
	p.expectOp("(")
	for !p.op(")") {
		if m.args != nil {
			p.expectOp(",")
		}
		arg := p.storeName()
		arg.ctx = param
		for _, other := range m.args {
			if other.name == arg.name {
				failAt(arg.line, "the parameter %s is given twice", arg.name)
			}
		}
		if p.skipOp("=") {
			m.defaults = append(m.defaults, p.expression())
		} else if m.defaults != nil {
			p.fail("a parameter without default follows one with a default")
		}
		m.args = append(m.args, arg)
	}
	p.expectOp(")")
}

func assignable(x expr) bool {
	switch n := x.(type) {
	case *nameNode:
		return !slices.Contains([]string{"true", "false", "none", "True", "False", "None"}, n.name)
	case *nsNode:
		return true
	case *tupleNode:
		return !slices.ContainsFunc(n.items, func(x expr) bool { return !assignable(x) })
	}
	return false
}

func setContext(x expr, c context) {
	switch n := x.(type) {
	case *nameNode:
		n.ctx = c
	case *tupleNode:
		n.ctx = c
		for _, item := range n.items {
			setContext(item, c)
		}
	}
}

// target is what is assigned to.
func (p *parser) target(o tupleOptions) expr {
	line := p.cur().line
	x := p.tuple(o)
	if !assignable(x) {
		failAt(line, "it cannot be assigned to")
	}
	setContext(x, store)
	return x
}

// tupleOptions say how a tuple without brackets is read.
type tupleOptions struct {
	simple    bool   // of names only
	namespace bool   // ns.name is a target, too
	cond      bool   // items may have an inline if
	end       string // a name that ends it
	brackets  bool   // it stands in brackets and may be empty
}

func (p *parser) tuple(o tupleOptions) expr {
	var items []expr
	isTuple := false
	for {
		if items != nil {
			p.expectOp(",")
		}
		if t := p.cur(); t.kind == tVarEnd || t.kind == tBlockEnd || t.is(tOp, ")") || o.end != "" && t.is(tName, o.end) {
			break
		}
		switch {
		case o.simple:
			items = append(items, p.primary(o.namespace))
		case o.cond || o.brackets:
			items = append(items, p.expression())
		default:
			items = append(items, p.or())
		}
		if !p.op(",") {
			break
		}
		isTuple = true
	}
	if !isTuple {
		if items != nil {
			return items[0]
		}
		if !o.brackets {
			p.fail("%s stands where an expression is wanted", p.cur().describe())
		}
	}
	return &tupleNode{items: items}
}

func (p *parser) expression() expr {
	defer p.deeper()()
	line := p.cur().line
	x := p.or()
	for p.skipName("if") {
		n := &condNode{test: p.or(), yes: x, line: line}
		if p.skipName("else") {
			n.no = p.expression()
		}
		x = n
		line = p.cur().line
	}
	return x
}

func (p *parser) or() expr {
	x := p.and()
	for p.skipName("or") {
		x = &orNode{x, p.and()}
	}
	return x
}

func (p *parser) and() expr {
	x := p.not()
	for p.skipName("and") {
		x = &andNode{x, p.not()}
	}
	return x
}

func (p *parser) not() expr {
	if p.skipName("not") {
		defer p.deeper()()
		return &notNode{p.not()}
	}
	return p.compare()
}

func (p *parser) compare() expr {
	n := &compareNode{line: p.cur().line}
	n.first = p.sum()
	for {
		t := p.cur()
		op := ""
		switch {
		case t.kind == tOp && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, t.s):
			op = t.s
		case p.name("in"):
			op = "in"
		case p.name("not") && p.look().is(tName, "in"):
			op = "not in"
			p.at++
		default:
			if n.ops == nil {
				return n.first
			}
			return n
		}
		p.at++
		n.ops = append(n.ops, op)
		n.rest = append(n.rest, p.sum())
	}
}

// binary reads operators of one rank, which group from the left.
func (p *parser) binary(operand func() expr, ops ...string) expr {
	x := operand()
	for p.cur().kind == tOp && slices.Contains(ops, p.cur().s) {
		t := p.next()
		x = &binaryNode{t.s, x, operand(), t.line}
	}
	return x
}

func (p *parser) sum() expr { return p.binary(p.concat, "+", "-") }

func (p *parser) concat() expr {
	n := &concatNode{items: []expr{p.product()}, line: p.cur().line}
	for p.skipOp("~") {
		n.items = append(n.items, p.product())
	}
	if len(n.items) == 1 {
		return n.items[0]
	}
	return n
}

func (p *parser) product() expr { return p.binary(p.power, "*", "/", "//", "%") }

func (p *parser) power() expr {
	return p.binary(func() expr { return p.unary(true) }, "**")
}

func (p *parser) unary(filters bool) expr {
	t := p.cur()
	var x expr
	if t.kind == tOp && (t.s == "-" || t.s == "+") {
		leave := p.deeper()
		p.at++
		x = &unaryNode{t.s[0], p.unary(false), t.line}
		leave()
	} else {
		x = p.primary(false)
	}
	x = p.postfix(x)
	if filters {
		x = p.filters(x)
	}
	return x
}

func (p *parser) primary(namespace bool) expr {
	t := p.next()
	switch t.kind {
	case tName:
		switch t.s {
		case "true", "True":
			return &constNode{true}
		case "false", "False":
			return &constNode{false}
		case "none", "None":
			return &constNode{nil}
		}
		n := &nameNode{name: t.s, line: t.line}
		if namespace && p.skipOp(".") {
			return &nsNode{n, p.ident().s}
		}
		return n
	case tString:
		if p.cur().kind != tString {
			return &constNode{t.s}
		}
		b := []byte(t.s)
		for p.cur().kind == tString {
			b = append(b, p.next().s...)
		}
		return &constNode{string(b)}
	case tInt, tFloat:
		return &constNode{t.v}
	case tOp:
		switch t.s {
		case "(":
			defer p.deeper()()
			x := p.tuple(tupleOptions{cond: true, brackets: true})
			p.expectOp(")")
			return x
		case "[":
			defer p.deeper()()
			return p.list()
		case "{":
			defer p.deeper()()
			return p.dict()
		}
	}
	failAt(t.line, "%s stands where an expression is wanted", t.describe())
	return nil
}

func (p *parser) list() expr {
	n := &listNode{}
	for !p.op("]") {
		if n.items != nil {
			p.expectOp(",")
			if p.op("]") {
				break
			}
		}
		n.items = append(n.items, p.expression())
	}
	p.expectOp("]")
	return n
}

func (p *parser) dict() expr {
	n := &dictNode{}
	for !p.op("}") {
		if n.keys != nil {
			p.expectOp(",")
			if p.op("}") {
				break
			}
		}
		n.keys = append(n.keys, p.expression())
		p.expectOp(":")
		n.values = append(n.values, p.expression())
	}
	p.expectOp("}")
	return n
}

func (p *parser) postfix(x expr) expr {
	for {
		switch {
		case p.op("."), p.op("["):
			x = p.subscript(x)
		case p.op("("):
			x = p.call(x)
		default:
			return x
		}
	}
}

func (p *parser) filters(x expr) expr {
	for {
		switch {
		case p.op("|"):
			x = p.filter(x, false)
		case p.name("is"):
			x = p.test(x)
		case p.op("("):
			x = p.call(x)
		default:
			return x
		}
	}
}

func (p *parser) subscript(x expr) expr {
	t := p.next()
	if t.s == "." {
		a := p.next()
		switch a.kind {
		case tName:
			return &attrNode{x, a.s, t.line}
		case tInt:
			return &itemNode{x, &constNode{a.v}, t.line}
		}
		failAt(a.line, "%s stands where an attribute is wanted", a.describe())
	}
	var items []expr
	for !p.op("]") {
		if items != nil {
			p.expectOp(",")
		}
		items = append(items, p.subscribed())
	}
	p.expectOp("]")
	if len(items) == 1 {
		return &itemNode{x, items[0], t.line}
	}
	for _, item := range items {
		if _, ok := item.(*sliceNode); ok {
			failAt(t.line, "slices in several dimensions are not supported")
		}
	}
	return &itemNode{x, &tupleNode{items: items}, t.line}
}

func (p *parser) subscribed() expr {
	n := &sliceNode{}
	if !p.op(":") {
		x := p.expression()
		if !p.op(":") {
			return x
		}
		n.start = x
	}
	p.at++
	if !p.op(":") && !p.op("]") && !p.op(",") {
		n.stop = p.expression()
	}
	if p.skipOp(":") && !p.op("]") && !p.op(",") {
		n.step = p.expression()
	}
	return n
}

func (p *parser) call(x expr) expr {
	n := &callNode{fn: x, line: p.cur().line}
	p.args(&n.callArgs)
	return n
}

func (p *parser) args(a *callArgs) {
	line := p.cur().line
	ensure := func(ok bool) {
		if !ok {
			failAt(line, "the arguments of the call stand in a wrong order")
		}
	}
	p.expectOp("(")
	for first := true; !p.op(")"); first = false {
		if !first {
			p.expectOp(",")
			if p.op(")") {
				break
			}
		}
		switch {
		case p.skipOp("*"):
			ensure(a.dynPos == nil && a.dynKw == nil)
			a.dynPos = p.expression()
		case p.skipOp("**"):
			ensure(a.dynKw == nil)
			a.dynKw = p.expression()
		case p.cur().kind == tName && p.look().is(tOp, "="):
			ensure(a.dynKw == nil)
			name := p.next().s
			p.at++
			if slices.Contains(a.names, name) {
				failAt(line, "the argument %s is given twice", name)
			}
			a.names = append(a.names, name)
			a.kw = append(a.kw, p.expression())
		default:
			ensure(a.dynPos == nil && a.dynKw == nil && a.kw == nil)
			a.pos = append(a.pos, p.expression())
		}
	}
	p.expectOp(")")
}

func (p *parser) dotted() string {
	name := p.ident().s
	for p.skipOp(".") {
		name += "." + p.ident().s
	}
	return name
}

// filter reads filters applied to x. inline says that the first one has no bar before it.
func (p *parser) filter(x expr, inline bool) *filterNode {
	last, _ := x.(*filterNode)
	for p.op("|") || inline {
		if !inline {
			p.at++
		}
		inline = false
		n := &filterNode{x: x, line: p.cur().line}
		n.name = p.dotted()
		if p.op("(") {
			p.args(&n.callArgs)
		}
		x, last = n, n
	}
	return last
}

func (p *parser) test(x expr) expr {
	t := p.next()
	negated := p.skipName("not")
	n := &testNode{x: x, line: t.line}
	n.name = p.dotted()
	c := p.cur()
	switch {
	case p.op("("):
		p.args(&n.callArgs)
	case c.kind == tName && c.s != "else" && c.s != "or" && c.s != "and", c.kind == tString, c.kind == tInt, c.kind == tFloat, p.op("["), p.op("{"):
		if c.s == "is" && c.kind == tName {
			p.fail("tests cannot be chained with is")
		}
		n.pos = []expr{p.postfix(p.primary(false))}
	}
	if negated {
		return &notNode{n}
	}
	return n
}
