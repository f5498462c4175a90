package jinja

import (
	"fmt"
	"maps"
	"slices"
)

// Jinja2 compiles a template to Python functions: one for the template, and one for each macro, call block, recursive loop and filter of a loop. Which
// variable a name means is settled then, from where it is assigned. This file does the same, so that the odd cases come out alike: a name that is set in
// only one branch, a loop's copies of outer variables, macros that see what is assigned after them.

// How a variable begins when its scope is entered.
type loadKind uint8

const (
	loadParam     loadKind = iota // it is set by who enters
	loadResolve                   // from the variables of the rendering
	loadAlias                     // from a variable further out
	loadUndefined                 // without a value
)

type loading struct {
	kind loadKind
	from string // the name, or the variable further out
}

// symbols are the names of one scope. Variables are called by their level and name.
type symbols struct {
	level  int
	parent *symbols
	refs   map[string]string // name to variable
	loads  map[string]loading
	stores map[string]bool
	copied *int // names that were copied in the whole template
}

func newSymbols(parent *symbols) *symbols {
	s := &symbols{parent: parent, refs: map[string]string{}, loads: map[string]loading{}, stores: map[string]bool{}, copied: new(int)}
	if parent != nil {
		s.level, s.copied = parent.level+1, parent.copied
	}
	return s
}

func (s *symbols) define(name string, l loading) string {
	variable := fmt.Sprintf("%d %s", s.level, name)
	s.refs[name] = variable
	s.loads[variable] = l
	return variable
}

// find is the variable that a name means here, or "".
func (s *symbols) find(name string) string {
	for ; s != nil; s = s.parent {
		if v, ok := s.refs[name]; ok {
			return v
		}
	}
	return ""
}

func (s *symbols) store(name string) {
	s.stores[name] = true
	if _, ok := s.refs[name]; ok {
		return
	}
	if outer := s.parent.find(name); outer != "" {
		s.define(name, loading{loadAlias, outer})
		return
	}
	s.define(name, loading{kind: loadUndefined})
}

func (s *symbols) param(name string) string {
	s.stores[name] = true
	return s.define(name, loading{kind: loadParam})
}

func (s *symbols) load(name string) {
	if s.find(name) == "" {
		s.define(name, loading{loadResolve, name})
	}
}

func (s *symbols) copy() *symbols {
	if *s.copied += len(s.refs) + len(s.loads) + len(s.stores); *s.copied > maxCopied {
		failAt(0, "it has too many names beside too many branches")
	}
	return &symbols{s.level, s.parent, maps.Clone(s.refs), maps.Clone(s.loads), maps.Clone(s.stores), s.copied}
}

// join takes up what the branches of an if did. A name that was not assigned before, but in a branch, begins with its value from outside.
func (s *symbols) join(branches ...*symbols) {
	stores := map[string]bool{}
	for _, b := range branches {
		for name := range b.stores {
			if !s.stores[name] {
				stores[name] = true
			}
		}
	}
	for _, b := range branches {
		maps.Copy(s.refs, b.refs)
		maps.Copy(s.loads, b.loads)
		maps.Copy(s.stores, b.stores)
	}
	for name := range stores {
		variable := s.find(name)
		if outer := s.parent.find(name); outer != "" {
			s.loads[variable] = loading{loadAlias, outer}
		} else {
			s.loads[variable] = loading{loadResolve, name}
		}
	}
}

// read notes the names of a node that stands in this scope. Blocks with a scope of their own are left out.
func (s *symbols) read(n node) { s.visit(n, false) }

func (s *symbols) visit(n node, asParam bool) {
	each := func(n node) { s.visit(n, asParam) }
	switch n := n.(type) {
	case *nameNode:
		switch {
		case asParam || n.ctx == param:
			s.param(n.name)
		case n.ctx == store:
			s.store(n.name)
		default:
			s.load(n.name)
		}
	case *nsNode:
		s.load(n.ns.name)
	case *ifNode:
		each(n.test)
		branch := func(list []stmt) *symbols {
			b := s.copy()
			visit(b.read, list...)
			return b
		}
		body := branch(n.body)
		elifs := s.copy()
		visit(elifs.read, n.elifs...)
		s.join(body, elifs, branch(n.other))
	case *macroNode:
		s.store(n.name)
	case *setNode:
		each(n.value)
		each(n.target)
	case *forNode:
		each(n.iter)
	case *callBlockNode:
		if n.call != nil {
			each(n.call)
		}
	case *filterBlockNode:
		each(n.filter)
	case *withNode:
		visit(each, n.values...)
	case *setBlockNode:
		each(n.target)
	default:
		n.kids(each)
	}
}

