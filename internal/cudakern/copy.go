package cudakern

import (
	"fmt"
	"unsafe"

	"lomo/internal/tensor"
)

// CopyIn copies the host's bytes to a tensor of the same size; src is the caller's again when it returns.
func (d *Device) CopyIn(dst tensor.Tensor, src []byte) {
	if int64(len(src)) != dst.Bytes() {
		panic(fmt.Sprintf("CopyIn: %d bytes for tensor %v of %d", len(src), dst, dst.Bytes()))
	}
	if !d.ready() || len(src) == 0 {
		return
	}
	d.fail(d.stream.CopyIn(dst.Addr, src))
	if d.isPinned(src) { // the driver has staged other memory, of this it only knows the address
		d.fail(d.stream.Synchronize())
	}
}

func (d *Device) isPinned(b []byte) bool {
	at := uintptr(unsafe.Pointer(&b[0]))
	for _, p := range d.pins {
		if lo := uintptr(unsafe.Pointer(unsafe.SliceData(p))); at >= lo && at < lo+uintptr(cap(p)) {
			return true
		}
	}
	return false
}

// CopyOut copies a tensor's bytes to the host and waits for them, also after a failure.
func (d *Device) CopyOut(dst []byte, src tensor.Tensor) {
	if int64(len(dst)) != src.Bytes() {
		panic(fmt.Sprintf("CopyOut: %d bytes from tensor %v of %d", len(dst), src, src.Bytes()))
	}
	d.poison()
	if len(dst) == 0 {
		return
	}
	d.fail(d.stream.CopyOut(dst, src.Addr))
	d.fail(d.stream.Synchronize())
}

// Zero clears every element.
func (d *Device) Zero(t tensor.Tensor) {
	if n := t.Bytes(); d.ready() && n > 0 {
		d.launch("Zero", "zero_bytes", flat((n+1)/2), flatBlock, 0, t, n)
	}
}

// Copy converts element by element between F32 and BF16; other types copy their bytes.
func (d *Device) Copy(dst, src tensor.Tensor) {
	wantLen("Copy", src, dst.Len())
	if !d.ready() {
		return
	}
	if n := dst.Bytes(); dst.DType == src.DType {
		d.launch("Copy", "copy_bytes", flat((n+1)/2), flatBlock, 0, dst, src, n)
		return
	}
	d.launch("Copy", "convert", flat(int64(dst.Len())), flatBlock, 0, dst, src, dst.Len(), halves("Copy", dst, src))
}
