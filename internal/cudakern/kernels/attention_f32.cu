// Attention with float multiply-adds: for float32 models, for mixed dtypes, and for heads larger than the tensor-core kernels take. Twin:
// cpukern/attention*.go. It is made to be right for any head of up to 512 elements, and for capped scores (limit above 0), not fast. Block 128. A tile
// is R rows of queries or keys, in shared memory as floats, rows hd+1 apart so that they begin in different banks; R·hd is at most 2048, R at most 16.
//   attention_f32      grid (ceil(Tq/R), Hq, B), dynamic shared memory 4·(2·R·(hd+1) + R·R + 3·R) bytes
//   attention_dq_f32   grid the same, 4·(4·R·(hd+1) + 2·R·R + 2·R) bytes
//   attention_dkv_f32  grid (ceil(Tk/R), Hkv, B), the same
//   attention_delta    delta (B, Hq, Tq) = Σ dO⊙o over each head: a warp a row, grid ceil(B·Tq·Hq/4)
#include "attention.cuh"

#define THREADS 128
#define ELEMENTS 16 // of a tile, a thread: R·hd/THREADS at most

// A tensor in BF16 or F32.
struct Source {
    const void* p;
    u32 half;
    __device__ __forceinline__ float at(i64 i) const { return half ? load((const bf16*)p + i) : load((const float*)p + i); }
};

// Tiles is what the three kernels do with tiles of R rows.
struct Tiles {
    int R, hd, stride;

    // bring reads rows row0 … of src, whose rows are ld apart; those beyond rows are zero.
    __device__ __forceinline__ void bring(float* tile, Source src, i64 at, int ld, int row0, int rows) const {
        for (int i = threadIdx.x; i < R * hd; i += THREADS) {
            int r = i / hd, c = i % hd;
            tile[r * stride + c] = row0 + r < rows ? src.at(at + (i64)(row0 + r) * ld + c) : 0;
        }
    }

    // along is c (R, R) = a·bᵀ over the head.
    __device__ __forceinline__ void along(float* c, const float* a, const float* b) const {
        for (int i = threadIdx.x; i < R * R; i += THREADS) {
            const float *x = a + i / R * stride, *y = b + i % R * stride;
            float sum = 0;
            for (int k = 0; k < hd; k++) sum = fmaf(x[k], y[k], sum);
            c[i] = sum;
        }
    }

    // weigh is sum (R, hd) += w·b, or with flip wᵀ·b; a thread holds elements threadIdx.x + e·THREADS.
    __device__ __forceinline__ void weigh(float (&sum)[ELEMENTS], const float* w, const float* b, bool flip) const {
#pragma unroll
        for (int e = 0; e < ELEMENTS; e++) {
            int i = threadIdx.x + e * THREADS;
            if (i >= R * hd) continue;
            int r = i / hd, c = i % hd;
            const float* weight = w + (flip ? r : r * R);
            int step = flip ? R : 1;
#pragma unroll 1 // sixteen times in the text already
            for (int k = 0; k < R; k++) sum[e] = fmaf(weight[k * step], b[k * stride + c], sum[e]);
        }
    }

    // put writes the sums times scale (and times rowScale[r], unless that is 0) as rows row0 … of dst.
    __device__ __forceinline__ void put(Result dst, i64 at, int ld, const float (&sum)[ELEMENTS], int row0, int rows, float scale, const float* rowScale) const {
#pragma unroll
        for (int e = 0; e < ELEMENTS; e++) {
            int i = threadIdx.x + e * THREADS, r = i / hd;
            if (i >= R * hd || row0 + r >= rows) continue;
            float v = sum[e] * scale * (rowScale ? rowScale[r] : 1);
            i64 to = at + (i64)(row0 + r) * ld + i % hd;
            if (dst.half)
                store((bf16*)dst.p + to, v);
            else
                store((float*)dst.p + to, v);
        }
    }
};

// capped is limit·tanh(score/limit), where there is a limit.
__device__ __forceinline__ float capped(float score, float limit) { return limit > 0 ? limit * tanhf(score / limit) : score; }

extern __shared__ float shared[];

