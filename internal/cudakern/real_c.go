//go:build cuda

package cudakern

// What package cu lacks, over the same trampolines: opening the driver, pinned host memory, the compiler's messages, dynamic
// shared memory beyond 48 KiB.

/*
#include <stdlib.h>
#include <cuda.h>
#include "trampoline/trampoline.h"

static CUresult load(CUmodule *m, const char *ptx, char *log, unsigned int bytes) {
	CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
	void *values[] = {log, (void *)(size_t)bytes};
	log[0] = '\0';
	return cuModuleLoadDataEx(m, ptx, 2, options, values);
}
*/
import "C"

import (
	"strings"
	"unsafe"

	"gorgonia.org/cu"

	"lomo/internal/cudakern/driver"
)

// openLibrary finds the driver's library and initialises it. found is its path, or why there is none.
func openLibrary() (found string, outcome int, code driver.Code) {
	message := (*C.char)(C.calloc(1, 512))
	defer C.free(unsafe.Pointer(message))
	var c C.int
	outcome = int(C.lomo_cuda_open(message, 512, &c))
	return C.GoString(message), outcome, driver.Code(c)
}

const (
	libraryOpen = C.LOMO_CUDA_OPEN
	noLibrary   = C.LOMO_CUDA_NO_LIBRARY
	noCard      = C.LOMO_CUDA_NO_CARD
)

// loadModule compiles PTX for the current context. log is the compiler's complaint.
func loadModule(ptx string) (m cu.Module, code driver.Code, log string) {
	const room = 8 << 10
	text, buffer := C.CString(ptx), (*C.char)(C.malloc(room))
	defer C.free(unsafe.Pointer(text))
	defer C.free(unsafe.Pointer(buffer))
	var mod C.CUmodule
	code = driver.Code(C.load(&mod, text, buffer, room))
	*(*C.CUmodule)(unsafe.Pointer(&m)) = mod // a cu.Module is nothing else
	return m, code, strings.TrimSpace(C.GoString(buffer))
}

// allocHost pins host memory that all cards may use.
func allocHost(bytes int64) ([]byte, driver.Code) {
	var p unsafe.Pointer
	if code := C.cuMemHostAlloc(&p, C.size_t(bytes), C.CU_MEMHOSTALLOC_PORTABLE); code != C.CUDA_SUCCESS {
		return nil, driver.Code(code)
	}
	b := unsafe.Slice((*byte)(p), bytes)
	clear(b)
	return b, 0
}

// setShared lets f use so many bytes of dynamic shared memory.
func setShared(f cu.Function, bytes int) driver.Code {
	fn := *(*C.CUfunction)(unsafe.Pointer(&f)) // a cu.Function is nothing else
	return driver.Code(C.cuFuncSetAttribute(fn, C.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, C.int(bytes)))
}

// errorText is the driver's own words for a code, "" if it has none.
func errorText(code driver.Code) string {
	var s *C.char
	if C.cuGetErrorString(C.CUresult(code), &s) != C.CUDA_SUCCESS || s == nil {
		return ""
	}
	return C.GoString(s)
}
