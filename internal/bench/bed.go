package bench

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"lomo/internal/device"
	"lomo/internal/model"
	"lomo/internal/tensor"
)

// group is kernels that share tensors.
type group struct {
	name    string
	only    tensor.DType // Invalid: each of DTypes
	kernels func(*bed) []kernel
}

// kernel is a call ready to be timed. It may run any number of times on its own results.
type kernel struct {
	name, shape string
	flops       float64
	bytes       int64
	call        func()
}

// product is a kernel that is bound by arithmetic.
func product(name, shape string, flops float64, call func()) kernel {
	return kernel{name: name, shape: shape, flops: flops, call: call}
}

// moves is a kernel that is bound by memory; traffic names each tensor as often as it must be read or written.
func moves(name string, main tensor.Tensor, call func(), traffic ...tensor.Tensor) kernel {
	k := kernel{name: name, shape: dims(main.Shape...), call: call}
	for _, t := range traffic {
		k.bytes += t.Bytes()
	}
	return k
}

func dims(n ...int) string {
	var parts []string
	for _, d := range n {
		parts = append(parts, fmt.Sprint(d))
	}
	return strings.Join(parts, "x")
}

// bed makes the tensors of a group. The first failure sticks; the tensors made after it are not to be used.
type bed struct {
	d   device.Device
	o   Options
	dt  tensor.DType // of weights and activations
	err error

	step  device.Step         // of updates
	first func(n int) []int32 // where the documents of a sequence begin
	made  []tensor.Tensor     // in their order
}

// of is a tensor of the group's type with values between 1/16 and 17/16: no kernel meets zeros, denormals or infinities.
func (b *bed) of(shape ...int) tensor.Tensor { return b.varied(b.dt, shape...) }

// f32 is the same in float32.
func (b *bed) f32(shape ...int) tensor.Tensor { return b.varied(tensor.F32, shape...) }

func (b *bed) varied(dt tensor.DType, shape ...int) tensor.Tensor {
	return b.fill(dt, func(i int) float64 { return float64(i*7%17+1) / 16 }, shape...)
}

// full has one value everywhere.
func (b *bed) full(dt tensor.DType, v float64, shape ...int) tensor.Tensor {
	return b.fill(dt, func(int) float64 { return v }, shape...)
}

// indices are 0, step, 2·step … as I32.
func (b *bed) indices(n, step int) tensor.Tensor {
	all := make([]int32, n)
	for i := range all {
		all[i] = int32(i * step)
	}
	t := b.take(tensor.I32, n)
	if b.err == nil {
		b.d.CopyIn(t, littleEndian(all))
	}
	return t
}

func littleEndian(all []int32) []byte {
	raw := make([]byte, 0, 4*len(all))
	for _, v := range all {
		raw = binary.LittleEndian.AppendUint32(raw, uint32(v))
	}
	return raw
}

// fill repeats the first elements that f gives over the whole tensor: a large one is made in pieces.
func (b *bed) fill(dt tensor.DType, f func(i int) float64, shape ...int) tensor.Tensor {
	t := b.take(dt, shape...)
	if b.err != nil {
		return t
	}
	const piece = 1 << 18
	raw := make([]byte, dt.Size()*min(t.Len(), piece))
	for i := range len(raw) / dt.Size() {
		put(raw[i*dt.Size():], dt, f(i))
	}
	flat := t.View(t.Len())
	for lo := 0; lo < t.Len(); lo += piece {
		part := flat.Slice(lo, min(lo+piece, t.Len()))
		b.d.CopyIn(part, raw[:part.Bytes()])
	}
	return t
}

func put(raw []byte, dt tensor.DType, v float64) {
	switch dt {
	case tensor.BF16:
		binary.LittleEndian.PutUint16(raw, tensor.F32ToBF16(float32(v)))
	case tensor.F32:
		binary.LittleEndian.PutUint32(raw, math.Float32bits(float32(v)))
	case tensor.F64:
		binary.LittleEndian.PutUint64(raw, math.Float64bits(v))
	default:
		panic("bench: no values of " + dt.String())
	}
}

func (b *bed) take(dt tensor.DType, shape ...int) tensor.Tensor {
	if b.err != nil {
		return tensor.Tensor{}
	}
	t, err := b.d.Scratch("bench", dims(shape...), dt, shape...)
	b.err = err
	b.made = append(b.made, t)
	return t
}

// vocabBlock is how many rows of the vocabulary are in work at once, as in model.Head.
func (b *bed) vocabBlock() int {
	return max(1, min(b.o.Model.VocabSize, model.LogitsBytes/4/max(b.o.Tokens, b.o.Model.HiddenSize)))
}
