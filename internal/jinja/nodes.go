package jinja

// node is a part of a parsed template.
type node interface {
	// kids calls f for each part of it, in the order in which Jinja2 visits them.
	kids(f func(node))
}

// expr is an expression.
type expr interface {
	node
	eval(st *state, e *env) Value
}

// stmt is a statement.
type stmt interface {
	node
	exec(st *state, e *env) signal
}

// signal says how a statement ended.
type signal uint8

const (
	goOn signal = iota
	breakLoop
	continueLoop
)

// slot is a variable: its number in the function that is so many functions further out.
type slot struct{ up, at int }

type context uint8

const (
	load context = iota
	store
	param
)

type (
	constNode struct{ v Value }
	nameNode  struct {
		name string
		ctx  context
		line int32
		slot slot
	}
	nsNode struct { // ns.attr as the target of a set
		ns   *nameNode
		attr string
	}
	tupleNode struct {
		items []expr
		ctx   context
	}
	listNode struct{ items []expr }
	dictNode struct{ keys, values []expr }
	condNode struct {
		test, yes, no expr // no may be nil
		line          int32
	}
	andNode     struct{ left, right expr }
	orNode      struct{ left, right expr }
	notNode     struct{ x expr }
	compareNode struct {
		first expr
		ops   []string
		rest  []expr
		line  int32
	}
	binaryNode struct {
		op          string
		left, right expr
		line        int32
	}
	concatNode struct {
		items []expr
		line  int32
	}
	unaryNode struct {
		op   byte
		x    expr
		line int32
	}
	attrNode struct {
		x    expr
		name string
		line int32
	}
	itemNode struct {
		x, index expr
		line     int32
	}
	sliceNode struct { // only as the index of an itemNode
		start, stop, step expr // nil: not given
	}
	callNode struct {
		fn expr
		callArgs
		line int32
	}
	filterNode struct {
		x    expr // nil: the text of a block
		name string
		fn   filter
		callArgs
		line int32
	}
	testNode struct {
		x    expr
		name string
		fn   test
		callArgs
		line int32
	}
)

// callArgs are the arguments of a call, a filter or a test.
type callArgs struct {
	pos    []expr
	names  []string
	kw     []expr
	dynPos expr // *x
	dynKw  expr // **x
}

type (
	dataNode   struct{ s string }
	outputNode struct {
		items []expr
		line  int32
	}
	ifNode struct {
		test  expr
		body  []stmt
		elifs []*ifNode
		other []stmt
		line  int32
	}
	forNode struct {
		target     expr
		iter       expr
		test       expr // nil: none
		body       []stmt
		other      []stmt
		recursive  bool
		line       int32
		bodyScope  scope
		otherScope scope
		testScope  scope
		loopSlot   slot // of the variable loop
		extended   bool // the body uses it
		fn         *funcScope
		testFn     *funcScope
		testTarget expr
	}
	setNode struct {
		target, value expr
		line          int32
	}
	setBlockNode struct {
		target expr
		filter *filterNode
		body   []stmt
		line   int32
		scope  scope
	}
	macroNode struct {
		name     string
		target   *nameNode // where the macro is stored; nil for the body of a call block
		args     []*nameNode
		defaults []expr
		body     []stmt
		line     int32
		macroInfo
	}
	callBlockNode struct {
		call *callNode
		body *macroNode
		line int32
		// generation says that it is transformers' {% generation %} tag.
		generation bool
	}
	filterBlockNode struct {
		filter *filterNode
		body   []stmt
		line   int32
		scope  scope
	}
	withNode struct {
		targets, values []expr
		body            []stmt
		line            int32
		scope           scope
	}
	loopControlNode struct {
		signal signal
		line   int32
	}
)

func visit[N node](f func(node), list ...N) {
	for _, n := range list {
		f(n)
	}
}

func visitExpr(f func(node), list ...expr) {
	for _, n := range list {
		if n != nil {
			f(n)
		}
	}
}

func (a *callArgs) visit(f func(node)) {
	visit(f, a.pos...)
	visit(f, a.kw...)
	visitExpr(f, a.dynPos, a.dynKw)
}

func (n *constNode) kids(func(node))       {}
func (n *nameNode) kids(func(node))        {}
func (n *nsNode) kids(func(node))          {}
func (n *tupleNode) kids(f func(node))     { visit(f, n.items...) }
func (n *listNode) kids(f func(node))      { visit(f, n.items...) }
func (n *condNode) kids(f func(node))      { visitExpr(f, n.test, n.yes, n.no) }
func (n *andNode) kids(f func(node))       { visitExpr(f, n.left, n.right) }
func (n *orNode) kids(f func(node))        { visitExpr(f, n.left, n.right) }
func (n *notNode) kids(f func(node))       { f(n.x) }
func (n *binaryNode) kids(f func(node))    { visitExpr(f, n.left, n.right) }
func (n *concatNode) kids(f func(node))    { visit(f, n.items...) }
func (n *unaryNode) kids(f func(node))     { f(n.x) }
func (n *attrNode) kids(f func(node))      { f(n.x) }
func (n *itemNode) kids(f func(node))      { visitExpr(f, n.x, n.index) }
func (n *sliceNode) kids(f func(node))     { visitExpr(f, n.start, n.stop, n.step) }
func (n *dataNode) kids(func(node))        {}
func (n *outputNode) kids(f func(node))    { visit(f, n.items...) }
func (n *setNode) kids(f func(node))       { visitExpr(f, n.target, n.value) }
func (n *loopControlNode) kids(func(node)) {}

func (n *dictNode) kids(f func(node)) {
	for i := range n.keys {
		visitExpr(f, n.keys[i], n.values[i])
	}
}

func (n *compareNode) kids(f func(node)) {
	f(n.first)
	visit(f, n.rest...)
}

func (n *callNode) kids(f func(node)) {
	f(n.fn)
	n.callArgs.visit(f)
}

func (n *filterNode) kids(f func(node)) {
	visitExpr(f, n.x)
	n.callArgs.visit(f)
}

func (n *testNode) kids(f func(node)) {
	f(n.x)
	n.callArgs.visit(f)
}

func (n *ifNode) kids(f func(node)) {
	f(n.test)
	visit(f, n.body...)
	visit(f, n.elifs...)
	visit(f, n.other...)
}

func (n *forNode) kids(f func(node)) {
	visitExpr(f, n.target, n.iter)
	visit(f, n.body...)
	visit(f, n.other...)
	visitExpr(f, n.test)
}

func (n *setBlockNode) kids(f func(node)) {
	f(n.target)
	if n.filter != nil {
		f(n.filter)
	}
	visit(f, n.body...)
}

func (n *macroNode) kids(f func(node)) {
	visit(f, n.args...)
	visit(f, n.defaults...)
	visit(f, n.body...)
}

func (n *callBlockNode) kids(f func(node)) {
	if n.call != nil {
		f(n.call)
	}
	n.body.kids(f)
}

func (n *filterBlockNode) kids(f func(node)) {
	visit(f, n.body...)
	f(n.filter)
}

func (n *withNode) kids(f func(node)) {
	visit(f, n.targets...)
	visit(f, n.values...)
	visit(f, n.body...)
}
