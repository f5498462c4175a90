// Package store is where a model's weights live between their uses. The sweep acquires a unit (the embedding, a
// block, the head), uses and updates its tensors, and releases it; it is the same code for every store (design.md 2.3).
package store

import (
	"errors"
	"fmt"

	"lomo/internal/device"
	"lomo/internal/grad"
	"lomo/internal/tensor"
)

// Store holds weights. Between Acquire and Release of a unit its parameters' W are on the device.
type Store interface {
	// Acquire brings the parameters of one unit to the device.
	Acquire(unit []*grad.Param) error
	// Prefetch says that a unit will be wanted soon. It may do nothing.
	Prefetch(unit []*grad.Param)
	// Release ends the use of a unit; dirty says that its weights were updated.
	Release(unit []*grad.Param, dirty bool) error

	// Load fills every parameter from src, Save writes every parameter to dst.
	Load(src Reader) error
	Save(dst Writer) error
	// Traffic is the bytes the store has moved to and from the device so far.
	Traffic() (in, out int64)
	Close() error
}

// ByExpert is a store that brings the matrices of experts apart from their block, one by one and no more than a step uses.
type ByExpert interface {
	// Use brings p for the operations queued from here on, and lets the one before go. A parameter that is no expert's is there with its block. What
	// fails is said when the block is released.
	Use(p *grad.Param)
	// Soon says that p is used next.
	Soon(p *grad.Param)
	// Changed says that what Use has brought is updated.
	Changed(p *grad.Param)
}

// With calls f with the weights of a unit on the device, and releases them however f ends. dirty says that f updates them; when it fails they
// are released as they were. Whoever uses weights does so here: a unit that stays acquired takes the buffer that another one needs.
func With(s Store, unit []*grad.Param, dirty bool, f func() error) error {
	if err := s.Acquire(unit); err != nil {
		return err
	}
	err := f()
	if late := s.Release(unit, dirty && err == nil); late != nil {
		return errors.Join(err, late)
	}
	return err
}

// Resident keeps every weight on the device for the whole run.
type Resident struct {
	d      device.Device
	params []*grad.Param
}

// NewResident takes the tensors of all parameters, in dtype dt. Their contents are undefined until loaded.
func NewResident(d device.Device, params []*grad.Param, dt tensor.DType) (*Resident, error) {
	for _, p := range params {
		t, err := d.Scratch("weights", p.Name, dt, p.Shape...)
		if err != nil {
			return nil, fmt.Errorf("weights: %w", err)
		}
		p.W = t
	}
	return &Resident{d, params}, nil
}

func (*Resident) Acquire([]*grad.Param) error       { return nil }
func (*Resident) Prefetch([]*grad.Param)            {}
func (*Resident) Release([]*grad.Param, bool) error { return nil }
func (*Resident) Traffic() (in, out int64)          { return 0, 0 }
func (*Resident) Close() error                      { return nil }

// Load reads every parameter into its place.
func (s *Resident) Load(src Reader) error {
	for _, p := range s.params {
		if err := LoadTensor(s.d, p.Name, p.W, src); err != nil {
			return err
		}
	}
	return s.d.Sync()
}

// Save writes every parameter in the dtype it is held in.
func (s *Resident) Save(dst Writer) error {
	if err := s.d.Sync(); err != nil {
		return err
	}
	for _, p := range s.params {
		if err := SaveTensor(s.d, p.Name, p.W, dst); err != nil {
			return fmt.Errorf("save %q: %w", p.Name, err)
		}
	}
	return nil
}