// uses reports which of the names are read in the nodes before they are assigned there.
func uses(list []stmt, names ...string) map[string]bool {
	found := map[string]bool{}
	var walk func(n node)
	walk = func(n node) {
		if v, ok := n.(*nameNode); ok {
			if i := slices.Index(names, v.name); i >= 0 {
				if v.ctx == load {
					found[v.name] = true
				} else {
					names = slices.Delete(slices.Clone(names), i, i+1)
				}
			}
			return
		}
		n.kids(walk)
	}
	visit(walk, list...)
	return found
}

// funcScope are the variables of one function.
type funcScope struct {
	parent *funcScope
	slots  map[string]int
}

// env holds the values of a function's variables while it runs.
type env struct {
	vars   []Value
	parent *env
}

// missing is the value of a variable that has none.
type missingType struct{}

var missing Value = missingType{}

func (e *env) at(s slot) *Value {
	for ; s.up > 0; s.up-- {
		e = e.parent
	}
	return &e.vars[s.at]
}

func (f *funcScope) newEnv(st *state, parent *env) *env {
	st.pay(16 * len(f.slots))
	e := &env{make([]Value, len(f.slots)), parent}
	for i := range e.vars {
		e.vars[i] = missing
	}
	return e
}

// scope is what is done when a block is entered and left.
type scope struct{ begin []beginning }

type beginning struct {
	to   slot
	kind loadKind
	name string
	from slot
}

func (s *scope) enter(st *state, e *env) {
	st.steps -= len(s.begin) / 4 // step refuses what is beyond the budget
	for i := range s.begin {
		b := &s.begin[i]
		v := missing
		switch b.kind {
		case loadParam:
			continue
		case loadResolve:
			v = st.resolve(b.name)
		case loadAlias:
			v = *e.at(b.from)
		}
		*e.at(b.to) = v
	}
}

// exit takes the values away again.
func (s *scope) exit(e *env) {
	for i := range s.begin {
		*e.at(s.begin[i].to) = missing
	}
}

// resolver settles the variables, filters and tests of a parsed template.
type resolver struct {
	syms *symbols
	fn   *funcScope
	soft bool // inside an if: an unknown filter fails only when it is reached
	loop bool // break and continue have a loop to act on
}

// slotOf is where a variable is kept. It belongs to the function in whose scope it was made.
func (r *resolver) slotOf(variable string) slot {
	up := 0
	for f := r.fn; f != nil; f = f.parent {
		if at, ok := f.slots[variable]; ok {
			return slot{up, at}
		}
		up++
	}
	panic("no variable " + variable)
}

func (r *resolver) ref(name string) slot { return r.slotOf(r.syms.find(name)) }

// declare makes the variables of a scope in the current function.
func (r *resolver) declare() scope {
	var s scope
	names := slices.Sorted(maps.Keys(r.syms.loads))
	for _, v := range names {
		if _, ok := r.fn.slots[v]; !ok {
			r.fn.slots[v] = len(r.fn.slots)
		}
	}
	for _, v := range names {
		l := r.syms.loads[v]
		b := beginning{to: r.slotOf(v), kind: l.kind}
		switch l.kind {
		case loadResolve:
			b.name = l.from
		case loadAlias:
			b.from = r.slotOf(l.from)
		}
		s.begin = append(s.begin, b)
	}
	return s
}

// inner is a resolver for a block inside.
func (r *resolver) inner() *resolver {
	return &resolver{syms: newSymbols(r.syms), fn: r.fn, loop: r.loop}
}

// function makes the block's scope one of a new function.
func (r *resolver) function() {
	r.fn = &funcScope{parent: r.fn, slots: map[string]int{}}
	r.loop = false
}

func (r *resolver) all(list []stmt) {
	for _, s := range list {
		r.node(s)
	}
}

func (r *resolver) softly(f func(r *resolver)) {
	soft := *r
	soft.soft = true
	f(&soft)
}

