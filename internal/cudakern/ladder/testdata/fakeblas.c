/* A cuBLAS that computes on the host, one element after the other, for tests of the calls that lomo makes: it copies matrices from the card and back by the
 * driver that LOMO_CUDA_DRIVER names. With FAKE_CUBLAS=wrong its results are a little wrong. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int (*copy_from)(void *, uint64_t, size_t, void *), (*copy_to)(uint64_t, const void *, size_t, void *), (*wait)(void *);
static void *stream;

int cublasCreate_v2(void **handle) {
	void *lib = dlopen(getenv("LOMO_CUDA_DRIVER"), RTLD_NOW);
	if (!lib) return 1;
	copy_from = (int (*)(void *, uint64_t, size_t, void *))dlsym(lib, "cuMemcpyDtoHAsync_v2");
	copy_to = (int (*)(uint64_t, const void *, size_t, void *))dlsym(lib, "cuMemcpyHtoDAsync_v2");
	wait = (int (*)(void *))dlsym(lib, "cuStreamSynchronize");
	*handle = &stream;
	return copy_from && copy_to && wait ? 0 : 1;
}
int cublasDestroy_v2(void *handle) { return handle == &stream ? 0 : 1; }
int cublasSetStream_v2(void *handle, void *s) { stream = s; return handle == &stream && s ? 0 : 1; }
int cublasSetWorkspace_v2(void *handle, void *p, size_t n) { return handle == &stream && p && n ? 0 : 1; }
int cublasGetVersion_v2(void *handle, int *v) { *v = 120103; return handle == &stream ? 0 : 1; }

static float get(const uint8_t *raw, int type, size_t i) {
	float f;
	if (type == 0) {
		memcpy(&f, raw + 4 * i, 4);
		return f;
	}
	uint16_t h;
	memcpy(&h, raw + 2 * i, 2);
	uint32_t u = (uint32_t)h << 16;
	memcpy(&f, &u, 4);
	return f;
}
static void put(uint8_t *raw, int type, size_t i, float f) {
	if (type == 0) {
		memcpy(raw + 4 * i, &f, 4);
		return;
	}
	uint32_t u;
	memcpy(&u, &f, 4);
	uint16_t h = (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
	memcpy(raw + 2 * i, &h, 2);
}
static size_t size(int type) { return type == 0 ? 4 : 2; }

static int from_card(void *dst, uint64_t src, size_t n) { return copy_from(dst, src, n, stream) || wait(stream); }
static int to_card(uint64_t dst, const void *src, size_t n) { return copy_to(dst, src, n, stream) || wait(stream); }

/* Column-major c (m, n) = alpha·op(a)·op(b) + beta·c; an op of 1 transposes. */
int cublasGemmEx(void *handle, int opa, int opb, int m, int n, int k, const float *alpha, uint64_t a, int ta, int lda, uint64_t b, int tb, int ldb, const float *beta, uint64_t c,
                 int tc, int ldc, int compute, int algo) {
	if (handle != &stream || compute != 68 || algo != -1) return 7;
	size_t na = (size_t)lda * (opa ? m : k), nb = (size_t)ldb * (opb ? k : n), nc = (size_t)ldc * n;
	uint8_t *ha = malloc(na * size(ta)), *hb = malloc(nb * size(tb)), *hc = malloc(nc * size(tc));
	if (from_card(ha, a, na * size(ta)) || from_card(hb, b, nb * size(tb)) || from_card(hc, c, nc * size(tc))) return 14;
	const char *mode = getenv("FAKE_CUBLAS");
	float wrong = mode && !strcmp(mode, "wrong") ? 0.5f : 0;
	for (int j = 0; j < n; j++)
		for (int i = 0; i < m; i++) {
			float sum = wrong;
			for (int l = 0; l < k; l++) sum += get(ha, ta, opa ? l + (size_t)i * lda : i + (size_t)l * lda) * get(hb, tb, opb ? j + (size_t)l * ldb : l + (size_t)j * ldb);
			put(hc, tc, i + (size_t)j * ldc, *alpha * sum + (*beta ? *beta * get(hc, tc, i + (size_t)j * ldc) : 0));
		}
	int code = to_card(c, hc, nc * size(tc));
	free(ha), free(hb), free(hc);
	return code;
}
