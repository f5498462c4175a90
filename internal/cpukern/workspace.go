package cpukern

import "unsafe"

// workspaceBytes is what one thread may use beside the arena. Attention's backward pass takes the most: the sums of a key head
// (attention_backward.go).
const workspaceBytes = 4 << 20

const arenaSlack = 2 << 20 // mmap_linux.go

// WorkspaceBytes is the most memory, outside the arena and the Go heap, that a device with so many threads uses, and what the
// arena's last large page has too much.
func WorkspaceBytes(threads int) int64 {
	return int64(threads)*workspaceBytes + sharedBytes + ghostBytes + arenaSlack
}

// WorkspaceOf is WorkspaceBytes for products whose factors, packed, have together at most so many bytes: small ones touch little of it.
func WorkspaceOf(threads int, factors int64) int64 {
	return WorkspaceBytes(threads) - sharedBytes + min(sharedBytes, (factors+2*arenaSlack-1)/arenaSlack*arenaSlack)
}

// workspace is the scratch memory of one thread, handed out from the bottom and taken back as a whole before the next task.
type workspace struct {
	mem  []byte
	used int
}

func newWorkspace(bytes int64) (*workspace, error) {
	b, err := reserve(bytes)
	if err != nil {
		return nil, err
	}
	return &workspace{mem: b}, nil
}

func (ws *workspace) reset() { ws.used = 0 }

// floats is n elements of scratch, 64-byte aligned, not cleared.
func (ws *workspace) floats(n int) []float32 {
	return floatBytes(ws.take(4 * n))[:n:n]
}

// halves is n 16-bit elements of scratch.
func (ws *workspace) halves(n int) []uint16 {
	b := ws.take(2 * n)
	return unsafe.Slice((*uint16)(unsafe.Pointer(&b[0])), n)
}

// doubles is n float64 elements of scratch.
func (ws *workspace) doubles(n int) []float64 {
	b := ws.take(8 * n)
	return unsafe.Slice((*float64)(unsafe.Pointer(&b[0])), n)
}

func (ws *workspace) take(bytes int) []byte {
	lo := ws.used
	ws.used += (bytes + 127) &^ 63 // whole cache lines and one of slack: kernels may write a vector past the end
	if ws.used > len(ws.mem) {
		panic("cpukern: a task asks for more workspace than there is")
	}
	return ws.mem[lo:ws.used]
}

func (ws *workspace) close() {
	unreserve(ws.mem) //nolint:errcheck // nothing can be done about it, and the process ends soon
	ws.mem = nil
}
