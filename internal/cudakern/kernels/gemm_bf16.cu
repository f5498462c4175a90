// Matrix products of two BF16 factors (gemm.cuh). Grid: one block a tile, ceil(M/BM)·ceil(N/BN). Two tilings:
//   gemm_*_bf16        128 x 128, 8 warps of 64 x 32, block 256, 49152 bytes of shared memory
//   gemm_*_bf16_small  64 x 64, 4 warps of 32 x 32, block 128, 24576 bytes: for products of few tiles
// Any M, N, K and any addresses; full speed where addresses and rows are multiples of 16 bytes. Results are the same bits for both tilings: the sum of an
// element is taken in the same order.
#include "gemm.cuh"

template <Layout L>
using Large = TensorProduct<L, 128, 128, 2, 4>;
template <Layout L>
using Small = TensorProduct<L, 64, 64, 2, 2>;

#define SHARED(P) __shared__ __align__(16) char shared[P::SHARED]

// y = op(a)·op(b), with acc y += …; y is BF16 (halfY) or F32.
#define STORE(name, P, blocks)                                                                                                              \
    KERNEL __launch_bounds__(P::THREADS, blocks) name(const u32* stop, void* y, const bf16* a, const bf16* b, int M, int N, int K, u32 halfY, u32 acc) { \
        if (stopped(stop)) return;                                                                                                           \
        SHARED(P);                                                                                                                           \
        storeProduct<P>(shared, y, a, b, M, N, K, halfY, acc);                                                                               \
    }
STORE(gemm_nt_bf16, Large<NT>, 2)
STORE(gemm_nn_bf16, Large<NN>, 2)
STORE(gemm_tn_bf16, Large<TN>, 2)
STORE(gemm_nt_bf16_small, Small<NT>, 3)
STORE(gemm_nn_bf16_small, Small<NN>, 3)
STORE(gemm_tn_bf16_small, Small<TN>, 3)

// sums[block] = Σ(aᵀ·b)² over the block's tile; nothing is done when *only is 0 (only may be 0).
#define SUMSQ(name, P, blocks)                                                                                                                 \
    KERNEL __launch_bounds__(P::THREADS, blocks) name(const u32* stop, const u32* only, double* sums, const bf16* a, const bf16* b, int M, int N, int K) { \
        if (stopped(stop) || (only && *only == 0)) return;                                                                                     \
        SHARED(P);                                                                                                                              \
        sumProduct<P>(shared, sums, a, b, M, N, K);                                                                                            \
    }
SUMSQ(gemm_sumsq_bf16, Large<TN>, 2)
SUMSQ(gemm_sumsq_bf16_small, Small<TN>, 3)

// w (M, N), BF16 (halfW) or F32, is updated with the gradient aᵀ·b; sums as above, or 0.
#define UPDATE(name, P, blocks)                                                                                                                                            \
    KERNEL __launch_bounds__(P::THREADS, blocks) name(const u32* stop, void* w, double* sums, const bf16* a, const bf16* b, int M, int N, int K, u32 halfW, STEP_PARAMS) { \
        if (stopped(stop)) return;                                                                                                                                         \
        SHARED(P);                                                                                                                                                         \
        Step step = STEP_ARGS;                                                                                                                                             \
        updateProduct<P>(shared, w, sums, a, b, M, N, K, halfW, step);                                                                                                     \
    }
UPDATE(gemm_update_bf16, Large<TN>, 2)
UPDATE(gemm_update_bf16_small, Small<TN>, 3)
