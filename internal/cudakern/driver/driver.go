// Package driver is the part of the CUDA driver API that cudakern needs, as an interface. Three things stand behind it: the
// real driver (through gorgonia.org/cu, build tag cuda), a simulated one that interprets PTX (package sim), and in the
// ladder's fourth rung the simulated one again behind the real binding.
//
// Device addresses are plain numbers; host memory that asynchronous copies touch is pinned. Nothing is safe for use by
// several goroutines but calls on different devices.
package driver

// Driver is what is installed on the machine.
type Driver interface {
	// Version is the CUDA version the driver supports, 12040 for 12.4.
	Version() int
	Count() int
	// Open makes device i usable by the calling goroutine, which must be locked to its thread.
	Open(i int) (Device, error)
}

// Device is one card with its primary context current.
type Device interface {
	Info() Info
	// Memory is the card's free and total bytes.
	Memory() (free, total int64, err error)
	Alloc(bytes int64) (addr uint64, err error)
	Free(addr uint64) error
	// AllocHost is pinned, zeroed host memory.
	AllocHost(bytes int64) ([]byte, error)
	FreeHost(b []byte) error

	// Load compiles PTX text for this card.
	Load(ptx string) (Module, error)

	// Stream 0 is made by Open; NewStream makes others, which run beside it (non-blocking streams).
	NewStream() (Stream, error)
	NewEvent() (Event, error)

	// CanAccessPeer says whether kernels and copies may address other's memory directly, EnablePeer allows it.
	CanAccessPeer(other Device) bool
	EnablePeer(other Device) error
	// CopyPeer copies between two cards in the order of s, a stream of this one, by whatever way the driver has.
	CopyPeer(dst uint64, to Device, src uint64, from Device, bytes int64, s Stream) error

	// Synchronize waits for all streams and reports the first failure of anything queued.
	Synchronize() error
	Close() error
}

// Info is what a card says of itself.
type Info struct {
	Index           int
	Name, UUID, PCI string
	Major, Minor    int // compute capability
	Multiprocessors int
	ClockKHz        int
	MemoryClockKHz  int
	BusBits         int
	SharedPerBlock  int // bytes of shared memory a block may opt in to
	L2Bytes         int
}

// Module is loaded PTX.
type Module interface {
	Function(name string) (Function, error)
}

// Function is a kernel.
type Function interface {
	// SetShared allows so many bytes of dynamic shared memory, needed above 48 KiB.
	SetShared(bytes int) error
}

// Stream is an order of work on a card. Launch and copies return at once.
type Stream interface {
	// Launch runs f. args holds each parameter in 8 bytes of its own, little endian: pointers and 64-bit integers whole, 32-bit
	// integers and floats in the low half.
	Launch(f Function, grid, block [3]int, shared int, args []uint64) error
	CopyIn(dst uint64, src []byte) error  // asynchronous when src is pinned
	CopyOut(dst []byte, src uint64) error // likewise; else it waits
	Copy(dst, src uint64, bytes int64) error
	Set(dst uint64, value byte, bytes int64) error
	Record(e Event) error
	Wait(e Event) error
	Synchronize() error
}

// Event is a point in a stream.
type Event interface {
	Synchronize() error
	// Since is the milliseconds between two reached events.
	Since(start Event) (float64, error)
}
