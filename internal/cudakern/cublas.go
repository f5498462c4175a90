//go:build cuda

package cudakern

// cuBLAS, found at run time: libcublas of CUDA 11, 12 or 13, or the file that LOMO_CUBLAS names; LOMO_CUBLAS=off leaves it out. The entry points are those
// of NVIDIA's cuBLAS documentation ("cublasGemmEx", "cublasSetWorkspace"); nothing of its headers is needed.

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
	void *lib, *handle;
	int (*create)(void **), (*destroy)(void *), (*set_stream)(void *, void *), (*set_workspace)(void *, void *, size_t), (*version)(void *, int *);
	int (*gemm)(void *, int, int, int, int, int, const void *, const void *, int, int, const void *, int, int, const void *, void *, int, int, int, int);
} blas;

static int blas_load(blas *b, const char *path, char *message, int size) {
	b->lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!b->lib) {
		snprintf(message, size, "%s", dlerror());
		return 0;
	}
	b->create = (int (*)(void **))dlsym(b->lib, "cublasCreate_v2");
	b->destroy = (int (*)(void *))dlsym(b->lib, "cublasDestroy_v2");
	b->set_stream = (int (*)(void *, void *))dlsym(b->lib, "cublasSetStream_v2");
	b->set_workspace = (int (*)(void *, void *, size_t))dlsym(b->lib, "cublasSetWorkspace_v2");
	b->version = (int (*)(void *, int *))dlsym(b->lib, "cublasGetVersion_v2");
	b->gemm = (int (*)(void *, int, int, int, int, int, const void *, const void *, int, int, const void *, int, int, const void *, void *, int, int, int, int))dlsym(b->lib, "cublasGemmEx");
	if (b->create && b->destroy && b->set_stream && b->set_workspace && b->version && b->gemm)
		return 1;
	snprintf(message, size, "%s is no cuBLAS of CUDA 11 or later", path);
	dlclose(b->lib);
	return 0;
}

static int blas_open(blas *b, void *stream, unsigned long long workspace, size_t bytes, int *version) {
	int code = b->create(&b->handle);
	if (code == 0) code = b->version(b->handle, version);
	if (code == 0) code = b->set_stream(b->handle, stream);
	if (code == 0) code = b->set_workspace(b->handle, (void *)workspace, bytes); // after the stream, which takes it away
	return code;
}

static int blas_close(blas *b) { return b->handle ? b->destroy(b->handle) : 0; }

static int blas_gemm(blas *b, int ta, int tb, int m, int n, int k, unsigned long long x, int tx, int ldx, unsigned long long y, int ty, int ldy, float beta, unsigned long long z, int tz, int ldz) {
	const float alpha = 1;
	return b->gemm(b->handle, ta, tb, m, n, k, &alpha, (void *)x, tx, ldx, (void *)y, ty, ldy, &beta, (void *)z, tz, ldz, 68, -1); // CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT
}
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"lomo/internal/cudakern/driver"
	"lomo/internal/tensor"
)

type cublas struct {
	b       *C.blas
	c       *realCard
	version int
}

// openProducts finds cuBLAS and makes a handle on the device's stream, with the device's scratch as workspace, so that nothing is allocated in a step and results
// are the same from run to run. It is nil where there is none.
func openProducts(d *Device) (library, error) {
	card, ok := d.card.(*realCard)
	want := os.Getenv("LOMO_CUBLAS")
	if !ok || want == "off" {
		return nil, nil
	}
	names := []string{"libcublas.so.13", "libcublas.so.12", "libcublas.so.11"}
	if want != "" {
		names = []string{want}
	}
	l := &cublas{b: (*C.blas)(C.calloc(1, C.sizeof_blas)), c: card}
	if err := l.load(names); err != nil {
		C.free(unsafe.Pointer(l.b))
		if want == "" {
			return nil, nil // not installed
		}
		return nil, err
	}
	stream := d.stream.Stream.(*realStream).s
	var version C.int
	code := 0
	err := card.code("cublasCreate", func() driver.Code {
		code = int(C.blas_open(l.b, *(*unsafe.Pointer)(unsafe.Pointer(&stream)), C.ulonglong(d.scratch), scratchBytes, &version))
		return 0
	})
	if err = errors.Join(err, status("cublasCreate", code)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	l.version = int(version)
	return l, nil
}

func (l *cublas) load(names []string) error {
	message := (*C.char)(C.calloc(1, 512))
	defer C.free(unsafe.Pointer(message))
	for _, name := range names {
		path := C.CString(name)
		found := C.blas_load(l.b, path, message, 512)
		C.free(unsafe.Pointer(path))
		if found != 0 {
			return nil
		}
	}
	return errors.New(C.GoString(message))
}

func status(call string, code int) error {
	if code == 0 {
		return nil
	}
	return fmt.Errorf("%s: cuBLAS status %d", call, code)
}

// Name has the version: 12.1.3 is 120103 since CUDA 12, 110103 before means 11.1.3 alike.
func (l *cublas) Name() string {
	return fmt.Sprintf("cublas %d.%d.%d", l.version/10000, l.version/100%100, l.version%100)
}

func (l *cublas) Close() error {
	var code int
	err := l.c.code("cublasDestroy", func() driver.Code { code = int(C.blas_close(l.b)); return 0 })
	C.free(unsafe.Pointer(l.b))
	return errors.Join(err, status("cublasDestroy", code))
}

// Product: cuBLAS sees a row-major matrix as its transpose, so it is asked for cᵀ (n, m) = op(b)ᵀ·op(a)ᵀ, b first.
func (l *cublas) Product(p *product, c tensor.Tensor, acc bool) error {
	const keep, flip = 0, 1
	ta, lda, tb, ldb := keep, p.k, keep, p.n
	switch p.layout {
	case "nt":
		tb, ldb = flip, p.k
	case "tn":
		ta, lda = flip, p.m
	}
	beta := 0
	if acc {
		beta = 1
	}
	var code int
	err := l.c.code("cublasGemmEx", func() driver.Code {
		code = int(C.blas_gemm(l.b, C.int(tb), C.int(ta), C.int(p.n), C.int(p.m), C.int(p.k), C.ulonglong(p.b.Addr), cudaType(p.b), C.int(ldb),
			C.ulonglong(p.a.Addr), cudaType(p.a), C.int(lda), C.float(beta), C.ulonglong(c.Addr), cudaType(c), C.int(p.n)))
		return 0
	})
	return errors.Join(err, status("cublasGemmEx", code))
}

// cudaType is the cudaDataType of t: CUDA_R_16BF or CUDA_R_32F.
func cudaType(t tensor.Tensor) C.int {
	if t.DType == tensor.BF16 {
		return 14
	}
	return 0
}
