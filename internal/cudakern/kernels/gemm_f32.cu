// Matrix products with a factor in F32, by float multiply-adds: for float32 models, and for mixed factors, whose BF16 is widened on the way (a tensor core
// would round the F32). Twin: cpukern/matmul.go. Grid: one block a tile, ceil(M/BM)·ceil(N/BN). Two tilings:
//   gemm_*_f32        128 x 128 x 8, block 256, 8 x 8 elements a thread, 34816 bytes of shared memory
//   gemm_*_f32_small  32 x 32 x 16, block 64, 4 x 4 elements a thread, 9216 bytes: for products of few tiles
// Any M, N, K and any addresses. The factors pass through registers into one of two buffers while the other is multiplied.
#include "product.cuh"

// Factor is a or b: its elements may be BF16, and lie along K or across it.
struct Factor {
    const void* p;
    bool half;
};

template <Layout L, int BM, int BN, int BK, int TY, int TX>
struct FloatProduct {
    static const int THREADS = BM / TY * (BN / TX), COLS = BN / TX; // a block is (BM/TY, BN/TX) threads
    static const int STRIDE = BN + 8, LA = BM + 4, LB = BN + 4;
    // A thread's rows are TY/4 groups of four, BAND apart, and so its columns: what a warp reads at once lies side by side.
    static const int BANDS = TY / 4, BAND = BM / BANDS, BANDN = BN / (TX / 4);
    static const int RING = 2 * BK * (LA + LB) * 4, STAGED = BAND * STRIDE * 4;
    static const int SHARED = RING > STAGED ? RING : STAGED;
    static const int EA = BM * BK / THREADS, EB = BN * BK / THREADS;
    static_assert(EA % 4 == 0 && EB % 4 == 0, "factors are read four at a time");

    float* shared;
    int M, N, K, row0, col0, ty, tx;
    float c[TY][TX];

    __device__ __forceinline__ FloatProduct(char* shared, int M, int N, int K) : shared((float*)shared), M(M), N(N), K(K) {
        int m, n;
        tileOf(blockIdx.x, (M + BM - 1) / BM, (N + BN - 1) / BN, m, n);
        row0 = m * BM, col0 = n * BN;
        ty = threadIdx.x / COLS, tx = threadIdx.x % COLS;
    }

    template <class T>
    __device__ __forceinline__ static void read4(float* v, const T* p, int n) {
        if (n == 4 && aligned(p, 4 * sizeof(T))) {
            float4 w = load4(p);
            v[0] = w.x, v[1] = w.y, v[2] = w.z, v[3] = w.w;
            return;
        }
#pragma unroll
        for (int k = 0; k < 4; k++) v[k] = k < n ? load(p + k) : 0;
    }

    // fetch reads this thread's E elements of a tile of BX x BK, four at a time: along, from rows x of a (X, K) matrix; else from rows k of a (K, X) one.
    template <int BX, int E>
    __device__ __forceinline__ static void fetch(float (&v)[E], Factor f, bool along, int x0, int X, int k0, int K) {
#pragma unroll
        for (int e = 0; e < E; e += 4) {
            int i = threadIdx.x * 4 + e * THREADS;
            int row = along ? x0 + i / BK : k0 + i / BX, col = along ? k0 + i % BK : x0 + i % BX;
            int rows = along ? X : K, cols = along ? K : X;
            int n = row < rows ? min(4, cols - col) : 0; // below 1: nothing
            i64 at = (i64)row * cols + col;
            if (f.half)
                read4(v + e, (const bf16*)f.p + at, n);
            else
                read4(v + e, (const float*)f.p + at, n);
        }
    }

    // lay puts them into the tile in shared memory, (BK, BX) in rows of LX.
    template <int BX, int LX, int E>
    __device__ __forceinline__ static void lay(float* tile, const float (&v)[E], bool along) {
#pragma unroll
        for (int e = 0; e < E; e++) {
            int i = threadIdx.x * 4 + e / 4 * 4 * THREADS + e % 4;
            if (along)
                tile[i % BK * LX + i / BK] = v[e];
            else
                tile[i / BX * LX + i % BX] = v[e];
        }
    }

    __device__ __forceinline__ void run(Factor a, Factor b) {
#pragma unroll
        for (int i = 0; i < TY; i++)
#pragma unroll
            for (int j = 0; j < TX; j++) c[i][j] = 0;
        int steps = (K + BK - 1) / BK;
        float va[EA], vb[EB];
#pragma unroll 1
        for (int s = 0; s <= steps; s++) {
            if (s < steps) {
                fetch<BM>(va, a, L != TN, row0, M, s * BK, K);
                fetch<BN>(vb, b, L == NT, col0, N, s * BK, K);
            }
            if (s > 0) multiply(s - 1);
            if (s < steps) {
                float* tile = shared + s % 2 * BK * (LA + LB);
                lay<BM, LA>(tile, va, L != TN);
                lay<BN, LB>(tile + BK * LA, vb, L == NT);
            }
            __syncthreads();
        }
    }

