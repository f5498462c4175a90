// Package simserver answers the CUDA calls of another process from package sim. The process loads shim/shim.c in the place of libcuda, so
// that the binary users run, with its real binding, can be proved where there is no GPU. lomo does not link it.
package simserver

import (
	"encoding/binary"
	"fmt"
	"io"

	"lomo/internal/cudakern/driver"
)

// The requests, as in shim.c. The arguments are in a, handles are numbers this side gave.
const (
	opHello     = iota + 1 // pid → cards, version
	opName                 // card → text
	opUUID                 // card → 16 bytes
	opTotal                // card → bytes
	opAttribute            // card, CUdevice_attribute → value
	opRetain               // card
	opRelease              // card
	opCanPeer              // card, other → 0 or 1
	opEnablePeer
	opSynchronize
	opMemInfo      // → free, total
	opAlloc        // bytes → address
	opFree         // address
	opPin          // address in the process, bytes, file descriptor in the process
	opUnpin        // address in the process
	opLoad         // PTX → module, or the compiler's complaint
	opUnload       // module
	opFunction     // module; name → function; uint32 bytes of each parameter
	opSetShared    // function, bytes
	opLaunch       // function, stream; grid, block, shared, arguments, each in 8 bytes
	opStreamNew    // → stream
	opStreamFree   // stream
	opStreamSync   // stream
	opStreamWait   // stream, event
	opEventNew     // → event
	opEventFree    // event
	opEventRecord  // event, stream
	opEventSync    // event
	opEventElapsed // start, end → float64
	opCopyIn       // to, bytes, stream, pinned address or 0; the bytes if 0
	opCopyOut      // from, bytes, stream, pinned address or 0 → the bytes if 0
	opCopy         // to, from, bytes, stream
	opCopyPeer     // to, its card, from, its card, bytes, stream
	opSet          // to, value, bytes, stream
)

// request is a call. Card is that of the context current in the calling thread, from 1; 0: none.
type request struct {
	Op, Card uint32
	A        [6]uint64
	Size     uint64
}

// reply is its answer; Size bytes follow.
type reply struct {
	Code int32
	_    uint32
	R    [2]uint64
	Size uint64
}

// mostBytes is the largest message believed.
const mostBytes = 4 << 30

// receive reads a request and its data.
func receive(r io.Reader) (q request, data []byte, err error) {
	if err = binary.Read(r, binary.LittleEndian, &q); err != nil {
		return q, nil, err
	}
	if q.Size > mostBytes {
		return q, nil, fmt.Errorf("a request of %d bytes", q.Size)
	}
	data = make([]byte, q.Size)
	_, err = io.ReadFull(r, data)
	return q, data, err
}

// answer sends what a call came to.
func answer(w io.Writer, code driver.Code, r [2]uint64, data []byte) error {
	if err := binary.Write(w, binary.LittleEndian, reply{Code: int32(code), R: r, Size: uint64(len(data))}); err != nil {
		return err
	}
	_, err := w.Write(data)
	return err
}
