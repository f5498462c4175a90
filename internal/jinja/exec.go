package jinja

// macroInfo is what the resolver finds out about a macro.
type macroInfo struct {
	fn                          *funcScope
	scope                       scope
	usesCaller, usesKw, usesVar bool
	explicitCaller              bool
	caller, kwargs, varargs     slot
}

// macro is a macro as a value: its definition, and the variables around it.
type macro struct {
	def *macroNode
	env *env
}

func (st *state) run(list []stmt, e *env) signal {
	for _, s := range list {
		if sig := s.exec(st, e); sig != goOn {
			return sig
		}
	}
	return goOn
}

// capture gives what f writes as a string.
func (st *state) capture(f func() signal) (str, signal) {
	out := st.out
	st.out = &builder{st: st}
	st.captured++
	sig := f()
	s := st.out.text()
	st.out = out
	st.captured--
	return s, sig
}

func (n *dataNode) exec(st *state, _ *env) signal {
	st.out.lit(n.s)
	return goOn
}

func (n *outputNode) exec(st *state, e *env) signal {
	st.line = n.line
	for _, x := range n.items {
		switch v := x.eval(st, e).(type) {
		case string:
			st.out.lit(v)
		case *str:
			st.out.add(*v)
		default:
			st.out.add(st.toStr(v))
		}
	}
	return goOn
}

func (n *ifNode) exec(st *state, e *env) signal {
	st.step()
	st.line = n.line
	if st.truth(n.test.eval(st, e)) {
		return st.run(n.body, e)
	}
	for _, elif := range n.elifs {
		st.line = elif.line
		if st.truth(elif.test.eval(st, e)) {
			return st.run(elif.body, e)
		}
	}
	return st.run(n.other, e)
}

func (n *setNode) exec(st *state, e *env) signal {
	st.step()
	st.line = n.line
	st.checkNamespaces(n.target, e)
	st.assign(n.target, n.value.eval(st, e), e)
	return goOn
}

// checkNamespaces refuses ns.x as a target if ns is no namespace.
func (st *state) checkNamespaces(target expr, e *env) {
	switch n := target.(type) {
	case *nsNode:
		if _, ok := (*e.at(n.ns.slot)).(*namespace); !ok {
			st.fail("an attribute of %s cannot be set: it is no namespace", n.ns.name)
		}
	case *tupleNode:
		for _, item := range n.items {
			st.checkNamespaces(item, e)
		}
	}
}

func (st *state) assign(target expr, v Value, e *env) {
	switch n := target.(type) {
	case *nameNode:
		*e.at(n.slot) = v
	case *nsNode:
		st.setAttr((*e.at(n.ns.slot)).(*namespace), n.attr, v)
	case *tupleNode:
		items := st.unpack(v, len(n.items))
		for i, item := range n.items {
			st.assign(item, items[i], e)
		}
	}
}

func (st *state) setAttr(ns *namespace, name string, v Value) {
	if name != "" && name[0] == '_' {
		st.fail("a namespace cannot hold %s: its name begins with an underscore", name)
	}
	st.pay(64)
	ns.attrs.Set(name, v)
}

// unpack is the n items of v.
func (st *state) unpack(v Value, n int) []Value {
	if t, ok := v.(*tuple); ok && len(t.items) == n {
		return t.items
	}
	it := st.iterate(v)
	items := make([]Value, 0, n)
	for {
		item, ok := it()
		if !ok {
			break
		}
		if len(items) == n {
			st.fail("too many values to unpack (%d wanted)", n)
		}
		items = append(items, item)
	}
	if len(items) < n {
		st.fail("not enough values to unpack (%d wanted, %d found)", n, len(items))
	}
	return items
}

// captureBody is what a block writes, in a scope of its own that the caller leaves; line is the block's.
func (st *state) captureBody(in *scope, body []stmt, line int32, e *env) (str, signal) {
	st.step()
	in.enter(st, e)
	s, sig := st.capture(func() signal { return st.run(body, e) })
	if sig == goOn {
		st.line = line
	}
	return s, sig
}

func (n *setBlockNode) exec(st *state, e *env) signal {
	s, sig := st.captureBody(&n.scope, n.body, n.line, e)
	if sig != goOn {
		return sig
	}
	var v Value = s.value()
	if n.filter != nil {
		v = n.filter.apply(st, v, e)
	}
	st.checkNamespaces(n.target, e)
	st.assign(n.target, v, e)
	n.scope.exit(e)
	return goOn
}

func (n *filterBlockNode) exec(st *state, e *env) signal {
	s, sig := st.captureBody(&n.scope, n.body, n.line, e)
	if sig != goOn {
		return sig
	}
	st.out.add(st.toStr(n.filter.apply(st, s.value(), e)))
	n.scope.exit(e)
	return goOn
}

func (n *withNode) exec(st *state, e *env) signal {
	st.step()
	st.line = n.line
	n.scope.enter(st, e)
	for i, target := range n.targets {
		st.assign(target, n.values[i].eval(st, e), e)
	}
	sig := st.run(n.body, e)
	if sig == goOn {
		n.scope.exit(e)
	}
	return sig
}

func (n *loopControlNode) exec(*state, *env) signal { return n.signal }

func (n *macroNode) exec(st *state, e *env) signal {
	st.step()
	*e.at(n.target.slot) = &macro{n, e}
	return goOn
}