    __device__ __forceinline__ void multiply(int step) {
        const float *a = shared + step % 2 * BK * (LA + LB), *b = a + BK * LA;
#pragma unroll 2
        for (int k = 0; k < BK; k++) {
            float x[TY], y[TX];
#pragma unroll
            for (int i = 0; i < TY; i += 4) read4(x + i, a + k * LA + i / 4 * BAND + ty * 4, 4);
#pragma unroll
            for (int j = 0; j < TX; j += 4) read4(y + j, b + k * LB + j / 4 * BANDN + tx * 4, 4);
#pragma unroll
            for (int i = 0; i < TY; i++)
#pragma unroll
                for (int j = 0; j < TX; j++) c[i][j] = fmaf(x[i], y[j], c[i][j]);
        }
    }

    template <class Out>
    __device__ __forceinline__ void give(const Out& out) {
#pragma unroll
        for (int band = 0; band < BANDS; band++) {
            __syncthreads();
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < TX; j += 4) {
                    const float* v = c[band * 4 + i] + j;
                    store4(shared + (ty * 4 + i) * STRIDE + j / 4 * BANDN + tx * 4, make_float4(v[0], v[1], v[2], v[3]));
                }
            __syncthreads();
            out.template take<BN, THREADS>(Band{shared, STRIDE, row0 + band * BAND, BAND, col0, M, N});
        }
    }

    __device__ __forceinline__ double squares() const {
        double sum = 0;
#pragma unroll
        for (int i = 0; i < TY; i++) sum += sumSquares(c[i]);
        return sum;
    }
};

template <Layout L>
using Large = FloatProduct<L, 128, 128, 8, 8, 8>;
template <Layout L>
using Small = FloatProduct<L, 32, 32, 16, 4, 4>;

#define FACTORS const void *a, const void *b, int M, int N, int K, u32 halfA, u32 halfB
#define SHARED(P) __shared__ __align__(16) char shared[P::SHARED]

// y = op(a)·op(b), with acc y += …; each tensor is BF16 (half…) or F32.
#define STORE(name, P)                                                                                            \
    KERNEL __launch_bounds__(P::THREADS) name(const u32* stop, void* y, FACTORS, u32 halfY, u32 acc) {          \
        if (stopped(stop)) return;                                                                                \
        SHARED(P);                                                                                                \
        storeProduct<P>(shared, y, Factor{a, halfA != 0}, Factor{b, halfB != 0}, M, N, K, halfY, acc);            \
    }
STORE(gemm_nt_f32, Large<NT>)
STORE(gemm_nn_f32, Large<NN>)
STORE(gemm_tn_f32, Large<TN>)
STORE(gemm_nt_f32_small, Small<NT>)
STORE(gemm_nn_f32_small, Small<NN>)
STORE(gemm_tn_f32_small, Small<TN>)

// sums[block] = Σ(aᵀ·b)² over the block's tile; nothing is done when *only is 0 (only may be 0).
#define SUMSQ(name, P)                                                                                            \
    KERNEL __launch_bounds__(P::THREADS) name(const u32* stop, const u32* only, double* sums, FACTORS) {        \
        if (stopped(stop) || (only && *only == 0)) return;                                                        \
        SHARED(P);                                                                                                \
        sumProduct<P>(shared, sums, Factor{a, halfA != 0}, Factor{b, halfB != 0}, M, N, K);                       \
    }
SUMSQ(gemm_sumsq_f32, Large<TN>)
SUMSQ(gemm_sumsq_f32_small, Small<TN>)

// w (M, N), BF16 (halfW) or F32, is updated with the gradient aᵀ·b; sums as above, or 0.
#define UPDATE(name, P)                                                                                           \
    KERNEL __launch_bounds__(P::THREADS) name(const u32* stop, void* w, double* sums, FACTORS, u32 halfW, STEP_PARAMS) { \
        if (stopped(stop)) return;                                                                                \
        SHARED(P);                                                                                                \
        Step step = STEP_ARGS;                                                                                    \
        updateProduct<P>(shared, w, sums, Factor{a, halfA != 0}, Factor{b, halfB != 0}, M, N, K, halfW, step);     \
    }
UPDATE(gemm_update_f32, Large<TN>)
UPDATE(gemm_update_f32_small, Small<TN>)
