// What the attention kernels share (FlashAttention-2, Dao 2023, arXiv 2307.08691). q, o (B, Tq, Hq·hd); k, v (B, Tk, Hkv·hd); start (B, Tq);
// lse (B, Hq, Tq). Query i of a sequence sees the keys j with start[i] ≤ j ≤ i + Tk − Tq. Exponentials are taken to the base 2.
#pragma once
#include "common.cuh"

#define LOG2E 1.4426950408889634f
#define LN2 0.6931471805599453f

#define SHAPE const int *start, int Tq, int Tk, int Hq, int Hkv, int hd, float scale
#define SHAPE_ARGS \
    { start, Tq, Tk, Hq, Hkv, hd, scale }

__device__ __forceinline__ float exp2Approx(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

struct Shape {
    const int* start;
    int Tq, Tk, Hq, Hkv, hd;
    float scale;

    // Where element 0 of a head of a sequence's first token lies, and how far the next token is.
    __device__ __forceinline__ i64 query(int b, int h) const { return ((i64)b * Tq * Hq + h) * hd; }
    __device__ __forceinline__ i64 key(int b, int h) const { return ((i64)b * Tk * Hkv + h) * hd; }
    __device__ __forceinline__ int ldq() const { return Hq * hd; }
    __device__ __forceinline__ int ldk() const { return Hkv * hd; }
    __device__ __forceinline__ int keyHead(int h) const { return h / (Hq / Hkv); }

    // first and last are the keys that query i of sequence b sees; none for a query that does not exist.
    __device__ __forceinline__ int first(int b, int i) const { return i < Tq ? start[(i64)b * Tq + i] : 0; }
    __device__ __forceinline__ int last(int i) const { return i < Tq ? i + Tk - Tq : -1; }

    // spread is the least and the largest first key of the queries i0 … i0+n−1. All lanes of a warp call and get it.
    __device__ __forceinline__ int2 spread(int b, int i0, int n) const {
        int least = 0x7fffffff, most = 0;
        for (int i = i0 + threadIdx.x % WARP; i < min(i0 + n, Tq); i += WARP) least = min(least, first(b, i)), most = max(most, first(b, i));
        for (int d = WARP / 2; d > 0; d /= 2) least = min(least, __shfl_xor_sync(FULL, least, d)), most = max(most, __shfl_xor_sync(FULL, most, d));
        return make_int2(least, most);
    }
};

// A result in BF16 or F32.
struct Result {
    void* p;
    u32 half;
};