KERNEL __launch_bounds__(THREADS, 2) attention_f32(const u32* stop, void* o, float* lse, const void* q, const void* k, const void* v, SHAPE, u32 halfO, u32 halfQ,
                                                u32 halfK, u32 halfV, int R, float limit) {
    if (stopped(stop)) return;
    Shape s = SHAPE_ARGS;
    Tiles t = {R, hd, hd + 1};
    int i0 = (gridDim.x - 1 - blockIdx.x) * R, h = blockIdx.y, b = blockIdx.z, lane = threadIdx.x % WARP;
    float *sq = shared, *skv = sq + R * t.stride, *p = skv + R * t.stride, *top = p + R * R, *sum = top + R, *fade = sum + R;
    float c[ELEMENTS] = {};
    i64 key = s.key(b, s.keyHead(h));
    t.bring(sq, Source{q, halfQ}, s.query(b, h), s.ldq(), i0, Tq);
    for (int r = threadIdx.x; r < R; r += THREADS) top[r] = -INF, sum[r] = 0;
    int end = s.last(min(i0 + R, Tq) - 1) + 1;
    for (int j0 = s.spread(b, i0, R).x; j0 < end; j0 += R) {
        t.bring(skv, Source{k, halfK}, key, s.ldk(), j0, Tk);
        __syncthreads();
        t.along(p, sq, skv);
        __syncthreads();
        t.bring(skv, Source{v, halfV}, key, s.ldk(), j0, Tk); // the keys have been used
        for (int r = threadIdx.x / WARP; r < R; r += THREADS / WARP) { // a warp a row, a lane a key
            int i = i0 + r, j = j0 + lane;
            bool sees = lane < R && s.first(b, i) <= j && j <= s.last(i);
            float score = sees ? capped(p[r * R + lane] * scale, limit) * LOG2E : -INF, old = top[r], most = fmaxf(old, warpMax(score));
            float under = most == -INF ? 0 : most, w = sees ? exp2f(score - under) : 0, total = warpSum(w);
            __syncwarp();
            if (lane < R) p[r * R + lane] = w;
            if (lane == 0) fade[r] = exp2f(old - under), sum[r] = sum[r] * fade[r] + total, top[r] = most;
        }
        __syncthreads();
#pragma unroll
        for (int e = 0; e < ELEMENTS; e++) {
            int i = threadIdx.x + e * THREADS;
            if (i < R * hd) c[e] *= fade[i / hd];
        }
        t.weigh(c, p, skv, false);
        __syncthreads();
    }
    __syncthreads();
    for (int r = threadIdx.x; r < R; r += THREADS) {
        // A row that saw nothing has an infinite lse, so that its probabilities are 0 again.
        if (i0 + r < Tq) lse[((i64)b * Hq + h) * Tq + i0 + r] = sum[r] == 0 ? INF : top[r] * LN2 + logf(sum[r]);
        fade[r] = sum[r] == 0 ? 0 : 1 / sum[r];
    }
    __syncthreads();
    t.put(Result{o, halfO}, s.query(b, h), s.ldq(), c, i0, Tq, 1, fade);
}

// Pairs is the tile of probabilities and gradients of scores, queries in rows.
struct Pairs {
    float *p, *ds, *lse, *delta;

    // make turns scores and do·v of queries i0 … and keys j0 … into them.
    __device__ __forceinline__ void make(const Shape& s, int R, int b, int i0, int j0, float limit) const {
        for (int x = threadIdx.x; x < R * R; x += THREADS) {
            int r = x / R, i = i0 + r, j = j0 + x % R;
            bool sees = s.first(b, i) <= j && j <= s.last(i);
            float score = capped(p[x] * s.scale, limit), w = sees ? exp2f(score * LOG2E - lse[r] * LOG2E) : 0;
            p[x] = w;
            float d = sees ? w * (ds[x] - delta[r]) : 0;
            if (limit > 0) d *= 1 - (score / limit) * (score / limit);
            ds[x] = d;
        }
    }

    // take reads lse and delta of queries i0 … of head h.
    __device__ __forceinline__ void take(const Shape& s, int R, int b, int h, int i0, const float* allLSE, const float* allDelta) const {
        for (int r = threadIdx.x; r < R; r += THREADS) {
            i64 at = ((i64)b * s.Hq + h) * s.Tq + i0 + r;
            lse[r] = i0 + r < s.Tq ? allLSE[at] : 0, delta[r] = i0 + r < s.Tq ? allDelta[at] : 0;
        }
    }
};

#define FACTORS const void *q, const void *k, const void *v, const void *dO, const float *lse, const float *delta
#define HALVES u32 halfQ, u32 halfK, u32 halfV, u32 halfDO, int R, float limit

