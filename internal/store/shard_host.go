package store

import (
	"fmt"

	"lomo/internal/comm"
	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// home is where a rank's rows live with offload: host: in pinned host memory, for models whose share is larger than a card.
// They come to the device twice: into a unit's stage, from which they are gathered, and, while their gradient is summed, into
// one of two buffers in which they are updated and from which they go home. What orders this is events, as in Host:
//
//	bring rows to a stage    after the last gather from it, and after their last update has arrived at home
//	hold rows for an update  after the buffer's last rows have arrived at home, and these rows' last update
//	take them back           after the update
type home struct {
	d       device.Device
	in, out device.Queue
	bytes   map[string][]byte       // by name: the rows with the padding that travels
	saved   map[string]device.Event // by name: the last update has arrived; absent before the first
	updates [2]held
	turn    int
	moved   struct{ in, out int64 }
}

// held is a buffer for the rows of one matrix.
type held struct {
	buf          tensor.Tensor
	ready, saved device.Event
}

func newHome(d device.Device) (*home, error) {
	h := &home{d: d, bytes: map[string][]byte{}, saved: map[string]device.Event{}}
	var err error
	if h.in, err = d.NewQueue("weights in"); err != nil {
		return nil, err
	}
	h.out, err = d.NewQueue("weights out")
	return h, err
}

// take is a matrix's host memory; its parameters hold no memory of the device.
func (h *home) take(s *Shard, p *grad.Param, dt tensor.DType, shape []int) error {
	part := tensor.Tensor{Name: p.Name, DType: dt, Shape: shape}
	bytes, err := h.d.Pinned("weights", p.Name, part.Bytes())
	if err != nil {
		return fmt.Errorf("host memory: %w", err)
	}
	h.bytes[p.Name] = bytes
	r0, r1 := comm.Rows(p.Shape[0], s.c.Size(), s.c.Rank())
	own := *p
	own.W, own.Row0 = tensor.Tensor{Name: p.Name, DType: dt, Shape: []int{r1 - r0, p.Shape[1]}}, r0
	s.own[p], s.part[p] = &own, part
	p.W = tensor.Tensor{Name: p.Name, DType: dt, Shape: p.Shape}
	return nil
}

// open takes the buffers on the device.
func (h *home) open(s *Shard, dt tensor.DType) (err error) {
	for i, b := range s.buffers() {
		if b.stage, err = s.d.Scratch("weight buffers", fmt.Sprintf("rows to gather %d", i), dt, b.buf.Len()/s.c.Size()); err != nil {
			return err
		}
	}
	largest := 0
	for _, part := range s.part {
		largest = max(largest, part.Len())
	}
	for i := range h.updates {
		if h.updates[i].buf, err = s.d.Scratch("weight buffers", fmt.Sprintf("rows to update %d", i), dt, largest); err != nil {
			return err
		}
	}
	return nil
}

// bring copies the rows of a unit into the buffer's stage and returns them, and the event behind which they are there.
func (h *home) bring(at *gathered, ms []*grad.Param, parts map[*grad.Param]tensor.Tensor, after device.Event) (map[*grad.Param]tensor.Tensor, device.Event) {
	h.in.Wait(after)
	if at.ready != nil { // gathered ahead and never used
		h.in.Wait(at.ready)
	}
	staged, n := map[*grad.Param]tensor.Tensor{}, 0
	for _, p := range ms {
		t := at.stage.Slice(n, n+parts[p].Len()).View(parts[p].Shape...).Named(p.Name)
		h.copyIn(t, p.Name)
		staged[p] = t
		n += t.Len()
	}
	return staged, h.in.Record()
}

func (h *home) copyIn(t tensor.Tensor, name string) {
	if e := h.saved[name]; e != nil {
		h.in.Wait(e)
	}
	h.in.CopyIn(t, h.bytes[name])
	h.moved.in += t.Bytes()
}

// sync waits until everything is at home.
func (h *home) sync() error {
	if h == nil {
		return nil
	}
	for _, q := range []device.Queue{h.in, h.out} {
		if err := q.Sync(); err != nil {
			return fmt.Errorf("weights in host memory: %w", err)
		}
	}
	return nil
}

// Hold starts to bring the rows of own, which a rank is about to update, to the device. Rows that live there are held already.
func (s *Shard) Hold(own *grad.Param) {
	h := s.home
	if h == nil || !own.Matrix() {
		return
	}
	h.turn = 1 - h.turn
	b := &h.updates[h.turn]
	if b.saved != nil {
		h.in.Wait(b.saved)
	}
	rows := own.W.Shape[0]
	part := b.buf.Slice(0, comm.Each(own.Shape[0], s.c.Size())*own.Shape[1]).View(comm.Each(own.Shape[0], s.c.Size()), own.Shape[1]).Named(own.Name)
	h.copyIn(part, own.Name)
	b.ready = h.in.Record()
	own.W = part.Slice(0, rows)
}

// Held holds the computation back until the rows last asked for are there.
func (s *Shard) Held(own *grad.Param) {
	if s.home != nil && own.Matrix() {
		s.d.Wait(s.home.updates[s.home.turn].ready)
	}
}

// Return takes the updated rows back.
func (s *Shard) Return(own *grad.Param) {
	h := s.home
	if h == nil || !own.Matrix() {
		return
	}
	b := &h.updates[h.turn]
	h.out.Wait(s.d.Record())
	to := h.bytes[own.Name]
	if to != nil { // the counting device has none
		to = to[:own.W.Bytes()] // not the padding
	}
	h.out.CopyOut(to, own.W)
	h.moved.out += own.W.Bytes()
	b.saved = h.out.Record()
	h.saved[own.Name] = b.saved
	own.W = tensor.Tensor{Name: own.Name, DType: own.W.DType, Shape: own.W.Shape}
}
