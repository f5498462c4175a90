// Attention of BF16 q, k, v (and do) on tensor cores, the twin of cpukern/attention*.go. Heads of up to 32, 64 or 128 elements, padded with zeros in
// shared memory. Block 128: four warps, each with 16 rows of the tile. Probabilities and their gradients are rounded to BF16 as factors of the products
// that follow, and only there (algorithms.md 12).
//   attention_bf16_HD      grid (ceil(Tq/64), Hq, B): 64 queries, keys in tiles of 64; shared memory 384·HD bytes
//   attention_dq_bf16_HD   grid the same: 64 queries, keys in tiles of BT; shared memory (256 + 4·BT)·HD bytes
//   attention_dkv_bf16_HD  grid (ceil(Tk/64), Hkv, B): 64 keys, over the queries of all heads of the group in tiles of BT; shared memory the same
// BT is 64, or 32 where HD is 128. The two backward kernels make the probabilities anew (seven products a tile where five would do), so that no block
// adds to what another adds to.
#include "attention.cuh"
#include "panel.cuh"

#define THREADS 128
#define ROWS 64 // of a block: 16 a warp

template <int HD>
using Long = Panel<ROWS, HD, THREADS>;

// A lane's place in ldmatrix's addresses.
struct Lane {
    int eight, upper, last;
    __device__ __forceinline__ Lane() {
        int lane = threadIdx.x % WARP;
        eight = lane % 8, upper = lane / 8 % 2, last = lane / 16;
    }
};

template <int N>
__device__ __forceinline__ void clear(float (&c)[N][4]) {
#pragma unroll
    for (int n = 0; n < N; n++)
#pragma unroll
        for (int e = 0; e < 4; e++) c[n][e] = 0;
}

// alongHead is c (16, 8·N) = a·bᵀ over the head: rows row0 … row0+15 of panel a, all rows of panel b.
template <int HD, class PA, class PB, int N>
__device__ __forceinline__ void alongHead(float (&c)[N][4], u32 a, int row0, u32 b) {
    Lane l;
    clear(c);
#pragma unroll 4 // all eight of the largest head would need more registers than there are
    for (int k = 0; k < HD; k += 16) {
        u32 fa[4];
        ldmatrix(fa, a + PA::at(row0 + l.upper * 8 + l.eight, k / 8 + l.last));
#pragma unroll
        for (int n = 0; n < N; n += 2) {
            u32 fb[4];
            ldmatrix(fb, b + PB::at(n * 8 + l.last * 8 + l.eight, k / 8 + l.upper));
            mma(c[n], fa, fb[0], fb[1]);
            mma(c[n + 1], fa, fb[2], fb[3]);
        }
    }
}

// weigh is c (16, HD) += a·b over the rows of panel b: a (16, 8·N) is what alongHead left in registers, rounded.
template <int HD, class PB, int N>
__device__ __forceinline__ void weigh(float (&c)[HD / 8][4], const float (&a)[N][4], u32 b) {
    Lane l;
#pragma unroll
    for (int k = 0; k < N; k += 2) {
        u32 fa[4] = {narrow2(a[k][0], a[k][1]), narrow2(a[k][2], a[k][3]), narrow2(a[k + 1][0], a[k + 1][1]), narrow2(a[k + 1][2], a[k + 1][3])};
#pragma unroll
        for (int n = 0; n < HD / 8; n += 2) {
            u32 fb[4];
            ldmatrixTrans(fb, b + PB::at(k * 8 + l.upper * 8 + l.eight, n + l.last));
            mma(c[n], fa, fb[0], fb[1]);
            mma(c[n + 1], fa, fb[2], fb[3]);
        }
    }
}

