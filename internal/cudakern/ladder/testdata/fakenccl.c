/* An NCCL that copies between cards, for tests of the calls that lomo makes, by the driver that LOMO_CUDA_DRIVER names. What a rank sends is taken when its
 * stream is there, comes in the order of the other rank's stream, and the sender's stream goes on when it has been read; a call waits on the host until the
 * other ranks have made theirs, as NCCL may. Of bytes, with communicators of one process, is all that lomo needs.
 * FAKE_NCCL=gather or send leaves out the last four bytes of what comes by that call, refuse has no communicators. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRY(call) do { int code_ = (call); if (code_) return code_; } while (0)
enum { OK, CUDA, SYSTEM, INTERNAL, ARGUMENT, USAGE, REMOTE, MOST = 8 };
enum { EMPTY, OFFERED, READ };

static int (*retain)(void **, int), (*release)(int), (*use)(void *), (*event_new)(void **, unsigned), (*event_free)(void *), (*record)(void *, void *),
	(*wait_event)(void *, void *, unsigned), (*copy)(uint64_t, uint64_t, size_t, void *), (*copy_peer)(uint64_t, void *, uint64_t, void *, size_t, void *);

struct offer { int state; uint64_t at; size_t bytes; };
struct set {
	pthread_mutex_t lock;
	pthread_cond_t news;
	int size, ended;
	struct offer box[MOST][MOST]; /* from, to */
	void *ready[MOST][MOST], *read[MOST][MOST]; /* of the rank that records, and the other */
	void *context[MOST];
};
struct comm { struct set *set; int rank, card, gone; };
struct op { struct comm *comm; int peer, receives, gathers; uint64_t at; size_t bytes; void *stream; };

static __thread struct op ops[64];
static __thread int count, depth;

static int wrong(const char *mode) {
	const char *is = getenv("FAKE_NCCL");
	return is && !strcmp(is, mode);
}

static int load(void) {
	void *lib = dlopen(getenv("LOMO_CUDA_DRIVER"), RTLD_NOW);
	if (!lib) return SYSTEM;
	struct { const char *name; void *to; } names[] = {{"cuDevicePrimaryCtxRetain", &retain}, {"cuDevicePrimaryCtxRelease_v2", &release}, {"cuCtxSetCurrent", &use},
		{"cuEventCreate", &event_new}, {"cuEventDestroy_v2", &event_free}, {"cuEventRecord", &record}, {"cuStreamWaitEvent", &wait_event},
		{"cuMemcpyDtoDAsync_v2", &copy}, {"cuMemcpyPeerAsync", &copy_peer}};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		void *f = dlsym(lib, names[i].name);
		if (!f) return SYSTEM;
		memcpy(names[i].to, &f, sizeof f);
	}
	return OK;
}

int ncclGetVersion(int *v) { *v = 22105; return OK; }
const char *ncclGetErrorString(int code) { return code == SYSTEM ? "unhandled system error" : code == REMOTE ? "remote process exited" : "made-up error"; }

int ncclCommInitAll(void **comms, int n, const int *cards) {
	if (wrong("refuse")) return SYSTEM;
	if (n < 2 || n > MOST) return ARGUMENT;
	TRY(load());
	struct set *s = calloc(1, sizeof *s);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->news, NULL);
	s->size = n;
	for (int r = 0; r < n; r++) {
		struct comm *c = calloc(1, sizeof *c);
		*c = (struct comm){s, r, cards[r], 0};
		if (retain(&s->context[r], cards[r]) || use(s->context[r])) return CUDA;
		for (int to = 0; to < n; to++)
			if (event_new(&s->ready[r][to], 2) || event_new(&s->read[r][to], 2)) return CUDA;
		comms[r] = c;
	}
	return OK;
}

/* What is freed is left in memory, so that a later call is an error and no accident. */
static int end(struct comm *c) {
	if (c->gone) return ARGUMENT;
	c->gone = 1;
	if (use(c->set->context[c->rank])) return CUDA;
	for (int to = 0; to < c->set->size; to++)
		if (event_free(c->set->ready[c->rank][to]) || event_free(c->set->read[c->rank][to])) return CUDA;
	return release(c->card) ? CUDA : OK;
}
int ncclCommDestroy(struct comm *c) { return end(c); }
int ncclCommAbort(struct comm *c) {
	pthread_mutex_lock(&c->set->lock);
	c->set->ended = 1;
	pthread_cond_broadcast(&c->set->news);
	int code = end(c);
	pthread_mutex_unlock(&c->set->lock);
	return code;
}

