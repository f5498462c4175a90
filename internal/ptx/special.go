package ptx

// specials are the special registers, as a thread reads them.
var specials = map[string]func(w *warp, lane int) uint64{
	"%tid.x":               func(w *warp, lane int) uint64 { return uint64(w.b.thread(w.id*32 + lane)[0]) },
	"%tid.y":               func(w *warp, lane int) uint64 { return uint64(w.b.thread(w.id*32 + lane)[1]) },
	"%tid.z":               func(w *warp, lane int) uint64 { return uint64(w.b.thread(w.id*32 + lane)[2]) },
	"%ntid.x":              func(w *warp, _ int) uint64 { return uint64(w.b.l.Block[0]) },
	"%ntid.y":              func(w *warp, _ int) uint64 { return uint64(w.b.l.Block[1]) },
	"%ntid.z":              func(w *warp, _ int) uint64 { return uint64(w.b.l.Block[2]) },
	"%ctaid.x":             func(w *warp, _ int) uint64 { return uint64(w.b.id[0]) },
	"%ctaid.y":             func(w *warp, _ int) uint64 { return uint64(w.b.id[1]) },
	"%ctaid.z":             func(w *warp, _ int) uint64 { return uint64(w.b.id[2]) },
	"%nctaid.x":            func(w *warp, _ int) uint64 { return uint64(w.b.l.Grid[0]) },
	"%nctaid.y":            func(w *warp, _ int) uint64 { return uint64(w.b.l.Grid[1]) },
	"%nctaid.z":            func(w *warp, _ int) uint64 { return uint64(w.b.l.Grid[2]) },
	"%laneid":              func(_ *warp, lane int) uint64 { return uint64(lane) },
	"%warpid":              func(w *warp, _ int) uint64 { return uint64(w.id) },
	"%nwarpid":             func(w *warp, _ int) uint64 { return uint64(len(w.b.warps)) },
	"%smid":                func(*warp, int) uint64 { return 0 },
	"%nsmid":               func(*warp, int) uint64 { return 1 },
	"%gridid":              func(*warp, int) uint64 { return 0 },
	"%lanemask_eq":         func(_ *warp, lane int) uint64 { return 1 << lane },
	"%lanemask_lt":         func(_ *warp, lane int) uint64 { return 1<<lane - 1 },
	"%lanemask_le":         func(_ *warp, lane int) uint64 { return 2<<lane - 1 },
	"%lanemask_gt":         func(_ *warp, lane int) uint64 { return mask(32) &^ (2<<lane - 1) },
	"%lanemask_ge":         func(_ *warp, lane int) uint64 { return mask(32) &^ (1<<lane - 1) },
	"%dynamic_smem_size":   func(w *warp, _ int) uint64 { return uint64(w.b.l.Shared) },
	"%total_smem_size":     func(w *warp, _ int) uint64 { return uint64(w.b.l.shared) },
	"%dynamic":             func(w *warp, _ int) uint64 { return uint64(w.b.l.dynamic) }, // ours: where dynamic shared memory begins
	"%clock":               clock,
	"%clock64":             clock,
	"%clock_hi":            func(w *warp, _ int) uint64 { return w.clock() >> 32 },
	"%globaltimer":         clock,
	"%globaltimer_lo":      clock,
	"%globaltimer_hi":      func(w *warp, _ int) uint64 { return w.clock() >> 32 },
	"%is_explicit_cluster": func(*warp, int) uint64 { return 0 },
}

func clock(w *warp, _ int) uint64 { return w.clock() }

// clock counts executed instructions: the only time here.
func (w *warp) clock() uint64 { return uint64(w.b.l.count.Load() + w.count) }

func isSpecial(name string) bool { return specials[name] != nil }

// specialReg is the register that holds a special register from the function's start on.
func (d *decoder) specialReg(name string) int {
	r, ok := d.fn.special[name]
	if !ok {
		r = d.fn.newReg(64)
		d.fn.special[name] = r
	}
	return r
}

// changing are the special registers that must be read anew each time.
var changing = map[string]bool{"%clock": true, "%clock64": true, "%clock_hi": true, "%globaltimer": true, "%globaltimer_lo": true, "%globaltimer_hi": true}

// special fills the registers of a new frame that hold special registers, and the one for its local memory.
func (b *block) special(w *warp, f *frame) {
	for name, r := range f.fn.special {
		value := specials[name]
		for lane := range 32 {
			f.r[r][lane] = value(w, lane)
		}
	}
	fill(&f.r[f.fn.base], uint64(f.local))
	f.p[0] = allLanes
}
