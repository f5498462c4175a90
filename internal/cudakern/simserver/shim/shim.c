/* A libcuda whose cards are simulated by another process: every call becomes a request over the Unix socket $SIMCUDA_SOCKET to package
 * simserver, which answers from package sim. lomo loads it through LOMO_CUDA_DRIVER and cannot tell the difference, but for the time.
 *
 * It has the functions that lomo calls and no others, so that a call nobody thought of is an error. Device addresses are numbers
 * here. Pinned host memory is a file in memory that both processes map, so that a late copy reads it when it runs; other host
 * memory travels in the request, or in its answer, which then waits for the copy.
 *
 *   cc -O2 -fPIC -shared -o libsimcuda.so shim.c
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef int CUresult;
typedef int CUdevice;
typedef uint64_t CUdeviceptr;
typedef void *CUcontext; /* number of the card, from 1 */
typedef void *CUmodule, *CUstream, *CUevent; /* numbers the server gave */
typedef struct { uint64_t id; uint32_t count; uint32_t size[]; } *CUfunction; /* sizes of its parameters */

enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_CONTEXT = 201, UNKNOWN = 999 };

/* As in protocol.go. */
enum {
	HELLO = 1, NAME, UUID, TOTAL, ATTRIBUTE, RETAIN, RELEASE, CAN_PEER, ENABLE_PEER, SYNCHRONIZE, MEM_INFO, ALLOC, FREE, PIN, UNPIN, LOAD, UNLOAD,
	FUNCTION, SET_SHARED, LAUNCH, STREAM_NEW, STREAM_FREE, STREAM_SYNC, STREAM_WAIT, EVENT_NEW, EVENT_FREE, EVENT_RECORD, EVENT_SYNC,
	EVENT_ELAPSED, COPY_IN, COPY_OUT, COPY, COPY_PEER, SET
};

struct request { uint32_t op, card; uint64_t a[6], size; };
struct reply { int32_t code; uint32_t unused; uint64_t r[2], size; };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* one request at a time */
static int server = -1;
static int cards, version;
static __thread CUcontext current;

#define EXPORT __attribute__((visibility("default")))
#define U(x) ((uint64_t)(x))
#define P(x) U((uintptr_t)(x))

static int put(const void *data, uint64_t n) {
	for (const char *p = data; n > 0;) {
		ssize_t done = send(server, p, n, MSG_NOSIGNAL);
		if (done <= 0) return 0;
		p += done, n -= U(done);
	}
	return 1;
}

static int get(void *data, uint64_t n) {
	for (char *p = data; n > 0;) {
		ssize_t done = recv(server, p, n, 0);
		if (done <= 0) return 0;
		p += done, n -= U(done);
	}
	return 1;
}

/* exchange sends q with its q->size bytes of data and reads the answer; at most room bytes of it go to back. */
static CUresult exchange(struct request *q, const void *data, struct reply *r, void *back, uint64_t room) {
	struct reply none;
	if (r == NULL) r = &none;
	memset(r, 0, sizeof *r);
	q->card = (uint32_t)P(current);
	pthread_mutex_lock(&lock);
	int ok = server >= 0 && put(q, sizeof *q) && put(data, q->size) && get(r, sizeof *r);
	uint64_t fits = r->size < room ? r->size : room;
	ok = ok && get(back, fits);
	for (uint64_t rest = r->size - fits; ok && rest > 0;) {
		char spill[4096];
		uint64_t n = rest < sizeof spill ? rest : sizeof spill;
		ok = get(spill, n);
		rest -= n;
	}
	pthread_mutex_unlock(&lock);
	return ok ? r->code : UNKNOWN;
}

#define CALL(r, ...) exchange(&(struct request){__VA_ARGS__}, NULL, r, NULL, 0)

