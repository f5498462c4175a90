package ptx

import "math/bits"

var memoryOps = map[string]func(*decoder){
	"ld": ld, "ldu": ld, "st": st, "atom": atom, "red": atom, "prefetch": prefetch, "prefetchu": prefetch, "cp": cpAsync,
}

// address is where an instruction finds memory: a register plus a constant.
type address struct {
	base int
	off  uint64
}

func (d *decoder) addr(i int) (address, *symbol) {
	o := d.arg(i)
	if o.kind != opAddress {
		d.fail("operand %d is no address", i+1)
	}
	o = o.list[0]
	switch o.kind {
	case opReg:
		return address{o.sym.index, uint64(o.offset)}, nil
	case opNumber:
		return address{d.fn.constant(0), o.num.bits + uint64(o.offset)}, nil
	case opSymbol:
		if o.sym == nil || o.sym.isLab {
			d.fail("%s is not declared", o.name)
		}
		if o.sym.space == spLocal {
			return address{d.fn.base, uint64(int64(o.sym.off) + o.offset)}, o.sym
		}
		off := uint64(o.offset)
		o.offset = 0
		return address{d.address(o), off}, o.sym
	}
	d.fail("address")
	return address{}, nil
}

// vector is the registers of {a, b} or of a single one.
func (d *decoder) vector(i int, n int) []operand {
	o := d.arg(i)
	if n == 1 {
		return []operand{o}
	}
	if o.kind != opVector || len(o.list) != n {
		d.fail("want a vector of %d", n)
	}
	return o.list
}

// cacheMods takes what tells caches and memory order, which has no meaning here but for what is returned: relaxed access.
func (d *decoder) cacheMods() bool {
	d.ignore("ca", "cg", "cs", "lu", "cv", "wb", "wt", "nc", "L1::evict_normal", "L1::evict_unchanged", "L1::evict_first", "L1::evict_last",
		"L1::no_allocate", "L2::evict_first", "L2::evict_last", "L2::evict_normal", "L2::64B", "L2::128B", "L2::256B", "weak", "cta", "gpu", "sys")
	return d.one("volatile", "relaxed", "acquire", "release") != ""
}

// lanesOf is the number of elements a vector access has.
func (d *decoder) lanesOf() int {
	switch d.one("v2", "v4") {
	case "v2":
		return 2
	case "v4":
		return 4
	}
	return 1
}

func ld(d *decoder) {
	how := load
	if d.cacheMods() {
		how = relaxed
	}
	sp, n, t := d.space(), d.lanesOf(), d.last()
	d.args(2)
	var dst []int
	var sign []int // width to extend to, 0: none
	for _, o := range d.vector(0, n) {
		dst = append(dst, d.dest(o, t))
		s := 0
		if t.signed() && d.width(o) > t.bits {
			s = d.width(o)
		}
		sign = append(sign, s)
	}
	at, sym := d.addr(1)
	if sym != nil && sp == spGeneric {
		sp = sym.space
	}
	if sp == spParam {
		d.in.run = ldParam(d, at, dst, t.bits/8, t.signed(), sign)
		return
	}
	if n == 1 && sign[0] == 0 {
		d.in.run = loadOne(sp, at, dst[0], t.bits/8, how)
		return
	}
	size := t.bits / 8
	d.in.run = func(w *warp, m uint32) {
		for ; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m)
			b := w.at(sp, i, w.r[at.base][i]+at.off, size*len(dst), how)
			for j, r := range dst {
				v := get(b[j*size : j*size+size])
				if sign[j] > 0 {
					v = uint64(signExtend(v, t.bits)) & mask(sign[j])
				}
				w.r[r][i] = v
			}
		}
	}
}

// loadOne loads one number a lane without extending its sign.
func loadOne(sp space, at address, dst, size int, how access) runner {
	return func(w *warp, m uint32) {
		rd, ra := &w.r[dst], &w.r[at.base]
		for ; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			rd[i] = get(w.at(sp, i, ra[i]+at.off, size, how))
		}
	}
}

// params is the bytes of the parameter space as the lane sees it: the launch's in a kernel, its own copy in a function; a
// kernel's space goes on with the arguments of its calls.
func (w *warp) params(lane int) []byte {
	f := w.f
	if f.params == nil {
		if !f.fn.calls {
			return w.b.l.params
		}
		f.params = make([]byte, 32*f.fn.paramSize)
		for i := range 32 {
			copy(f.params[i*f.fn.paramSize:], w.b.l.params)
		}
	}
	return f.params[lane*f.fn.paramSize : (lane+1)*f.fn.paramSize]
}

