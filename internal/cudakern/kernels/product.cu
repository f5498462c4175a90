// Small kernels around the matrix products: whether a product may be written at all, and the sums of its squares.
#include "common.cuh"

// product_max: most[block] = the largest magnitude's bits among x (n elements, BF16 or F32): infinity and NaN are the largest. Any grid, block 256,
// 32 bytes of shared memory. Twin: cpukern's absMax.
KERNEL __launch_bounds__(256) product_max(const u32* stop, u32* most, const void* x, i64 n, u32 half) {
    if (stopped(stop)) return;
    __shared__ u32 scratch[8];
    u32 m = 0;
    i64 first = (i64)blockIdx.x * blockDim.x + threadIdx.x, step = (i64)gridDim.x * blockDim.x;
    if (aligned(x, 16)) {
        for (i64 i = first; i < n / 4; i += step) {
            float4 v = half ? load4((const bf16*)x + i * 4) : load4((const float*)x + i * 4);
            m = max(max(m, max(magnitude(v.x), magnitude(v.y))), max(magnitude(v.z), magnitude(v.w)));
        }
        first += n / 4 * 4;
    }
    for (i64 i = first; i < n; i += step) m = max(m, magnitude(half ? load((const bf16*)x + i) : load((const float*)x + i)));
    m = blockMax(m, scratch);
    if (threadIdx.x == 0) most[blockIdx.x] = m;
}

// product_doubt: *doubt = 0 where max|a|·max|b|·K proves that no element of the product overflows, else 1; maxA and maxB are nA and nB results of product_max.
// The half of the largest float leaves room for rounding in the sums. Grid 1, block 32. Twin: cpukern's productFinite.
KERNEL product_doubt(const u32* stop, u32* doubt, const u32* maxA, int nA, const u32* maxB, int nB, int K) {
    if (stopped(stop)) return;
    u32 a = 0, b = 0;
    for (int i = threadIdx.x; i < nA; i += WARP) a = max(a, maxA[i]);
    for (int i = threadIdx.x; i < nB; i += WARP) b = max(b, maxB[i]);
    a = warpMax(a), b = warpMax(b);
    double bound = (double)__uint_as_float(a) * (double)__uint_as_float(b) * (double)K;
    if (threadIdx.x == 0) *doubt = bound < 0.5 * 3.40282346638528859812e38 ? 0 : 1; // a NaN leaves doubt
}

// product_check: where there is doubt, Σ sums[0 … n−1] (the squares of the whole product) tells whether every element is finite; if not, the stop word
// becomes number. Grid 1, block 256, 64 bytes of shared memory.
KERNEL __launch_bounds__(256) product_check(u32* stop, const u32* doubt, const double* sums, int n, u32 number) {
    if (stopped(stop) || *doubt == 0) return;
    __shared__ double scratch[8];
    double sum = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) sum += sums[i];
    sum = blockSum(sum, scratch);
    if (threadIdx.x == 0 && !(fabs(sum) < 1.0 / 0.0)) *stop = number;
}

// product_total: *sum += Σ sums[0 … n−1], in an order that depends on n alone. Grid 1, block 256, 64 bytes of shared memory.
KERNEL __launch_bounds__(256) product_total(const u32* stop, double* sum, const double* sums, int n) {
    if (stopped(stop)) return;
    __shared__ double scratch[8];
    double part = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) part += sums[i];
    part = blockSum(part, scratch);
    if (threadIdx.x == 0) *sum += part;
}
