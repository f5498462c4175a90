// What all matrix products share: the order of tiles, and what is done with a finished tile (stored, added, turned into an update, or squared and
// summed). A tile's float sums pass through shared memory in bands of rows, so that memory is touched in whole groups of eight elements.
#pragma once
#include "common.cuh"

// The layouts of a product c (M, N), every matrix row-major and contiguous:
//   NT  c = a·bᵀ  a (M, K), b (N, K)   MatMul
//   NN  c = a·b   a (M, K), b (K, N)   MatMulBackwardInput
//   TN  c = aᵀ·b  a (K, M), b (K, N)   OuterAdd, OuterSumSq, OuterUpdate
enum Layout { NT, NN, TN };

// tileOf is which tile a block makes: eight rows of tiles at a time, column by column, so that what is read stays in the L2 cache.
__device__ __forceinline__ void tileOf(int block, int tilesM, int tilesN, int& m, int& n) {
    const int band = 8;
    int first = block / (band * tilesN) * band, inside = block % (band * tilesN);
    int height = min(band, tilesM - first);
    m = first + inside % height;
    n = inside / height;
}

// Eight elements of a row, of which those from lo to hi−1 exist: wide accesses where all do and p is a multiple of 16 bytes.
__device__ __forceinline__ bool whole8(const void* p, int lo, int hi) { return lo == 0 && hi == 8 && aligned(p, 16); }

template <class T>
__device__ __forceinline__ void read8(float (&v)[8], const T* p, int lo, int hi) {
    if (whole8(p, lo, hi)) {
        float4 a = load4(p), b = load4(p + 4);
        v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w, v[4] = b.x, v[5] = b.y, v[6] = b.z, v[7] = b.w;
        return;
    }
#pragma unroll
    for (int k = 0; k < 8; k++) v[k] = k >= lo && k < hi ? load(p + k) : 0;
}

template <class T>
__device__ __forceinline__ void write8(T* p, const float (&v)[8], int lo, int hi) {
    if (whole8(p, lo, hi)) {
        store4(p, make_float4(v[0], v[1], v[2], v[3]));
        store4(p + 4, make_float4(v[4], v[5], v[6], v[7]));
        return;
    }
#pragma unroll
    for (int k = 0; k < 8; k++)
        if (k >= lo && k < hi) store(p + k, v[k]);
}

// write8Rounded is write8 of weights, k with draw k of d.
__device__ __forceinline__ void write8Rounded(bf16* p, const float (&v)[8], uint4 d, int lo, int hi) {
    u32 b[8];
#pragma unroll
    for (int k = 0; k < 8; k++) b[k] = narrowStochastic(v[k], draw(d, k));
    if (whole8(p, lo, hi)) {
        *(uint4*)p = make_uint4(b[0] | b[1] << 16, b[2] | b[3] << 16, b[4] | b[5] << 16, b[6] | b[7] << 16);
        return;
    }
#pragma unroll
    for (int k = 0; k < 8; k++)
        if (k >= lo && k < hi) p[k].bits = (u16)b[k];
}

// Band is some rows of a finished tile in shared memory: rows row0 … row0+rows−1 and columns col0 … col0+COLS−1 of c (M, N).
struct Band {
    const float* sums;
    int stride, row0, rows, col0, M, N;
};

// Stored writes c, or with acc adds it to what is there.
struct Stored {
    void* y;
    bool half, acc;

    template <int COLS, int THREADS>
    __device__ __forceinline__ void take(const Band& t) const {
        if (half)
            put<COLS, THREADS>((bf16*)y, t);
        else
            put<COLS, THREADS>((float*)y, t);
    }

    template <int COLS, int THREADS, class T>
    __device__ __forceinline__ void put(T* c, const Band& t) const {
        for (int i = threadIdx.x; i < t.rows * (COLS / 8); i += THREADS) {
            int r = i / (COLS / 8), col = i % (COLS / 8) * 8, n = min(8, t.N - t.col0 - col);
            if (t.row0 + r >= t.M || n <= 0) continue;
            float v[8], old[8];
            read8(v, t.sums + r * t.stride + col, 0, 8);
            T* p = c + (i64)(t.row0 + r) * t.N + t.col0 + col;
            if (acc) {
                read8(old, p, 0, n);
#pragma unroll
                for (int k = 0; k < 8; k++) v[k] += old[k];
            }
            write8(p, v, 0, n);
        }
    }
};