func (w *warp) paramAt(lane int, addr uint64, n int) []byte {
	p := w.params(lane)
	if addr > uint64(len(p)) || addr+uint64(n) > uint64(len(p)) {
		w.fault(lane, ErrBounds, "parameter bytes %d to %d of %d", addr, addr+uint64(n)-1, len(p))
	}
	if addr&uint64(n-1) != 0 {
		w.fault(lane, ErrMisaligned, "parameter address %d for %d bytes", addr, n)
	}
	return p[addr : addr+uint64(n)]
}

func ldParam(d *decoder, at address, dst []int, size int, signed bool, sign []int) runner {
	return func(w *warp, m uint32) {
		for ; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m)
			b := w.paramAt(i, w.r[at.base][i]+at.off, size*len(dst))
			for j, r := range dst {
				v := get(b[j*size : j*size+size])
				if sign[j] > 0 {
					v = uint64(signExtend(v, size*8)) & mask(sign[j])
				}
				w.r[r][i] = v
			}
		}
	}
}

func st(d *decoder) {
	how := store
	if d.cacheMods() {
		how = atomicRW
	}
	sp, n, t := d.space(), d.lanesOf(), d.last()
	d.args(2)
	var src []int
	for _, o := range d.vector(1, n) {
		narrow := t
		src = append(src, d.source(o, narrow))
	}
	at, sym := d.addr(0)
	if sym != nil && sp == spGeneric {
		sp = sym.space
	}
	size := t.bits / 8
	if sp == spShared {
		how = store // other warps' volatile stores are ordered by barriers alone
	}
	d.in.run = func(w *warp, m uint32) {
		for ; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m)
			addr := w.r[at.base][i] + at.off
			var b []byte
			if sp == spParam {
				b = w.paramAt(i, addr, size*len(src))
			} else {
				b = w.at(sp, i, addr, size*len(src), how)
			}
			for j, r := range src {
				set(b[j*size:j*size+size], w.r[r][i])
			}
		}
	}
}

// prefetch only asks for an address that could be read; cards ignore bad ones.
func prefetch(d *decoder) { d.mods = nil; d.in.run = func(*warp, uint32) {} }

// atom decodes atom and red. Blocks on other goroutines are kept out while global memory is changed.
func atom(d *decoder) {
	returns := opcode(d) == "atom"
	d.cacheMods()
	d.ignore("acq_rel", "noftz")
	sp := d.space()
	op := d.one("add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec")
	t := d.last()
	if op == "" {
		d.fail("no operation")
	}
	first := 0
	dst := -1
	if returns {
		dst, first = d.dst(0, t), 1
	}
	at, sym := d.addr(first)
	if sym != nil && sp == spGeneric {
		sp = sym.space
	}
	a := d.src(first+1, t)
	b := a
	if op == "cas" {
		b = d.src(first+2, t)
	}
	f := atomicFunc(d, op, t)
	size := t.bits / 8
	d.in.run = func(w *warp, m uint32) {
		mu := &w.b.k.mod.mu
		for ; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m)
			mem := w.at(sp, i, w.r[at.base][i]+at.off, size, atomicRW)
			mu.Lock()
			old := get(mem)
			set(mem, f(old, w.r[a][i], w.r[b][i]))
			mu.Unlock()
			if dst >= 0 {
				w.r[dst][i] = old
			}
		}
	}
}

// atomicFunc is the new value from the old one and the operands.
func atomicFunc(d *decoder, op string, t typ) func(old, a, b uint64) uint64 {
	m := mask(t.bits)
	switch op {
	case "exch":
		return func(_, a, _ uint64) uint64 { return a & m }
	case "cas":
		return func(old, a, b uint64) uint64 {
			if old == a&m {
				return b & m
			}
			return old
		}
	case "and":
		return func(old, a, _ uint64) uint64 { return old & a & m }
	case "or":
		return func(old, a, _ uint64) uint64 { return (old | a) & m }
	case "xor":
		return func(old, a, _ uint64) uint64 { return (old ^ a) & m }
	case "inc":
		return func(old, a, _ uint64) uint64 {
			if old >= a&m {
				return 0
			}
			return old + 1
		}
	case "dec":
		return func(old, a, _ uint64) uint64 {
			if old == 0 || old > a&m {
				return a & m
			}
			return old - 1
		}
	}
	if t.float() {
		if op != "add" {
			d.fail("%s of floats", op)
		}
		f := floatFunc(d, "add", t, floatMods{})
		if t.packed {
			f = halves(f)
		}
		return f
	}
	g := intBinary(d, op, "", t, false)
	return func(old, a, _ uint64) uint64 { return g(old, a) }
}
