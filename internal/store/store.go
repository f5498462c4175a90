// Package store is where a model's weights live between their uses. The sweep acquires a unit (the embedding, a
// block, the head), uses and updates its tensors, and releases it; it is the same code for every store (design.md 2.3).
package store

import (
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
}

// Resident keeps every weight on the device for the whole run.
type Resident struct{}

// NewResident takes the tensors of all parameters, in dtype dt. Their contents are undefined until loaded.
func NewResident(d device.Device, params []*grad.Param, dt tensor.DType) (*Resident, error) {
	for _, p := range params {
		t, err := d.Scratch("weights", p.Name, dt, p.Shape...)
		if err != nil {
			return nil, fmt.Errorf("weights: %w", err)
		}
		p.W = t
	}
	return &Resident{}, nil
}

func (*Resident) Acquire([]*grad.Param) error       { return nil }
func (*Resident) Prefetch([]*grad.Param)            {}
func (*Resident) Release([]*grad.Param, bool) error { return nil }