/* Waits for a box's state, with the set's lock held. */
static int until(struct set *s, struct offer *o, int state) {
	while (o->state != state && !s->ended) pthread_cond_wait(&s->news, &s->lock);
	return s->ended ? REMOTE : OK;
}

static void now(struct set *s, struct offer *o, int state) {
	o->state = state;
	pthread_cond_broadcast(&s->news);
}

static int offer(struct op *o) {
	struct set *s = o->comm->set;
	int me = o->comm->rank;
	struct offer *box = &s->box[me][o->peer];
	TRY(until(s, box, EMPTY));
	box->at = o->at, box->bytes = o->bytes;
	if (use(s->context[me]) || record(s->ready[me][o->peer], o->stream)) return CUDA;
	now(s, box, OFFERED);
	return OK;
}

static int take(struct op *o) {
	struct set *s = o->comm->set;
	int me = o->comm->rank, from = o->peer;
	struct offer *box = &s->box[from][me];
	TRY(until(s, box, OFFERED));
	if (box->bytes != o->bytes) return USAGE;
	size_t n = o->bytes - (wrong(o->gathers ? "gather" : "send") && o->bytes >= 4 ? 4 : 0);
	if (use(s->context[me]) || wait_event(o->stream, s->ready[from][me], 0)) return CUDA;
	if (n && copy_peer(o->at, s->context[me], box->at, s->context[from], n, o->stream)) return CUDA;
	if (record(s->read[me][from], o->stream)) return CUDA;
	now(s, box, READ);
	return OK;
}

static int finish(struct op *o) {
	struct set *s = o->comm->set;
	int me = o->comm->rank;
	struct offer *box = &s->box[me][o->peer];
	TRY(until(s, box, READ));
	if (use(s->context[me]) || wait_event(o->stream, s->read[o->peer][me], 0)) return CUDA;
	now(s, box, EMPTY);
	return OK;
}

static int each(int receives, int (*f)(struct op *)) {
	for (int i = 0; i < count; i++) {
		struct op *o = &ops[i];
		if (o->receives != receives) continue;
		pthread_mutex_lock(&o->comm->set->lock);
		int code = o->comm->gone ? ARGUMENT : f(o);
		pthread_mutex_unlock(&o->comm->set->lock);
		TRY(code);
	}
	return OK;
}

static int run(void) {
	int code = each(0, offer);
	if (!code) code = each(1, take);
	if (!code) code = each(0, finish);
	count = 0;
	return code;
}

int ncclGroupStart(void) { depth++; return OK; }
int ncclGroupEnd(void) {
	if (depth == 0) return USAGE;
	return --depth ? OK : run();
}

static int queue(struct comm *c, int peer, int receives, int gathers, uint64_t at, size_t bytes, void *stream) {
	if (c->gone || !stream || peer < 0 || peer >= c->set->size || peer == c->rank || count == 64) return ARGUMENT;
	ops[count++] = (struct op){c, peer, receives, gathers, at, bytes, stream};
	return depth ? OK : run();
}
int ncclSend(uint64_t at, size_t n, int type, int peer, struct comm *c, void *stream) { return type != 1 ? ARGUMENT : queue(c, peer, 0, 0, at, n, stream); }
int ncclRecv(uint64_t at, size_t n, int type, int peer, struct comm *c, void *stream) { return type != 1 ? ARGUMENT : queue(c, peer, 1, 0, at, n, stream); }

int ncclAllGather(uint64_t part, uint64_t full, size_t n, int type, struct comm *c, void *stream) {
	if (type != 1 || c->gone) return ARGUMENT;
	if (use(c->set->context[c->rank])) return CUDA;
	if (part != full + c->rank * n && copy(full + c->rank * n, part, n, stream)) return CUDA;
	ncclGroupStart();
	int code = OK;
	for (int r = 0; r < c->set->size && !code; r++)
		if (r != c->rank) {
			code = queue(c, r, 0, 1, part, n, stream);
			if (!code) code = queue(c, r, 1, 1, full + r * n, n, stream);
		}
	int last = ncclGroupEnd();
	return code ? code : last;
}
