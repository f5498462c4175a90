package simserver

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"strings"

	"lomo/internal/cudakern/driver"
	"lomo/internal/cudakern/sim"
)

// call does what q asks for. r and the bytes returned are the answer.
func (p *process) call(q request, data []byte, r *[2]uint64) ([]byte, error) {
	switch q.Op {
	case opHello:
		p.report.PID = int(q.A[0])
		r[0], r[1] = uint64(p.m.Count()), uint64(p.m.Version())
		return nil, nil
	case opName, opUUID, opTotal, opAttribute, opRetain, opRelease, opCanPeer:
		return p.cardCall(q, r)
	}
	d, err := p.current(q)
	if err != nil {
		return nil, err
	}
	switch q.Op {
	case opEnablePeer:
		other, err := p.card(q.A[0])
		if err != nil {
			return nil, err
		}
		return nil, d.EnablePeer(other)
	case opSynchronize:
		return nil, d.Synchronize()
	case opMemInfo:
		free, total, err := d.Memory()
		r[0], r[1] = uint64(free), uint64(total)
		return nil, err
	case opAlloc:
		r[0], err = d.Alloc(int64(q.A[0]))
		return nil, err
	case opFree:
		return nil, d.Free(q.A[0])
	case opPin:
		return nil, p.pin(uintptr(q.A[0]), int64(q.A[1]), int(q.A[2]))
	case opUnpin:
		return nil, p.unpin(uintptr(q.A[0]))
	case opLoad, opFunction, opSetShared, opLaunch:
		return p.kernelCall(d, q, data, r)
	case opUnload, opStreamFree, opEventFree:
		if _, err := thing[any](p, q.A[0]); err != nil {
			return nil, err
		}
		delete(p.things, q.A[0])
		return nil, nil
	case opStreamNew:
		s, err := d.NewStream()
		r[0] = p.keep(&owned[driver.Stream]{d, s})
		return nil, err
	case opEventNew:
		e, err := d.NewEvent()
		r[0] = p.keep(&owned[driver.Event]{d, e})
		return nil, err
	case opEventSync, opEventElapsed:
		return nil, p.eventCall(q, r)
	}
	return p.streamCall(d, q, data)
}

// owned is a stream or an event and its card.
type owned[T any] struct {
	d driver.Device
	v T
}

// cardCall is about a card and needs no context.
func (p *process) cardCall(q request, r *[2]uint64) ([]byte, error) {
	d, err := p.card(q.A[0])
	if err != nil {
		return nil, err
	}
	switch i := int(q.A[0]); q.Op {
	case opName:
		return []byte(d.Info().Name), nil
	case opUUID:
		id, err := hex.DecodeString(strings.ReplaceAll(strings.TrimPrefix(d.Info().UUID, "GPU-"), "-", ""))
		return id, err
	case opTotal:
		_, total, err := d.Memory()
		r[0] = uint64(total)
		return nil, err
	case opAttribute:
		v, ok := attribute(d.Info(), q.A[1])
		if !ok {
			return nil, &driver.Error{Call: "cuDeviceGetAttribute", Card: i, Code: driver.InvalidValue}
		}
		r[0] = uint64(v)
	case opRetain:
		p.held[i]++
	case opRelease:
		if p.held[i]--; p.held[i] == 0 {
			p.cards[i] = nil
			return nil, d.Close()
		}
	case opCanPeer:
		other, err := p.card(q.A[1])
		if err == nil && d.CanAccessPeer(other) {
			r[0] = 1
		}
		return nil, err
	}
	return nil, nil
}

// attribute is a CUdevice_attribute of a card.
func attribute(i driver.Info, what uint64) (int, bool) {
	pci := strings.FieldsFunc(i.PCI, func(c rune) bool { return c == ':' || c == '.' })
	part := func(n int) int {
		b, err := hex.DecodeString(pci[n])
		if err != nil {
			return 0
		}
		return int(b[len(b)-1])
	}
	switch what {
	case 13:
		return i.ClockKHz, true
	case 16:
		return i.Multiprocessors, true
	case 33:
		return part(1), true
	case 34:
		return part(2), true
	case 36:
		return i.MemoryClockKHz, true
	case 37:
		return i.BusBits, true
	case 38:
		return i.L2Bytes, true
	case 50:
		return part(0), true
	case 75:
		return i.Major, true
	case 76:
		return i.Minor, true
	case 97:
		return i.SharedPerBlock, true
	}
	return 0, false
}

