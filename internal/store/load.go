package store

import (
	"slices"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// Reader is the part of a checkpoint that weights are read from.
type Reader interface {
	ReadRows(name string, r0, r1 int, dst []byte, dt tensor.DType) error
}

// loadBytes bounds the host buffer of a load. Tests make it small, so that a tensor goes in several pieces.
var loadBytes = 4 << 20

// LoadTensor reads one tensor. Host memory is read into directly.
func LoadTensor(d device.Device, name string, t tensor.Tensor, src Reader) error {
	return LoadRows(d, name, 0, t, src)
}

// LoadRows reads the rows of a tensor from row0 on into t.
func LoadRows(d device.Device, name string, row0 int, t tensor.Tensor, src Reader) error {
	rows := t.Shape[0]
	step := max(1, loadBytes/max(1, int(t.Bytes())/max(rows, 1)))
	var buf []byte
	for r := 0; r < rows; r += step {
		e := min(r+step, rows)
		dst := t.Slice(r, e)
		into := dst.Host
		if len(into) == 0 {
			buf = slices.Grow(buf[:0], int(dst.Bytes()))[:dst.Bytes()]
			into = buf
		}
		if err := src.ReadRows(name, row0+r, row0+e, into, dst.DType); err != nil {
			return err
		}
		if len(dst.Host) == 0 {
			d.CopyIn(dst, buf)
		}
	}
	return nil
}

// Writer receives weights, row ranges of named tensors in their own dtype.
type Writer interface {
	WriteRows(name string, r0 int, data []byte) error
}

// SaveTensor writes one tensor, a few megabytes at a time.
func SaveTensor(d device.Device, name string, t tensor.Tensor, dst Writer) error {
	return SaveTensorAt(d, name, 0, t, dst)
}

// SaveTensorAt writes t as the rows of a tensor from row0 on.
func SaveTensorAt(d device.Device, name string, row0 int, t tensor.Tensor, dst Writer) error {
	rows := t.Shape[0]
	rowBytes := int(t.Bytes()) / max(rows, 1)
	step := max(1, loadBytes/max(rowBytes, 1))
	var buf []byte
	for r := 0; r < rows; r += step {
		part := t.Slice(r, min(r+step, rows))
		data := part.Host
		if len(data) == 0 {
			buf = slices.Grow(buf[:0], int(part.Bytes()))[:part.Bytes()]
			d.CopyOut(buf, part)
			data = buf
		}
		if err := dst.WriteRows(name, row0+r, data); err != nil {
			return err
		}
	}
	return nil
}
