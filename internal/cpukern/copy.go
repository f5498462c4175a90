package cpukern

import (
	"fmt"

	"lomo/internal/tensor"
)

// CopyIn copies the host's bytes to a tensor of the same size.
func (d *Device) CopyIn(dst tensor.Tensor, src []byte) {
	if int64(len(src)) != dst.Bytes() {
		panic(fmt.Sprintf("CopyIn: %d bytes for tensor %v of %d", len(src), dst, dst.Bytes()))
	}
	if d.ready() {
		copy(dst.Host, src)
	}
}

// CopyOut copies a tensor's bytes to the host, also after a failure.
func (d *Device) CopyOut(dst []byte, src tensor.Tensor) {
	if int64(len(dst)) != src.Bytes() {
		panic(fmt.Sprintf("CopyOut: %d bytes from tensor %v of %d", len(dst), src, src.Bytes()))
	}
	d.arena.poison()
	copy(dst, src.Host)
}

// Zero clears every element.
func (d *Device) Zero(t tensor.Tensor) {
	if d.ready() {
		clear(t.Host[:t.Bytes()])
	}
}

// Copy converts element by element between F32 and BF16; other types copy their bytes.
func (d *Device) Copy(dst, src tensor.Tensor) {
	wantLen("Copy", src, dst.Len())
	if !d.ready() {
		return
	}
	if dst.DType == src.DType {
		d.pool.blocks(int(src.Bytes()), 4*sumBlock, func(_ *workspace, _, lo, hi int) { copy(dst.Host[lo:hi], src.Host[lo:hi]) })
		return
	}
	to, from := floatsOf("Copy", dst), floatsOf("Copy", src)
	d.pool.blocks(dst.Len(), sumBlock, func(_ *workspace, _, lo, hi int) {
		if to.half {
			d.k.narrow(to.h[lo:hi], from.f[lo:hi])
		} else {
			d.k.widen(to.f[lo:hi], from.h[lo:hi])
		}
	})
}