func (n *callBlockNode) exec(st *state, e *env) signal {
	st.step()
	st.line = n.line
	caller := &macro{n.body, e}
	if n.generation {
		if st.captured > 0 {
			st.fail("generation inside a macro, a set block or a filter block has no place in the text")
		}
		start := len(st.out.b)
		st.out.add(st.callMacro(caller, &args{}))
		st.generation = append(st.generation, [2]int{start, len(st.out.b)})
		return goOn
	}
	st.out.add(st.toStr(n.call.call(st, e, caller)))
	return goOn
}

// callMacro runs a macro with these arguments.
func (st *state) callMacro(m *macro, a *args) str {
	defer st.enter("macro " + m.def.name)()
	line := st.line
	def := m.def
	e := def.fn.newEnv(st, m.env)
	used := make([]bool, len(a.kw))
	take := func(name string) Value {
		for i, n := range a.names {
			if n == name && !used[i] {
				used[i] = true
				return a.kw[i]
			}
		}
		return missing
	}
	foundCaller := false
	for i, arg := range def.args {
		v := missing
		if i < len(a.pos) {
			v = a.pos[i]
		} else {
			v = take(arg.name)
			if arg.name == "caller" {
				foundCaller = true
			}
		}
		e.vars[arg.slot.at] = v
	}
	if len(a.pos) >= len(def.args) {
		foundCaller = def.explicitCaller
	}
	if def.usesCaller && !foundCaller {
		v := take("caller")
		if v == nil || v == missing {
			v = &undefined{message: "there is no caller"}
		}
		if !def.explicitCaller {
			e.vars[def.caller.at] = v
		}
	}
	rest := NewDict()
	for i, name := range a.names {
		if !used[i] {
			rest.Set(name, a.kw[i])
		}
	}
	switch {
	case def.usesKw:
		e.vars[def.kwargs.at] = rest
	case rest.Len() > 0:
		st.fail("the macro %s takes no argument named %s", def.name, rest.Keys()[0])
	}
	switch {
	case def.usesVar:
		e.vars[def.varargs.at] = &tuple{items: a.pos[min(len(def.args), len(a.pos)):]}
	case len(a.pos) > len(def.args):
		st.fail("the macro %s takes not more than %d arguments", def.name, len(def.args))
	}
	s, _ := st.capture(func() signal {
		def.scope.enter(st, e)
		for i, arg := range def.args {
			if v := &e.vars[arg.slot.at]; *v == missing {
				if k := i - len(def.args) + len(def.defaults); k >= 0 {
					*v = def.defaults[k].eval(st, e)
				} else {
					*v = &undefined{message: "the parameter " + arg.name + " was not given"}
				}
			}
		}
		return st.run(def.body, e)
	})
	st.line = line
	return s
}

func (n *forNode) exec(st *state, e *env) signal {
	st.step()
	st.line = n.line
	v := n.iter.eval(st, e)
	if n.recursive {
		st.out.add(st.recurse(n, v, e, 0))
		return goOn
	}
	return n.loop(st, v, e, e, 0)
}

// recurse is one call of a recursive loop.
func (st *state) recurse(n *forNode, v Value, outer *env, depth int) str {
	defer st.enter("recursive loop")()
	s, _ := st.capture(func() signal {
		return n.loop(st, v, n.fn.newEnv(st, outer), outer, depth)
	})
	return s
}

// loop runs the body with the variables of e for each item of v. Only its else part can end a loop further out.
func (n *forNode) loop(st *state, v Value, e, outer *env, depth int) signal {
	next := st.iterate(v)
	length := -1
	if n.test != nil {
		next = n.filtered(st, next, e)
	} else if k, ok := st.length(v); ok {
		length = k
	}
	var l *loopContext
	if n.extended {
		l = &loopContext{st: st, next: next, length: length, index: -1, depth: depth, current: missing, before: missing, after: missing, changed: missing}
		if n.recursive {
			l.node, l.env = n, outer
		}
		next = l.advance
	}
	ran := false // a body that ended without break or continue
	for {
		item, ok := next()
		if !ok {
			break
		}
		st.step()
		st.line = n.line
		st.assign(n.target, item, e)
		if l != nil {
			*e.at(n.loopSlot) = l
		}
		n.bodyScope.enter(st, e)
		sig := st.run(n.body, e)
		if sig == breakLoop {
			break
		}
		if sig == goOn {
			ran = true
		}
	}
	n.bodyScope.exit(e)
	if len(n.other) == 0 || ran {
		return goOn
	}
	n.otherScope.enter(st, e)
	sig := st.run(n.other, e)
	if sig == goOn {
		n.otherScope.exit(e)
	}
	return sig
}

// filtered are the items for which the test of the loop holds.
func (n *forNode) filtered(st *state, next func() (Value, bool), e *env) func() (Value, bool) {
	in := n.testFn.newEnv(st, e)
	n.testScope.enter(st, in)
	return func() (Value, bool) {
		for {
			v, ok := next()
			if !ok {
				return nil, false
			}
			st.step()
			st.assign(n.testTarget, v, in)
			if st.truth(n.test.eval(st, in)) {
				return st.read(n.testTarget, v, in), true
			}
		}
	}
}

// read is what was assigned to a target: Jinja2's loops with a test make new tuples of several variables.
func (st *state) read(target expr, v Value, e *env) Value {
	t, ok := target.(*tupleNode)
	if !ok {
		if n, ok := target.(*nameNode); ok {
			return *e.at(n.slot)
		}
		return v
	}
	st.pay(16 * len(t.items))
	items := make([]Value, len(t.items))
	for i, x := range t.items {
		items[i] = st.read(x, nil, e)
	}
	return &tuple{items: items}
}
