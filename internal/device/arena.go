package device

import (
	"fmt"
	"sort"
	"strings"
)

// Align is the alignment of every tensor in an arena, in bytes.
const Align = 64

// Arena plans a device's memory: a stack of named regions. Long-lived tensors are taken first, those of a
// phase above them, and Release drops everything above a mark. It hands out offsets only, so that the host, a GPU
// and the counting device share it, and so that predicted and real peaks are the same number.
type Arena struct {
	device   string
	capacity int64 // 0: unbounded
	top      int64
	regions  []region

	phase     string
	peak      int64
	peakPhase string
	peakTable map[string]int64
	owners    map[string]int64
	ownerPeak map[string]int64
}

type region struct {
	owner, name   string
	offset, bytes int64
}

// Mark is a height of the stack.
type Mark struct{ regions int }

// NewArena makes an empty arena of capacity bytes (0: no limit).
func NewArena(device string, capacity int64) *Arena {
	return &Arena{device: device, capacity: capacity, owners: map[string]int64{}, ownerPeak: map[string]int64{}}
}

// Take reserves bytes and returns their offset, a multiple of Align.
func (a *Arena) Take(owner, name string, bytes int64) (int64, error) {
	size := (bytes + Align - 1) &^ (Align - 1)
	if a.capacity > 0 && a.top+size > a.capacity {
		return 0, &OutOfMemoryError{Device: a.device, Owner: owner, Tensor: name, Want: bytes, Used: a.top, Capacity: a.capacity, Table: a.Table()}
	}
	off := a.top
	a.regions = append(a.regions, region{owner, name, off, size})
	a.top += size
	a.owners[owner] += size
	a.ownerPeak[owner] = max(a.ownerPeak[owner], a.owners[owner])
	if a.top > a.peak {
		a.peak, a.peakPhase = a.top, a.phase
		a.peakTable = nil // copied lazily: the next Release or Peak
	}
	return off, nil
}

// Mark remembers the present height for Release.
func (a *Arena) Mark() Mark { return Mark{len(a.regions)} }

// Release drops every region taken since m and returns the byte range that became free.
func (a *Arena) Release(m Mark) (lo, hi int64) {
	a.keepPeak()
	hi = a.top
	for i := len(a.regions) - 1; i >= m.regions; i-- {
		r := a.regions[i]
		a.owners[r.owner] -= r.bytes
		a.top = r.offset
	}
	a.regions = a.regions[:m.regions]
	return a.top, hi
}

// SetPhase names what the program is doing, for the peak's place in the step.
func (a *Arena) SetPhase(phase string) { a.phase = phase }

// Phase is the name given last.
func (a *Arena) Phase() string { return a.phase }

// Used is the bytes in use.
func (a *Arena) Used() int64 { return a.top }

// Capacity is the arena's size in bytes, 0 when it has no limit.
func (a *Arena) Capacity() int64 { return a.capacity }

// Peak is the greatest use so far, the phase it was first reached in, and who held what then.
func (a *Arena) Peak() (bytes int64, phase string, owners map[string]int64) {
	a.keepPeak()
	return a.peak, a.peakPhase, a.peakTable
}

// OwnerPeak is the most bytes that owner has held at once.
func (a *Arena) OwnerPeak(owner string) int64 { return a.ownerPeak[owner] }

// Owners is who holds how many bytes now.
func (a *Arena) Owners() map[string]int64 { return nonZero(a.owners) }

// Table is Owners as text, the largest first.
func (a *Arena) Table() string {
	type row struct {
		owner string
		bytes int64
	}
	var rows []row
	for o, b := range nonZero(a.owners) {
		rows = append(rows, row{o, b})
	}
	sort.Slice(rows, func(i, j int) bool {
		return rows[i].bytes > rows[j].bytes || rows[i].bytes == rows[j].bytes && rows[i].owner < rows[j].owner
	})
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "  %-24s %14d bytes\n", r.owner, r.bytes)
	}
	return b.String()
}

func (a *Arena) keepPeak() {
	// The table belongs to the peak only while the arena stands at it: Take clears it on a new peak, and the
	// first Release after that still sees the heights of the peak.
	if a.peakTable == nil && a.top == a.peak {
		a.peakTable = nonZero(a.owners)
	}
}

func nonZero(m map[string]int64) map[string]int64 {
	out := map[string]int64{}
	for k, v := range m {
		if v != 0 {
			out[k] = v
		}
	}
	return out
}
