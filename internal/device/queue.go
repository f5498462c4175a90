package device

import "lomo/internal/tensor"

// Event is a point in an order of work: what was queued before it is done when it is reached.
type Event interface {
	// Sync waits on the host until the point is reached.
	Sync() error
}

// Queue is an order of work beside a device's own: the copies of a store, the collectives of a communicator. Work of one
// queue runs in the order it was given; between queues only events order anything. What a copy reads and writes must
// not be touched until an event behind it is reached. The first failure sticks, as on the device, and Sync reports it.
type Queue interface {
	CopyIn(dst tensor.Tensor, src []byte)  // src from Pinned
	CopyOut(dst []byte, src tensor.Tensor) // dst from Pinned
	Copy(dst, src tensor.Tensor)           // bytes between tensors of one device, same size
	Record() Event
	Wait(Event)
	Sync() error
}