// put2 writes elements 0 and 1 at p, of which the first n exist; pairs: both always do, at multiples of their size.
__device__ __forceinline__ void put2(bf16* p, float x, float y, int n, bool pairs) {
    u32 w = narrow2(x, y);
    if (pairs) {
        if (n > 0) *(u32*)p = w;
        return;
    }
    if (n > 0) p[0].bits = (u16)w;
    if (n > 1) p[1].bits = (u16)(w >> 16);
}
__device__ __forceinline__ void put2(float* p, float x, float y, int n, bool pairs) {
    if (pairs) {
        if (n > 0) *(float2*)p = make_float2(x, y);
        return;
    }
    if (n > 0) p[0] = x;
    if (n > 1) p[1] = y;
}

// putRows writes 16 rows of a head, row i to p + i·ld where i < rows, times scale.
template <int HD, class T>
__device__ __forceinline__ void putRows(T* p, int ld, const float (&c)[HD / 8][4], int row0, int rows, int hd, const float (&scale)[2]) {
    int g = threadIdx.x % WARP / 4, t = threadIdx.x % 4;
    bool pairs = aligned(p, 2 * sizeof(T)) && ld % 2 == 0 && hd % 2 == 0;
#pragma unroll
    for (int e = 0; e < 2; e++) {
        int i = row0 + g + e * 8;
        if (i >= rows) continue;
        T* row = p + (i64)i * ld + t * 2;
#pragma unroll
        for (int n = 0; n < HD / 8; n++) put2(row + n * 8, c[n][e * 2] * scale[e], c[n][e * 2 + 1] * scale[e], hd - n * 8 - t * 2, pairs);
    }
}
template <int HD>
__device__ __forceinline__ void putRows(Result r, i64 at, int ld, const float (&c)[HD / 8][4], int row0, int rows, int hd, const float (&scale)[2]) {
    if (r.half)
        putRows<HD>((bf16*)r.p + at, ld, c, row0, rows, hd, scale);
    else
        putRows<HD>((float*)r.p + at, ld, c, row0, rows, hd, scale);
}