KERNEL __launch_bounds__(THREADS, 2) attention_dq_f32(const u32* stop, void* dq, FACTORS, SHAPE, u32 halfDQ, HALVES) {
    if (stopped(stop)) return;
    Shape s = SHAPE_ARGS;
    Tiles t = {R, hd, hd + 1};
    int i0 = (gridDim.x - 1 - blockIdx.x) * R, h = blockIdx.y, b = blockIdx.z, size = R * t.stride;
    float *sq = shared, *sdo = sq + size, *sk = sdo + size, *sv = sk + size, *rest = sv + size;
    Pairs pairs = {rest, rest + R * R, rest + 2 * R * R, rest + 2 * R * R + R};
    float c[ELEMENTS] = {};
    i64 query = s.query(b, h), key = s.key(b, s.keyHead(h));
    t.bring(sq, Source{q, halfQ}, query, s.ldq(), i0, Tq);
    t.bring(sdo, Source{dO, halfDO}, query, s.ldq(), i0, Tq);
    pairs.take(s, R, b, h, i0, lse, delta);
    int end = s.last(min(i0 + R, Tq) - 1) + 1;
    for (int j0 = s.spread(b, i0, R).x; j0 < end; j0 += R) {
        t.bring(sk, Source{k, halfK}, key, s.ldk(), j0, Tk);
        t.bring(sv, Source{v, halfV}, key, s.ldk(), j0, Tk);
        __syncthreads();
        t.along(pairs.p, sq, sk);
        t.along(pairs.ds, sdo, sv);
        __syncthreads();
        pairs.make(s, R, b, i0, j0, limit);
        __syncthreads();
        t.weigh(c, pairs.ds, sk, false);
        __syncthreads();
    }
    t.put(Result{dq, halfDQ}, query, s.ldq(), c, i0, Tq, scale, 0);
}

KERNEL __launch_bounds__(THREADS, 2) attention_dkv_f32(const u32* stop, void* dk, void* dv, FACTORS, SHAPE, u32 halfDK, u32 halfDV, HALVES) {
    if (stopped(stop)) return;
    Shape s = SHAPE_ARGS;
    Tiles t = {R, hd, hd + 1};
    int j0 = blockIdx.x * R, hkv = blockIdx.y, b = blockIdx.z, group = Hq / Hkv, size = R * t.stride;
    float *sq = shared, *sdo = sq + size, *sk = sdo + size, *sv = sk + size, *rest = sv + size;
    Pairs pairs = {rest, rest + R * R, rest + 2 * R * R, rest + 2 * R * R + R};
    float ck[ELEMENTS] = {}, cv[ELEMENTS] = {};
    i64 key = s.key(b, hkv);
    t.bring(sk, Source{k, halfK}, key, s.ldk(), j0, Tk);
    t.bring(sv, Source{v, halfV}, key, s.ldk(), j0, Tk);
    for (int h = hkv * group; h < (hkv + 1) * group; h++) {
        i64 query = s.query(b, h);
        for (int i0 = j0; i0 < Tq; i0 += R) {
            if (s.spread(b, i0, R).x >= j0 + R) continue; // these queries belong to later documents
            t.bring(sq, Source{q, halfQ}, query, s.ldq(), i0, Tq);
            t.bring(sdo, Source{dO, halfDO}, query, s.ldq(), i0, Tq);
            pairs.take(s, R, b, h, i0, lse, delta);
            __syncthreads();
            t.along(pairs.p, sq, sk);
            t.along(pairs.ds, sdo, sv);
            __syncthreads();
            pairs.make(s, R, b, i0, j0, limit);
            __syncthreads();
            t.weigh(cv, pairs.p, sdo, true);
            t.weigh(ck, pairs.ds, sq, true);
            __syncthreads();
        }
    }
    t.put(Result{dk, halfDK}, key, s.ldk(), ck, j0, Tk, scale, 0);
    t.put(Result{dv, halfDV}, key, s.ldk(), cv, j0, Tk, 1, 0);
}

KERNEL __launch_bounds__(THREADS, 2) attention_delta(const u32* stop, float* delta, const void* dO, const void* o, u32 halfDO, u32 halfO, int rows, int Tq, int Hq, int hd) {
    if (stopped(stop)) return;
    int row = blockIdx.x * (THREADS / WARP) + threadIdx.x / WARP; // rows of (B, Tq, Hq)
    if (row >= rows) return;
    Source x = {dO, halfDO}, y = {o, halfO};
    float sum = 0;
    for (int c = threadIdx.x % WARP; c < hd; c += WARP) sum = fmaf(x.at((i64)row * hd + c), y.at((i64)row * hd + c), sum);
    sum = warpSum(sum);
    int h = row % Hq, i = row / Hq % Tq, b = row / Hq / Tq;
    if (threadIdx.x % WARP == 0) delta[((i64)b * Hq + h) * Tq + i] = sum;
}