// kernelCall is about modules and functions.
func (p *process) kernelCall(d driver.Device, q request, data []byte, r *[2]uint64) ([]byte, error) {
	switch q.Op {
	case opLoad:
		m, err := d.Load(string(data))
		var e *driver.Error
		if errors.As(err, &e) {
			return []byte(e.Detail), err
		}
		r[0] = p.keep(m)
		return nil, err
	case opFunction:
		m, err := thing[driver.Module](p, q.A[0])
		if err != nil {
			return nil, err
		}
		f, err := m.Function(string(data))
		if err != nil {
			return nil, err
		}
		r[0] = p.keep(f)
		var sizes []byte
		for _, n := range sim.Params(f) {
			sizes = binary.LittleEndian.AppendUint32(sizes, uint32(n))
		}
		return sizes, nil
	}
	f, err := thing[driver.Function](p, q.A[0])
	if err != nil {
		return nil, err
	}
	if q.Op == opSetShared {
		return nil, f.SetShared(int(q.A[1]))
	}
	s, err := p.stream(d, q.A[1])
	if err != nil {
		return nil, err
	}
	words := make([]uint64, len(data)/8)
	for i := range words {
		words[i] = binary.LittleEndian.Uint64(data[8*i:])
	}
	dim := func(i int) [3]int { return [3]int{int(words[i]), int(words[i+1]), int(words[i+2])} }
	return nil, s.Launch(f, dim(0), dim(3), int(words[6]), words[7:])
}

// stream is a stream of the current card: another card's is an error, as in CUDA.
func (p *process) stream(d driver.Device, handle uint64) (driver.Stream, error) {
	s, err := thing[*owned[driver.Stream]](p, handle)
	if err != nil {
		return nil, err
	}
	if s.d != d {
		return nil, &driver.Error{Call: "stream", Card: d.Info().Index, Code: driver.InvalidHandle, Detail: "the stream is of another card than the current context"}
	}
	return s.v, nil
}

func (p *process) eventCall(q request, r *[2]uint64) error {
	e, err := thing[*owned[driver.Event]](p, q.A[0])
	if err != nil {
		return err
	}
	if q.Op == opEventSync {
		return e.v.Synchronize()
	}
	end, err := thing[*owned[driver.Event]](p, q.A[1])
	if err != nil {
		return err
	}
	ms, err := end.v.Since(e.v)
	r[0] = math.Float64bits(ms)
	return err
}

// streamCall is work for a stream, which is argument number where[op].
func (p *process) streamCall(d driver.Device, q request, data []byte) ([]byte, error) {
	where := map[uint32]int{opStreamSync: 0, opStreamWait: 0, opEventRecord: 1, opCopyIn: 2, opCopyOut: 2, opCopy: 3, opCopyPeer: 5, opSet: 3}
	i, ok := where[q.Op]
	if !ok {
		return nil, &driver.Error{Call: "request", Card: -1, Code: driver.InvalidValue}
	}
	s, err := p.stream(d, q.A[i])
	if err != nil {
		return nil, err
	}
	a := q.A
	switch q.Op {
	case opStreamSync:
		return nil, s.Synchronize()
	case opStreamWait, opEventRecord:
		e, err := thing[*owned[driver.Event]](p, a[1-i])
		if err != nil {
			return nil, err
		}
		if q.Op == opStreamWait {
			return nil, s.Wait(e.v)
		}
		return nil, s.Record(e.v)
	case opCopyIn:
		if a[3] != 0 {
			data, err = p.pinned(uintptr(a[3]), int64(a[1]))
		}
		if err != nil {
			return nil, err
		}
		return nil, s.CopyIn(a[0], data)
	case opCopyOut:
		if a[3] == 0 {
			data = make([]byte, a[1])
			return data, s.CopyOut(data, a[0])
		}
		to, err := p.pinned(uintptr(a[3]), int64(a[1]))
		if err != nil {
			return nil, err
		}
		return nil, s.CopyOut(to, a[0])
	case opCopy:
		return nil, s.Copy(a[0], a[1], int64(a[2]))
	case opSet:
		return nil, s.Set(a[0], byte(a[1]), int64(a[2]))
	}
	to, err := p.card(a[1])
	if err != nil {
		return nil, err
	}
	from, err := p.card(a[3])
	if err != nil {
		return nil, err
	}
	return nil, d.CopyPeer(a[0], to, a[2], from, int64(a[4]), s)
}
