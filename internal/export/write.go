package export

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"lomo/internal/checkpoint"
	"lomo/internal/checkpoint/gguf"
	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// pieceElements is about how many elements are read, encoded and written at a time. Tests make it small.
var pieceElements = 1 << 18

// piece is some rows of a tensor.
type piece struct {
	t      gguf.Tensor
	param  *grad.Param
	r0, r1 int
}

// Write writes the file at path, in several parts where its tensors exceed maxShard bytes (0: none). written is told of the bytes of each
// piece; an error of it ends the work. What was begun is gone when Write fails.
func (p *Plan) Write(path string, maxShard int64, written func(bytes int64) error) error {
	w, err := checkpoint.NewGGUFWriter(path, p.kv, p.tensors, maxShard)
	if err != nil {
		return err
	}
	if err := p.fill(w, written); err != nil {
		w.Abort()
		return err
	}
	return w.Close()
}

// fill gives the pieces to as many goroutines as there are processors; each holds one piece.
func (p *Plan) fill(w *checkpoint.GGUFWriter, written func(bytes int64) error) error {
	for name, values := range p.extra {
		if err := w.WriteRows(name, 0, floats(values)); err != nil {
			return err
		}
	}
	pieces := p.pieces()
	var next atomic.Int64
	var failed atomic.Bool
	var mu sync.Mutex // of written
	errs := make([]error, min(runtime.GOMAXPROCS(0), len(pieces)))
	var workers sync.WaitGroup
	for i := range errs {
		workers.Go(func() {
			var e encoder
			for !failed.Load() {
				n := int(next.Add(1)) - 1
				if n >= len(pieces) {
					return
				}
				raw, err := e.encode(p, pieces[n])
				if err == nil {
					err = w.WriteRows(pieces[n].t.Name, pieces[n].r0, raw)
				}
				if err == nil && written != nil {
					mu.Lock()
					err = written(int64(len(raw)))
					mu.Unlock()
				}
				if err != nil {
					errs[i] = err
					failed.Store(true)
				}
			}
		})
	}
	workers.Wait()
	return cmp.Or(errs...) // one: when the work is interrupted, all say so
}

// pieces cuts the tensors along their rows, between attention heads where those are written in another order.
func (p *Plan) pieces() (list []piece) {
	for _, t := range p.tensors {
		param := p.source[t.Name]
		if param == nil {
			continue
		}
		rows := t.Rows()
		step := rows
		if len(t.Shape) > 1 {
			step = max(1, pieceElements/t.Cols())
			if d := p.metaRows(param); d > 0 {
				step = max(d, step/d*d)
			}
		}
		for r := 0; r < rows; r += step {
			list = append(list, piece{t, param, r, min(rows, r+step)})
		}
	}
	return list
}

// encoder is the buffers of one goroutine.
type encoder struct {
	raw, out       []byte
	values, turned []float32
}

// encode reads the rows of a piece and encodes them. Its result is valid until the next call.
func (e *encoder) encode(p *Plan, at piece) ([]byte, error) {
	cols := at.t.Cols()
	n := (at.r1 - at.r0) * cols
	e.raw, e.values = grown(e.raw, 4*n), grown(e.values, n)
	if err := p.m.Source.ReadRows(at.param.Name, at.r0, at.r1, e.raw, tensor.F32); err != nil {
		return nil, err
	}
	if err := tensor.Float32s(e.values, e.raw, tensor.F32); err != nil {
		return nil, err
	}
	values := e.values
	if d := p.metaRows(at.param); d > 0 {
		e.turned = grown(e.turned, n)
		toMeta(e.turned, values, d, cols)
		values = e.turned
	}
	if offset := p.arch.Offset(at.param.Name); offset != 0 {
		for i := range values {
			values[i] += offset
		}
	}
	block, size := at.t.Type.Block()
	e.out = grown(e.out, n/block*size)
	if err := gguf.Quantize(at.t.Type, e.out, values); err != nil {
		if out := (*gguf.RangeError)(nil); errors.As(err, &out) {
			return nil, fmt.Errorf("%s: tensor %q: row %d has a value too large for %v", filepath.Base(p.m.Source.Path()), at.param.Name, at.r0+out.Element/cols, at.t.Type)
		}
		return nil, err
	}
	return e.out, nil
}

// toMeta puts rows of whole heads of d rows into Meta's order, in which neighbours are rotated together: row j of the first half becomes
// row 2j, row j of the second 2j + 1.
func toMeta(dst, src []float32, d, cols int) {
	for r := range len(src) / cols {
		head, i := r/d*d, r%d
		to := head + i%(d/2)*2 + i/(d/2)
		copy(dst[to*cols:][:cols], src[r*cols:][:cols])
	}
}

func grown[T any](b []T, n int) []T {
	if cap(b) < n {
		return make([]T, n)
	}
	return b[:n]
}