template <int HD>
__device__ __forceinline__ void forward(char* shared, Result o, float* lse, const bf16* q, const bf16* k, const bf16* v, Shape s) {
    typedef Long<HD> P;
    const int KEYS = 64, N = KEYS / 8;
    int i0 = (gridDim.x - 1 - blockIdx.x) * ROWS, h = blockIdx.y, b = blockIdx.z; // late queries see the most keys: they go first
    int warp = threadIdx.x / WARP, g = threadIdx.x % WARP / 4, t = threadIdx.x % 4, mine = i0 + warp * 16 + g;
    char *sq = shared, *sk = sq + P::BYTES, *sv = sk + P::BYTES;
    q += s.query(b, h), k += s.key(b, s.keyHead(h)), v += s.key(b, s.keyHead(h));
    bool wideQ = aligned(q, 16) && s.ldq() % 8 == 0, wideK = aligned(k, 16) && s.ldk() % 8 == 0, wideV = aligned(v, 16) && s.ldk() % 8 == 0;

    int2 firsts = s.spread(b, i0, ROWS);
    int end = s.last(min(i0 + ROWS, s.Tq) - 1) + 1;
    int first[2] = {s.first(b, mine), s.first(b, mine + 8)}, last[2] = {s.last(mine), s.last(mine + 8)};
    float scale = s.scale * LOG2E, top[2] = {-INF, -INF}, sum[2] = {0, 0};
    float c[HD / 8][4];
    clear(c);
    P::load(sq, q, s.ldq(), i0, s.Tq, 0, s.hd, wideQ);
    P::load(sk, k, s.ldk(), firsts.x, s.Tk, 0, s.hd, wideK);
    commit();
#pragma unroll 1
    for (int j0 = firsts.x; j0 < end; j0 += KEYS) {
        waitFor<0>();
        __syncthreads(); // the keys are there, and no warp reads the values before
        P::load(sv, v, s.ldk(), j0, s.Tk, 0, s.hd, wideV);
        commit();
        float p[N][4];
        alongHead<HD, P, P>(p, sharedAddress(sq), warp * 16, sharedAddress(sk));
        bool all = j0 >= firsts.y && j0 + KEYS - 1 <= s.last(i0) && i0 + ROWS <= s.Tq; // every query sees every key
        float fade[2];
#pragma unroll
        for (int e = 0; e < 2; e++) {
            float most = top[e];
#pragma unroll
            for (int n = 0; n < N; n++)
#pragma unroll
                for (int x = 0; x < 2; x++) {
                    int j = j0 + n * 8 + t * 2 + x;
                    float score = p[n][e * 2 + x] * scale;
                    if (!all && (j < first[e] || j > last[e])) score = -INF;
                    p[n][e * 2 + x] = score;
                    most = fmaxf(most, score);
                }
            most = fmaxf(most, __shfl_xor_sync(FULL, most, 1));
            most = fmaxf(most, __shfl_xor_sync(FULL, most, 2));
            float under = most == -INF ? 0 : most; // nothing seen yet: every exponential is 0
            fade[e] = exp2Approx(top[e] - under);
            top[e] = most;
            sum[e] *= fade[e];
#pragma unroll
            for (int n = 0; n < N; n++)
#pragma unroll
                for (int x = 0; x < 2; x++) {
                    float w = exp2Approx(p[n][e * 2 + x] - under);
                    p[n][e * 2 + x] = w;
                    sum[e] += w;
                }
        }
#pragma unroll
        for (int n = 0; n < HD / 8; n++) c[n][0] *= fade[0], c[n][1] *= fade[0], c[n][2] *= fade[1], c[n][3] *= fade[1];
        waitFor<0>();
        __syncthreads(); // the values are there, and no warp reads the keys any more
        if (j0 + KEYS < end) P::load(sk, k, s.ldk(), j0 + KEYS, s.Tk, 0, s.hd, wideK);
        commit();
        weigh<HD, P>(c, p, sharedAddress(sv));
    }
    waitFor<0>();
    float unit[2];
#pragma unroll
    for (int e = 0; e < 2; e++) {
        sum[e] += __shfl_xor_sync(FULL, sum[e], 1);
        sum[e] += __shfl_xor_sync(FULL, sum[e], 2);
        unit[e] = sum[e] == 0 ? 0 : 1 / sum[e];
        int i = mine + e * 8;
        // A row that saw nothing has an infinite lse, so that its probabilities are 0 again.
        if (t == 0 && i < s.Tq) lse[((i64)b * s.Hq + h) * s.Tq + i] = sum[e] == 0 ? INF : top[e] * LN2 + logf(sum[e]);
    }
    putRows<HD>(o, s.query(b, h), s.ldq(), c, i0 + warp * 16, s.Tq, s.hd, unit);
}

// gradient turns a score and do·v of a pair into the probability and the gradient of the score.
__device__ __forceinline__ void gradient(float& p, float& ds, float scale, float lse, float delta, bool sees) {
    p = sees ? exp2Approx(p * scale - lse * LOG2E) : 0;
    ds = sees ? p * (ds - delta) : 0;
}

#define FACTORS const bf16 *q, const bf16 *k, const bf16 *v, const bf16 *dO, const float *lse, const float *delta

