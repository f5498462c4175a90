// Sums and maxima over whole tensors in two stages: a partial result a block, and one block that adds them in their order. The grid depends
// on the size alone, so the bits do too. Twin: cpukern's update.go.
#include "eights.cuh"

// sum_squares is part[block] = Σx² in double, which is finite exactly when all elements are. halves: x.
// Any grid; block a multiple of 32. Shared: 256 bytes.
KERNEL sum_squares(const u32* stop, double* part, const void* x, i64 n, u32 halves) {
    __shared__ double sums[32];
    if (stopped(stop)) return;
    Floats fx(x, HALF(0));
    bool wide = fx.wide();
    double sum = 0;
    EIGHTS(n) {
        float v[8];
        load8(v, fx, i, m, wide);
#pragma unroll
        for (int k = 0; k < 8; k++) sum += (double)v[k] * (double)v[k];
    }
    sum = blockSum(sum, sums);
    if (threadIdx.x == 0) part[blockIdx.x] = sum;
}

// sum_elements is part[block] = Σx in double of a float tensor. Launch as sum_squares.
KERNEL sum_elements(const u32* stop, double* part, const float* x, i64 n) {
    __shared__ double sums[32];
    if (stopped(stop)) return;
    Floats fx(x, false);
    bool wide = fx.wide();
    double sum = 0;
    EIGHTS(n) {
        float v[8];
        load8(v, fx, i, m, wide);
#pragma unroll
        for (int k = 0; k < 8; k++) sum += (double)v[k];
    }
    sum = blockSum(sum, sums);
    if (threadIdx.x == 0) part[blockIdx.x] = sum;
}

// add_partials is *out = Σ part over n, or with acc *out += it; where word is given, a sum that is not finite stops everything behind instead.
// One block, a multiple of 32. Shared: 256 bytes.
KERNEL add_partials(const u32* stop, double* out, const double* part, int n, int acc, u32* word, u32 mark) {
    __shared__ double sums[32];
    if (stopped(stop)) return;
    double sum = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) sum += part[i];
    sum = blockSum(sum, sums);
    if (threadIdx.x != 0) return;
    if (word && !isfinite(sum)) fail(word, mark);
    else *out = acc ? *out + sum : sum;
}

// check stops everything behind when an element of the float tensor g is not finite. Any grid and block.
KERNEL check(const u32* stop, const float* g, i64 n, u32* word, u32 mark) {
    if (stopped(stop)) return;
    Floats fg(g, false);
    bool wide = fg.wide();
    u32 most = 0;
    EIGHTS(n) {
        float v[8];
        load8(v, fg, i, m, wide);
#pragma unroll
        for (int k = 0; k < 8; k++) most = max(most, magnitude(v[k]));
    }
    if (most >= INF_BITS) fail(word, mark);
}

// abs_max is part[block] = the bits of max|x|: infinity for an infinity, a NaN's for a NaN. Launch as sum_squares. halves: x. Shared: 128 bytes.
KERNEL abs_max(const u32* stop, u32* part, const void* x, i64 n, u32 halves) {
    __shared__ u32 maxima[32];
    if (stopped(stop)) return;
    Floats fx(x, HALF(0));
    bool wide = fx.wide();
    u32 most = 0;
    EIGHTS(n) {
        float v[8];
        load8(v, fx, i, m, wide);
#pragma unroll
        for (int k = 0; k < 8; k++) most = max(most, magnitude(v[k]));
    }
    most = blockMax(most, maxima);
    if (threadIdx.x == 0) part[blockIdx.x] = most;
}

// max_partials is *out = max part over n. One block, a multiple of 32. Shared: 128 bytes.
KERNEL max_partials(const u32* stop, u32* out, const u32* part, int n) {
    __shared__ u32 maxima[32];
    if (stopped(stop)) return;
    u32 most = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) most = max(most, part[i]);
    most = blockMax(most, maxima);
    if (threadIdx.x == 0) *out = most;
}

// clip_coef is *coef = min(1, maxNorm/(sqrt(*sumSq)·scale + 1e−6)). One thread.
KERNEL clip_coef(const u32* stop, float* coef, const double* sumSq, float maxNorm, float scale) {
    if (stopped(stop)) return;
    double k = (double)maxNorm / (sqrt(*sumSq) * (double)scale + 1e-6);
    *coef = (float)(k < 1.0 ? k : 1.0);
}