EXPORT CUresult cuInit(unsigned flags) {
	(void)flags;
	const char *path = getenv("SIMCUDA_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	if (path == NULL || strlen(path) >= sizeof to.sun_path) return NO_DEVICE;
	strcpy(to.sun_path, path);
	server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (server < 0 || connect(server, (struct sockaddr *)&to, sizeof to) != 0) return NO_DEVICE;
	struct reply r;
	CUresult code = CALL(&r, HELLO, .a = {U(getpid())});
	cards = (int)r.r[0], version = (int)r.r[1];
	return code ? code : cards ? SUCCESS : NO_DEVICE;
}

EXPORT CUresult cuDriverGetVersion(int *v) { return *v = version, SUCCESS; }
EXPORT CUresult cuDeviceGetCount(int *n) { return *n = cards, SUCCESS; }
EXPORT CUresult cuDeviceGet(CUdevice *d, int i) { return *d = i, i >= 0 && i < cards ? SUCCESS : INVALID_DEVICE; }

EXPORT CUresult cuDeviceGetName(char *name, int size, CUdevice d) {
	memset(name, 0, (size_t)size);
	return exchange(&(struct request){NAME, .a = {U(d)}}, NULL, NULL, name, U(size - 1));
}

EXPORT CUresult cuDeviceGetUuid(void *uuid, CUdevice d) { return exchange(&(struct request){UUID, .a = {U(d)}}, NULL, NULL, uuid, 16); }

EXPORT CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice d) {
	struct reply r;
	CUresult code = CALL(&r, TOTAL, .a = {U(d)});
	return *bytes = r.r[0], code;
}

EXPORT CUresult cuDeviceGetAttribute(int *value, int what, CUdevice d) {
	struct reply r;
	CUresult code = CALL(&r, ATTRIBUTE, .a = {U(d), U(what)});
	return *value = (int)r.r[0], code;
}

EXPORT CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice d, unsigned flags) { return (void)flags, d < cards ? SUCCESS : INVALID_DEVICE; }
EXPORT CUresult cuDevicePrimaryCtxRetain(CUcontext *ctx, CUdevice d) { return *ctx = (CUcontext)(uintptr_t)(d + 1), CALL(NULL, RETAIN, .a = {U(d)}); }
EXPORT CUresult cuDevicePrimaryCtxRelease_v2(CUdevice d) { return CALL(NULL, RELEASE, .a = {U(d)}); }
EXPORT CUresult cuCtxSetCurrent(CUcontext ctx) { return current = ctx, SUCCESS; }
EXPORT CUresult cuCtxGetCurrent(CUcontext *ctx) { return *ctx = current, SUCCESS; }
EXPORT CUresult cuCtxGetDevice(CUdevice *d) { return *d = (int)P(current) - 1, current ? SUCCESS : INVALID_CONTEXT; }
EXPORT CUresult cuCtxSynchronize(void) { return CALL(NULL, SYNCHRONIZE); }

EXPORT CUresult cuDeviceCanAccessPeer(int *can, CUdevice d, CUdevice other) {
	struct reply r;
	CUresult code = CALL(&r, CAN_PEER, .a = {U(d), U(other)});
	return *can = (int)r.r[0], code;
}

EXPORT CUresult cuCtxEnablePeerAccess(CUcontext other, unsigned flags) { return (void)flags, CALL(NULL, ENABLE_PEER, .a = {P(other) - 1}); }

EXPORT CUresult cuMemGetInfo_v2(size_t *free, size_t *total) {
	struct reply r;
	CUresult code = CALL(&r, MEM_INFO);
	return *free = r.r[0], *total = r.r[1], code;
}

EXPORT CUresult cuMemAlloc_v2(CUdeviceptr *p, size_t n) {
	struct reply r;
	CUresult code = CALL(&r, ALLOC, .a = {n});
	return *p = r.r[0], code;
}

EXPORT CUresult cuMemFree_v2(CUdeviceptr p) { return CALL(NULL, FREE, .a = {p}); }