// Updated is LOMO's update of w with the gradient c. Groups of eight are those of the noise, which may begin before the tile.
struct Updated {
    void* w;
    bool half;
    Step step;

    template <int COLS, int THREADS>
    __device__ __forceinline__ void take(const Band& t) const {
        if (half)
            put<COLS, THREADS>((bf16*)w, t);
        else
            put<COLS, THREADS>((float*)w, t);
    }

    template <int COLS, int THREADS, class T>
    __device__ __forceinline__ void put(T* weights, const Band& t) const {
        const int groups = COLS / 8 + 1;
        int width = min(COLS, t.N - t.col0);
        for (int i = threadIdx.x; i < t.rows * groups; i += THREADS) {
            int r = i / groups;
            if (t.row0 + r >= t.M) continue;
            i64 first = (i64)(t.row0 + r) * t.N + t.col0; // the row's first element in this tile
            u64 at = (u64)(step.base + first);
            int col = i % groups * 8 - (int)(at % 8), lo = max(0, -col), hi = min(8, width - col);
            if (lo >= hi) continue;
            const float* sums = t.sums + r * t.stride;
            T* p = weights + first + col;
            float v[8];
            read8(v, p, lo, hi);
#pragma unroll
            for (int k = 0; k < 8; k++)
                if (k >= lo && k < hi) v[k] = step.updated(v[k], sums[col + k]);
            round(p, v, at / 8 + i % groups, lo, hi);
        }
    }

    __device__ __forceinline__ void round(float* p, const float (&v)[8], u64, int lo, int hi) const { write8(p, v, lo, hi); }
    __device__ __forceinline__ void round(bf16* p, const float (&v)[8], u64 block, int lo, int hi) const {
        if (step.stochastic)
            write8Rounded(p, v, draws8(step.seed, step.tensor, step.number, block), lo, hi);
        else
            write8(p, v, lo, hi);
    }
};

// sumSquares is Σv² in double. Squares are summed in float, n at a time, under a power of two that keeps them in range; an infinity or a NaN among
// v comes out as one.
template <int N>
__device__ __forceinline__ double sumSquares(const float (&v)[N]) {
    u32 most = 0;
#pragma unroll
    for (int i = 0; i < N; i++) most = max(most, magnitude(v[i]));
    if (most >= INF_BITS) return (double)__uint_as_float(most);
    // 2⁻ᵉ for the largest exponent e, kept from the ends, where 2⁻ᵉ itself or the smallest values would not be normal.
    int e = min(max((int)(most >> 23) - 127, -100), 100);
    float down = __uint_as_float((u32)(127 - e) << 23);
    float sum = 0;
#pragma unroll
    for (int i = 0; i < N; i++) {
        float x = v[i] * down;
        sum = fmaf(x, x, sum);
    }
    return (double)sum * __longlong_as_double((i64)(1023 + 2 * e) << 52);
}

// The bodies of the kernels for a product P (TensorProduct, FloatProduct).
template <class P, class A, class B>
__device__ __forceinline__ void storeProduct(char* shared, void* y, A a, B b, int M, int N, int K, bool halfY, bool acc) {
    P p(shared, M, N, K);
    p.run(a, b);
    p.give(Stored{y, halfY, acc});
}

// sumProduct writes the block's Σc² to sums.
template <class P, class A, class B>
__device__ __forceinline__ void sumProduct(char* shared, double* sums, A a, B b, int M, int N, int K) {
    P p(shared, M, N, K);
    p.run(a, b);
    __syncthreads();
    double sum = blockSum(p.squares(), (double*)shared);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// updateProduct also writes the block's Σc² to sums, unless that is 0.
template <class P, class A, class B>
__device__ __forceinline__ void updateProduct(char* shared, void* w, double* sums, A a, B b, int M, int N, int K, bool halfW, const Step& step) {
    P p(shared, M, N, K);
    p.run(a, b);
    if (sums) {
        __syncthreads();
        double sum = blockSum(p.squares(), (double*)shared);
        if (threadIdx.x == 0) sums[blockIdx.x] = sum;
    }
    p.give(Updated{w, halfW, step});
}
