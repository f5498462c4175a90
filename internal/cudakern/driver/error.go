package driver

import "fmt"

// Code is a CUresult of cuda.h.
type Code int

// The codes that somebody here tells apart.
const (
	InvalidValue       Code = 1
	OutOfMemory        Code = 2
	Deinitialized      Code = 4
	NoDevice           Code = 100
	InvalidDevice      Code = 101
	InvalidContext     Code = 201
	NoUnit             Code = 209 // no binary for the card
	InvalidPTX         Code = 218
	InvalidHandle      Code = 400
	NotFound           Code = 500
	NotReady           Code = 600
	IllegalAddress     Code = 700
	LaunchResources    Code = 701
	PeerAlreadyEnabled Code = 704
	PeerNotEnabled     Code = 705
	MisalignedAddress  Code = 716
	LaunchFailed       Code = 719
	Unknown            Code = 999 // also a card that has left the bus
)

var codeTexts = map[Code]struct{ name, text string }{
	InvalidValue:       {"CUDA_ERROR_INVALID_VALUE", "invalid argument"},
	OutOfMemory:        {"CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
	Deinitialized:      {"CUDA_ERROR_DEINITIALIZED", "driver shutting down"},
	NoDevice:           {"CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
	InvalidDevice:      {"CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
	InvalidContext:     {"CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
	NoUnit:             {"CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
	InvalidPTX:         {"CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
	InvalidHandle:      {"CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
	NotFound:           {"CUDA_ERROR_NOT_FOUND", "named symbol not found"},
	NotReady:           {"CUDA_ERROR_NOT_READY", "device not ready"},
	IllegalAddress:     {"CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
	LaunchResources:    {"CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
	PeerAlreadyEnabled: {"CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED", "peer access is already enabled"},
	PeerNotEnabled:     {"CUDA_ERROR_PEER_ACCESS_NOT_ENABLED", "peer access has not been enabled"},
	MisalignedAddress:  {"CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
	LaunchFailed:       {"CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
	Unknown:            {"CUDA_ERROR_UNKNOWN", "unknown error"},
}

// Known says whether the code has a name and a text here.
func (c Code) Known() bool { _, ok := codeTexts[c]; return ok }

// Name is the name in cuda.h, or the number.
func (c Code) Name() string {
	if t, ok := codeTexts[c]; ok {
		return t.name
	}
	return fmt.Sprintf("CUDA error %d", int(c))
}

// Text is one line for people.
func (c Code) Text() string {
	if t, ok := codeTexts[c]; ok {
		return t.text
	}
	return c.Name()
}

// Error is a call the driver refused, or work that failed before it and is reported now.
type Error struct {
	Call   string // "cuMemAlloc", for messages
	Card   int    // -1: none
	Code   Code
	Detail string // what else is known, may be empty
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %s (%s)", e.Call, e.Code.Text(), e.Code.Name())
	if e.Card >= 0 {
		s = fmt.Sprintf("card %d: %s", e.Card, s)
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// DeviceFailed reports whether the card itself has failed and will not work again in this process: what other cards' ranks then say is
// a consequence.
func (e *Error) DeviceFailed() bool {
	return e.Code >= IllegalAddress && e.Code != LaunchResources && e.Code != PeerAlreadyEnabled && e.Code != PeerNotEnabled
}

// Is lets errors.Is(err, driver.OutOfMemory) ask for a code.
func (e *Error) Is(target error) bool {
	c, ok := target.(Code)
	return ok && c == e.Code
}

func (c Code) Error() string { return c.Text() + " (" + c.Name() + ")" }