/* Pinned memory, newest first. */
struct pin { char *at; size_t size; struct pin *next; };
static struct pin *pins;
static pthread_mutex_t pins_lock = PTHREAD_MUTEX_INITIALIZER;

/* pinned is 1 when n bytes at p lie in pinned memory, 0 when none does, -1 when they stick out of it. */
static int pinned(const void *p, size_t n) {
	const char *from = p, *to = from + n;
	int is = 0;
	pthread_mutex_lock(&pins_lock);
	for (struct pin *i = pins; i && !is; i = i->next) {
		if (from >= i->at && to <= i->at + i->size) is = 1;
		else if (from < i->at + i->size && to > i->at) is = -1;
	}
	pthread_mutex_unlock(&pins_lock);
	return is;
}

EXPORT CUresult cuMemHostAlloc(void **p, size_t n, unsigned flags) {
	(void)flags;
	int fd = memfd_create("pinned", MFD_CLOEXEC);
	if (fd < 0) return OUT_OF_MEMORY;
	*p = ftruncate(fd, (off_t)n) == 0 ? mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
	CUresult code = *p == MAP_FAILED ? OUT_OF_MEMORY : CALL(NULL, PIN, .a = {P(*p), n, U(fd)});
	close(fd); /* the server has mapped it through /proc */
	if (code != SUCCESS) return code;
	struct pin *pin = malloc(sizeof *pin);
	*pin = (struct pin){*p, n, NULL};
	pthread_mutex_lock(&pins_lock);
	pin->next = pins, pins = pin;
	pthread_mutex_unlock(&pins_lock);
	return SUCCESS;
}

EXPORT CUresult cuMemFreeHost(void *p) {
	pthread_mutex_lock(&pins_lock);
	struct pin **at = &pins;
	while (*at && (*at)->at != p) at = &(*at)->next;
	struct pin *pin = *at;
	if (pin) *at = pin->next;
	pthread_mutex_unlock(&pins_lock);
	if (!pin) return INVALID_VALUE;
	CUresult code = CALL(NULL, UNPIN, .a = {P(p)});
	munmap(pin->at, pin->size);
	free(pin);
	return code;
}

/* options are CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, or none. */
EXPORT CUresult cuModuleLoadDataEx(CUmodule *m, const void *image, unsigned count, int *options, void **values) {
	(void)options;
	char *log = count == 2 ? values[0] : NULL;
	uint64_t room = count == 2 ? P(values[1]) - 1 : 0;
	struct reply r;
	CUresult code = exchange(&(struct request){LOAD, .size = strlen(image)}, image, &r, log, room);
	if (log) log[r.size < room ? r.size : room] = '\0';
	return *m = (CUmodule)(uintptr_t)r.r[0], code;
}

EXPORT CUresult cuModuleUnload(CUmodule m) { return CALL(NULL, UNLOAD, .a = {P(m)}); }

EXPORT CUresult cuModuleGetFunction(CUfunction *f, CUmodule m, const char *name) {
	enum { MOST = 256 }; /* parameters */
	*f = calloc(1, sizeof **f + MOST * sizeof(uint32_t));
	struct reply r;
	CUresult code = exchange(&(struct request){FUNCTION, .a = {P(m)}, .size = strlen(name)}, name, &r, (*f)->size, MOST * sizeof(uint32_t));
	(*f)->id = r.r[0], (*f)->count = (uint32_t)(r.size / sizeof(uint32_t));
	return code;
}

EXPORT CUresult cuFuncSetAttribute(CUfunction f, int what, int value) {
	return what == 8 /* MAX_DYNAMIC_SHARED_SIZE_BYTES */ ? CALL(NULL, SET_SHARED, .a = {f->id, U(value)}) : INVALID_VALUE;
}

