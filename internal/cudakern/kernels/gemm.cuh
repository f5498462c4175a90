// Products of two BF16 matrices on tensor cores with float sums, the twin of cpukern/matmul.go. A block makes a BM x BN tile; its factors come
// through a ring of STAGES buffers in shared memory by cp.async (or, where addresses or rows are not multiples of 16 bytes, element by element),
// and its warps, WARPS_M x WARPS_N of them, multiply from there with ldmatrix and mma.sync. The tiling follows CUTLASS's description of
// efficient products (NVIDIA, "CUTLASS: Fast Linear Algebra in CUDA C++").
#pragma once
#include "panel.cuh"
#include "product.cuh"

template <Layout L, int BM, int BN, int WARPS_M, int WARPS_N>
struct TensorProduct {
    static const int BK = 32, STAGES = 3, THREADS = WARPS_M * WARPS_N * WARP;
    static const int WM = BM / WARPS_M, WN = BN / WARPS_N; // a warp's part of the tile
    static const int STRIDE = BN + 8;                      // of a band: its rows begin in different banks
    typedef Panel<L == TN ? BK : BM, L == TN ? BM : BK, THREADS> A;
    typedef Panel<L == NT ? BN : BK, L == NT ? BK : BN, THREADS> B;
    static const int STAGE = A::BYTES + B::BYTES, RING = STAGES * STAGE, BAND = WM * STRIDE * 4;
    static const int SHARED = RING > BAND ? RING : BAND;

    char* shared;
    int M, N, K, row0, col0, warpM, warpN;
    float c[WM / 16][WN / 8][4];

    __device__ __forceinline__ TensorProduct(char* shared, int M, int N, int K) : shared(shared), M(M), N(N), K(K) {
        int m, n, warp = threadIdx.x / WARP;
        tileOf(blockIdx.x, (M + BM - 1) / BM, (N + BN - 1) / BN, m, n);
        row0 = m * BM, col0 = n * BN;
        warpM = warp / WARPS_N * WM, warpN = warp % WARPS_N * WN;
    }

    __device__ __forceinline__ void load(int step, const bf16* a, const bf16* b, bool wideA, bool wideB) const {
        char* to = shared + step % STAGES * STAGE;
        int k = step * BK;
        if (L == TN)
            A::load(to, a, M, k, K, row0, M, wideA);
        else
            A::load(to, a, K, row0, M, k, K, wideA);
        if (L == NT)
            B::load(to + A::BYTES, b, K, col0, N, k, K, wideB);
        else
            B::load(to + A::BYTES, b, N, k, K, col0, N, wideB);
    }

    // multiply adds what one buffer holds: BK deep, 16 at a time.
    __device__ __forceinline__ void multiply(int step) {
        u32 a0 = sharedAddress(shared + step % STAGES * STAGE), b0 = a0 + A::BYTES;
        int lane = threadIdx.x % WARP, eight = lane % 8, upper = lane / 8 % 2, last = lane / 16;
#pragma unroll
        for (int k = 0; k < BK; k += 16) {
            u32 a[WM / 16][4], b[WN / 16][4];
#pragma unroll
            for (int i = 0; i < WM / 16; i++) {
                int m = warpM + i * 16;
                if (L == TN)
                    ldmatrixTrans(a[i], a0 + A::at(k + last * 8 + eight, m / 8 + upper));
                else
                    ldmatrix(a[i], a0 + A::at(m + upper * 8 + eight, k / 8 + last));
            }
#pragma unroll
            for (int j = 0; j < WN / 16; j++) {
                int n = warpN + j * 16;
                if (L == NT)
                    ldmatrix(b[j], b0 + B::at(n + last * 8 + eight, k / 8 + upper));
                else
                    ldmatrixTrans(b[j], b0 + B::at(k + upper * 8 + eight, n / 8 + last));
            }
#pragma unroll
            for (int i = 0; i < WM / 16; i++)
#pragma unroll
                for (int j = 0; j < WN / 8; j++) mma(c[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
        }
    }

    // run makes the tile. Every step waits for its buffer, and refills the one that all warps have left behind.
    __device__ __forceinline__ void run(const bf16* a, const bf16* b) {
        bool wideA = aligned(a, 16) && (L == TN ? M : K) % 8 == 0, wideB = aligned(b, 16) && (L == NT ? K : N) % 8 == 0;
#pragma unroll
        for (int i = 0; i < WM / 16; i++)
#pragma unroll
            for (int j = 0; j < WN / 8; j++)
#pragma unroll
                for (int e = 0; e < 4; e++) c[i][j][e] = 0;
        int steps = (K + BK - 1) / BK;
#pragma unroll 1
        for (int s = 0; s < STAGES - 1; s++) {
            if (s < steps) load(s, a, b, wideA, wideB);
            commit();
        }
#pragma unroll 1
        for (int s = 0; s < steps; s++) {
            waitFor<STAGES - 2>();
            __syncthreads();
            if (s + STAGES - 1 < steps) load(s + STAGES - 1, a, b, wideA, wideB);
            commit();
            multiply(s);
        }
        waitFor<0>();
    }

    // give hands the tile to out, a row of warps at a time.
    template <class Out>
    __device__ __forceinline__ void give(const Out& out) {
        float* band = (float*)shared;
        int lane = threadIdx.x % WARP, g = lane / 4, t = lane % 4;
#pragma unroll 1
        for (int m = 0; m < BM; m += WM) {
            __syncthreads();
            if (warpM == m) {
#pragma unroll
                for (int i = 0; i < WM / 16; i++)
#pragma unroll
                    for (int j = 0; j < WN / 8; j++) {
                        float* p = band + (i * 16 + g) * STRIDE + warpN + j * 8 + t * 2;
                        *(float2*)p = make_float2(c[i][j][0], c[i][j][1]);
                        *(float2*)(p + 8 * STRIDE) = make_float2(c[i][j][2], c[i][j][3]);
                    }
            }
            __syncthreads();
            out.template take<BN, THREADS>(Band{band, STRIDE, row0 + m, WM, col0, M, N});
        }
    }

    // squares is the tile's Σc²; rows and columns outside c are zeros.
    __device__ __forceinline__ double squares() const {
        double sum = 0;
#pragma unroll
        for (int i = 0; i < WM / 16; i++) {
            float v[WN / 8 * 4];
#pragma unroll
            for (int j = 0; j < WN / 8; j++)
#pragma unroll
                for (int e = 0; e < 4; e++) v[j * 4 + e] = c[i][j][e];
            sum += sumSquares(v);
        }
        return sum;
    }
};