func (r *resolver) node(n node) {
	switch n := n.(type) {
	case *nameNode:
		n.slot = r.ref(n.name)
	case *nsNode:
		n.ns.slot = r.ref(n.ns.name)
	case *condNode:
		r.softly(func(r *resolver) { n.kids(r.node) })
	case *filterNode:
		n.fn = r.filterOf(n)
		n.kids(r.node)
	case *testNode:
		n.fn = r.testOf(n)
		n.kids(r.node)
	case *ifNode:
		r.softly(func(r *resolver) { n.kids(r.node) })
	case *loopControlNode:
		if !r.loop {
			failAt(n.line, "%s stands outside of a loop", map[signal]string{breakLoop: "break", continueLoop: "continue"}[n.signal])
		}
	case *forNode:
		r.forNode(n)
	case *macroNode:
		n.target.slot = r.ref(n.name)
		r.macro(n)
	case *callBlockNode:
		r.macro(n.body)
		if n.call != nil {
			r.node(n.call)
		}
	case *setBlockNode:
		in := r.inner()
		visit(in.syms.read, n.body...)
		n.scope = in.declare()
		in.all(n.body)
		r.node(n.target)
		for f := n.filter; f != nil; f, _ = f.x.(*filterNode) {
			// The names in a filter's arguments belong to the block's scope if they are known there; Jinja2 does not look for them.
			f.callArgs.visit(func(a node) { in.known(a, f.line) })
			f.fn = in.filterOf(f)
			f.callArgs.visit(in.node)
		}
	case *filterBlockNode:
		in := r.inner()
		visit(in.syms.read, n.body...)
		in.syms.read(n.filter)
		n.scope = in.declare()
		in.all(n.body)
		in.node(n.filter)
	case *withNode:
		in := r.inner()
		visit(in.syms.read, n.targets...)
		visit(in.syms.read, n.body...)
		n.scope = in.declare()
		visit(r.node, n.values...)
		visit(in.node, n.targets...)
		in.all(n.body)
	default:
		n.kids(r.node)
	}
}

// known refuses names that this scope has never seen.
func (r *resolver) known(n node, line int32) {
	if v, ok := n.(*nameNode); ok && r.syms.find(v.name) == "" {
		failAt(line, "the name %s in the filter of a set block is not supported", v.name)
	}
	n.kids(func(n node) { r.known(n, line) })
}

func (r *resolver) macro(n *macroNode) {
	in := r.inner()
	explicit := -1
	for i, a := range n.args {
		if a.name == "caller" {
			explicit = i
		}
	}
	special := uses(n.body, "caller", "kwargs", "varargs")
	analyze := func() {
		visit(in.syms.read, n.args...)
		visit(in.syms.read, n.defaults...)
		visit(in.syms.read, n.body...)
	}
	analyze()
	has := func(name string) bool {
		return slices.ContainsFunc(n.args, func(a *nameNode) bool { return a.name == name })
	}
	if special["caller"] {
		if explicit >= 0 && explicit < len(n.args)-len(n.defaults) {
			failAt(n.line, "the parameter caller needs a default")
		}
		n.usesCaller = true
		if explicit < 0 {
			in.syms.param("caller")
		}
	}
	if special["kwargs"] && !has("kwargs") {
		n.usesKw = true
		in.syms.param("kwargs")
	}
	if special["varargs"] && !has("varargs") {
		n.usesVar = true
		in.syms.param("varargs")
	}
	n.explicitCaller = explicit >= 0
	analyze()
	in.function()
	n.fn = in.fn
	n.scope = in.declare()
	if n.usesCaller {
		n.caller = in.ref("caller")
	}
	if n.usesKw {
		n.kwargs = in.ref("kwargs")
	}
	if n.usesVar {
		n.varargs = in.ref("varargs")
	}
	visit(in.node, n.args...)
	visit(in.node, n.defaults...)
	in.all(n.body)
}

func (r *resolver) forNode(n *forNode) {
	var check func(node)
	check = func(k node) {
		if v, ok := k.(*nameNode); ok && v.name == "loop" && v.ctx == store {
			failAt(v.line, "inside a loop nothing can be assigned to loop")
		}
		k.kids(check)
	}
	check(n)
	body, other := r.inner(), r.inner()
	n.extended = n.recursive || uses(n.body, "loop")["loop"]
	if n.extended {
		body.syms.param("loop")
	}
	body.syms.visit(n.target, true)
	visit(body.syms.read, n.body...)
	visit(other.syms.read, n.other...)
	if n.recursive {
		body.function()
		other.fn, other.loop = body.fn, false
		n.fn = body.fn
	}
	n.bodyScope = body.declare()
	n.otherScope = other.declare()
	if n.test != nil {
		test := r.inner()
		test.syms.visit(n.target, true)
		test.syms.read(n.test)
		test.fn, test.loop = body.fn, false
		test.function()
		n.testFn = test.fn
		n.testScope = test.declare()
		n.testTarget = copyTarget(n.target)
		test.node(n.testTarget)
		test.node(n.test)
	}
	r.node(n.iter)
	if n.extended {
		n.loopSlot = body.ref("loop")
	}
	body.loop = true
	body.node(n.target)
	body.all(n.body)
	other.all(n.other)
}

// copyTarget is a second target with the same names, which the filter of a loop has as variables of its own.
func copyTarget(x expr) expr {
	switch n := x.(type) {
	case *nameNode:
		c := *n
		return &c
	case *tupleNode:
		c := &tupleNode{ctx: n.ctx}
		for _, item := range n.items {
			c.items = append(c.items, copyTarget(item))
		}
		return c
	}
	return x
}