template <int HD, int BT>
__device__ __forceinline__ void backwardQueries(char* shared, Result dq, FACTORS, Shape s) {
    typedef Long<HD> P;
    typedef Panel<BT, HD, THREADS> T;
    int i0 = (gridDim.x - 1 - blockIdx.x) * ROWS, h = blockIdx.y, b = blockIdx.z;
    int warp = threadIdx.x / WARP, g = threadIdx.x % WARP / 4, t = threadIdx.x % 4, mine = i0 + warp * 16 + g;
    char *sq = shared, *sdo = sq + P::BYTES, *sk = sdo + P::BYTES, *sv = sk + T::BYTES;
    q += s.query(b, h), dO += s.query(b, h), k += s.key(b, s.keyHead(h)), v += s.key(b, s.keyHead(h));
    bool wideQ = aligned(q, 16) && s.ldq() % 8 == 0, wideDO = aligned(dO, 16) && s.ldq() % 8 == 0;
    bool wideK = aligned(k, 16) && s.ldk() % 8 == 0, wideV = aligned(v, 16) && s.ldk() % 8 == 0;
    P::load(sq, q, s.ldq(), i0, s.Tq, 0, s.hd, wideQ);
    P::load(sdo, dO, s.ldq(), i0, s.Tq, 0, s.hd, wideDO);

    int first[2], last[2];
    float l[2], d[2];
#pragma unroll
    for (int e = 0; e < 2; e++) {
        int i = mine + e * 8;
        i64 at = ((i64)b * s.Hq + h) * s.Tq + i;
        first[e] = s.first(b, i), last[e] = s.last(i);
        l[e] = i < s.Tq ? lse[at] : 0, d[e] = i < s.Tq ? delta[at] : 0;
    }
    float c[HD / 8][4];
    clear(c);
    int end = s.last(min(i0 + ROWS, s.Tq) - 1) + 1;
#pragma unroll 1
    for (int j0 = s.spread(b, i0, ROWS).x; j0 < end; j0 += BT) {
        T::load(sk, k, s.ldk(), j0, s.Tk, 0, s.hd, wideK);
        T::load(sv, v, s.ldk(), j0, s.Tk, 0, s.hd, wideV);
        commit();
        waitFor<0>();
        __syncthreads();
        float p[BT / 8][4], ds[BT / 8][4];
        alongHead<HD, P, T>(p, sharedAddress(sq), warp * 16, sharedAddress(sk));
        alongHead<HD, P, T>(ds, sharedAddress(sdo), warp * 16, sharedAddress(sv));
#pragma unroll
        for (int n = 0; n < BT / 8; n++)
#pragma unroll
            for (int e = 0; e < 4; e++) {
                int j = j0 + n * 8 + t * 2 + e % 2;
                gradient(p[n][e], ds[n][e], s.scale * LOG2E, l[e / 2], d[e / 2], j >= first[e / 2] && j <= last[e / 2]);
            }
        weigh<HD, T>(c, ds, sharedAddress(sk));
        __syncthreads();
    }
    float unit[2] = {s.scale, s.scale};
    putRows<HD>(dq, s.query(b, h), s.ldq(), c, i0 + warp * 16, s.Tq, s.hd, unit);
}