EXPORT CUresult cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                               CUstream s, void **params, void **extra) {
	(void)extra;
	uint64_t data[7 + 256] = {gx, gy, gz, bx, by, bz, shared};
	for (uint32_t i = 0; i < f->count; i++)
		memcpy(&data[7 + i], params[i], f->size[i] < 8 ? f->size[i] : 8); /* no more than the kernel takes */
	return exchange(&(struct request){LAUNCH, .a = {f->id, P(s)}, .size = (7 + f->count) * 8}, data, NULL, NULL, 0);
}

static CUresult make(uint32_t op, void **handle) {
	struct reply r;
	CUresult code = CALL(&r, op);
	return *handle = (void *)(uintptr_t)r.r[0], code;
}

EXPORT CUresult cuStreamCreate(CUstream *s, unsigned flags) { return flags == 1 /* non-blocking */ ? make(STREAM_NEW, s) : INVALID_VALUE; }
EXPORT CUresult cuStreamDestroy_v2(CUstream s) { return CALL(NULL, STREAM_FREE, .a = {P(s)}); }
EXPORT CUresult cuStreamSynchronize(CUstream s) { return CALL(NULL, STREAM_SYNC, .a = {P(s)}); }
EXPORT CUresult cuStreamWaitEvent(CUstream s, CUevent e, unsigned flags) { return (void)flags, CALL(NULL, STREAM_WAIT, .a = {P(s), P(e)}); }
EXPORT CUresult cuEventCreate(CUevent *e, unsigned flags) { return (void)flags, make(EVENT_NEW, e); }
EXPORT CUresult cuEventDestroy_v2(CUevent e) { return CALL(NULL, EVENT_FREE, .a = {P(e)}); }
EXPORT CUresult cuEventRecord(CUevent e, CUstream s) { return CALL(NULL, EVENT_RECORD, .a = {P(e), P(s)}); }
EXPORT CUresult cuEventSynchronize(CUevent e) { return CALL(NULL, EVENT_SYNC, .a = {P(e)}); }

EXPORT CUresult cuEventElapsedTime(float *ms, CUevent from, CUevent to) {
	struct reply r;
	CUresult code = CALL(&r, EVENT_ELAPSED, .a = {P(from), P(to)});
	double d;
	memcpy(&d, &r.r[0], sizeof d);
	return *ms = (float)d, code;
}

EXPORT CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dst, const void *src, size_t n, CUstream s) {
	switch (pinned(src, n)) {
	case 1: return CALL(NULL, COPY_IN, .a = {dst, n, P(s), P(src)});
	case 0: return exchange(&(struct request){COPY_IN, .a = {dst, n, P(s), 0}, .size = n}, src, NULL, NULL, 0);
	}
	return INVALID_VALUE;
}

EXPORT CUresult cuMemcpyDtoHAsync_v2(void *dst, CUdeviceptr src, size_t n, CUstream s) {
	switch (pinned(dst, n)) {
	case 1: return CALL(NULL, COPY_OUT, .a = {src, n, P(s), P(dst)});
	case 0: return exchange(&(struct request){COPY_OUT, .a = {src, n, P(s), 0}}, NULL, NULL, dst, n);
	}
	return INVALID_VALUE;
}

EXPORT CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr dst, CUdeviceptr src, size_t n, CUstream s) { return CALL(NULL, COPY, .a = {dst, src, n, P(s)}); }

EXPORT CUresult cuMemcpyPeerAsync(CUdeviceptr dst, CUcontext to, CUdeviceptr src, CUcontext from, size_t n, CUstream s) {
	return CALL(NULL, COPY_PEER, .a = {dst, P(to) - 1, src, P(from) - 1, n, P(s)});
}

EXPORT CUresult cuMemsetD8Async(CUdeviceptr dst, unsigned char value, size_t n, CUstream s) { return CALL(NULL, SET, .a = {dst, value, n, P(s)}); }

EXPORT CUresult cuGetErrorString(CUresult code, const char **text) { return (void)code, *text = NULL, INVALID_VALUE; }