template <int HD, int BT>
__device__ __forceinline__ void backwardKeys(char* shared, Result dk, Result dv, FACTORS, Shape s) {
    typedef Long<HD> P;
    typedef Panel<BT, HD, THREADS> T;
    int j0 = blockIdx.x * ROWS, hkv = blockIdx.y, b = blockIdx.z, group = s.Hq / s.Hkv; // early keys are seen by the most queries: they go first
    int warp = threadIdx.x / WARP, g = threadIdx.x % WARP / 4, t = threadIdx.x % 4, mine = j0 + warp * 16 + g;
    char *sk = shared, *sv = sk + P::BYTES, *sq = sv + P::BYTES, *sdo = sq + T::BYTES;
    k += s.key(b, hkv), v += s.key(b, hkv);
    bool wideK = aligned(k, 16) && s.ldk() % 8 == 0, wideV = aligned(v, 16) && s.ldk() % 8 == 0;
    P::load(sk, k, s.ldk(), j0, s.Tk, 0, s.hd, wideK);
    P::load(sv, v, s.ldk(), j0, s.Tk, 0, s.hd, wideV);

    float ck[HD / 8][4], cv[HD / 8][4];
    clear(ck);
    clear(cv);
#pragma unroll 1
    for (int h = hkv * group; h < (hkv + 1) * group; h++) {
        const bf16 *qh = q + s.query(b, h), *doh = dO + s.query(b, h);
        const float *lh = lse + ((i64)b * s.Hq + h) * s.Tq, *dh = delta + ((i64)b * s.Hq + h) * s.Tq;
        bool wideQ = aligned(qh, 16) && s.ldq() % 8 == 0, wideDO = aligned(doh, 16) && s.ldq() % 8 == 0;
#pragma unroll 1
        for (int i0 = j0; i0 < s.Tq; i0 += BT) {
            if (s.spread(b, i0, BT).x >= j0 + ROWS) continue; // these queries belong to later documents
            T::load(sq, qh, s.ldq(), i0, s.Tq, 0, s.hd, wideQ);
            T::load(sdo, doh, s.ldq(), i0, s.Tq, 0, s.hd, wideDO);
            commit();
            waitFor<0>();
            __syncthreads();
            float p[BT / 8][4], ds[BT / 8][4]; // keys in rows, queries in columns
            alongHead<HD, P, T>(p, sharedAddress(sk), warp * 16, sharedAddress(sq));
            alongHead<HD, P, T>(ds, sharedAddress(sv), warp * 16, sharedAddress(sdo));
#pragma unroll
            for (int n = 0; n < BT / 8; n++)
#pragma unroll
                for (int x = 0; x < 2; x++) {
                    int i = i0 + n * 8 + t * 2 + x;
                    bool there = i < s.Tq;
                    float l = there ? lh[i] : 0, d = there ? dh[i] : 0;
                    int first = s.first(b, i);
#pragma unroll
                    for (int e = 0; e < 2; e++) {
                        int j = mine + e * 8;
                        gradient(p[n][e * 2 + x], ds[n][e * 2 + x], s.scale * LOG2E, l, d, there && first <= j && j <= i);
                    }
                }
            weigh<HD, T>(cv, p, sharedAddress(sdo));
            weigh<HD, T>(ck, ds, sharedAddress(sq));
            __syncthreads();
        }
    }
    commit(); // where no query sees these keys, they are still under way
    waitFor<0>();
    float unit[2] = {s.scale, s.scale}, one[2] = {1, 1};
    putRows<HD>(dk, s.key(b, hkv), s.ldk(), ck, j0 + warp * 16, s.Tk, s.hd, unit);
    putRows<HD>(dv, s.key(b, hkv), s.ldk(), cv, j0 + warp * 16, s.Tk, s.hd, one);
}

#define KERNELS(HD, BT)                                                                                                                                \
    KERNEL __launch_bounds__(THREADS, 2) attention_bf16_##HD(const u32* stop, void* o, float* lse, const bf16* q, const bf16* k, const bf16* v, SHAPE, u32 halfO) { \
        if (stopped(stop)) return;                                                                                                                     \
        __shared__ __align__(16) char shared[3 * Long<HD>::BYTES];                                                                                     \
        forward<HD>(shared, Result{o, halfO}, lse, q, k, v, SHAPE_ARGS);                                                                               \
    }                                                                                                                                                  \
    KERNEL __launch_bounds__(THREADS, 2) attention_dq_bf16_##HD(const u32* stop, void* dq, FACTORS, SHAPE, u32 halfDQ) {                                   \
        if (stopped(stop)) return;                                                                                                                     \
        __shared__ __align__(16) char shared[2 * Long<HD>::BYTES + 2 * Panel<BT, HD, THREADS>::BYTES];                                                 \
        backwardQueries<HD, BT>(shared, Result{dq, halfDQ}, q, k, v, dO, lse, delta, SHAPE_ARGS);                                                      \
    }                                                                                                                                                  \
    KERNEL __launch_bounds__(THREADS, 2) attention_dkv_bf16_##HD(const u32* stop, void* dk, void* dv, FACTORS, SHAPE, u32 halfDK, u32 halfDV) {            \
        if (stopped(stop)) return;                                                                                                                     \
        __shared__ __align__(16) char shared[2 * Long<HD>::BYTES + 2 * Panel<BT, HD, THREADS>::BYTES];                                                 \
        backwardKeys<HD, BT>(shared, Result{dk, halfDK}, Result{dv, halfDV}, q, k, v, dO, lse, delta, SHAPE_ARGS);                                     \
    }
KERNELS(32, 64)
KERNELS(64, 64)
KERNELS(128, 32)
