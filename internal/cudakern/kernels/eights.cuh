// Element-wise kernels take eight elements at a time: 16 bytes of bf16, and the eight draws of one Philox block.
#pragma once
#include "common.cuh"

// Floats is a tensor of float or bf16, told apart at run time: the branch is the same for all threads and costs nothing beside the memory,
// and one kernel serves every mixture of types. HALF(i) reads the kernel's halves, where bit i says that tensor i is bf16.
struct Floats {
    void* p;
    bool half;

    __device__ __forceinline__ Floats(const void* p, bool half) : p((void*)p), half(half) {}
    __device__ __forceinline__ float get(i64 i) const { return half ? load((const bf16*)p + i) : ((const float*)p)[i]; }
    __device__ __forceinline__ void put(i64 i, float v) const {
        if (half) store((bf16*)p + i, v);
        else ((float*)p)[i] = v;
    }
    __device__ __forceinline__ bool wide() const { return aligned(p, 16); }
};
#define HALF(i) ((halves >> (i) & 1) != 0)

// load8 reads elements i … i+n−1 (n at most 8; the rest is 0). wide promises that element i lies at a multiple of 16 bytes.
__device__ __forceinline__ void load8(float (&v)[8], const Floats& f, i64 i, int n, bool wide) {
    if (wide && n == 8) {
        if (f.half) {
            uint4 w = *(const uint4*)((const bf16*)f.p + i);
            u32 words[4] = {w.x, w.y, w.z, w.w};
#pragma unroll
            for (int k = 0; k < 4; k++) {
                v[2 * k] = __uint_as_float(words[k] << 16);
                v[2 * k + 1] = __uint_as_float(words[k] & 0xffff0000u);
            }
        } else {
            float4 a = *(const float4*)((const float*)f.p + i), b = *(const float4*)((const float*)f.p + i + 4);
            v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w, v[4] = b.x, v[5] = b.y, v[6] = b.z, v[7] = b.w;
        }
        return;
    }
#pragma unroll
    for (int k = 0; k < 8; k++) v[k] = k < n ? f.get(i + k) : 0.0f;
}

// put8 writes eight bf16 patterns, two a word.
__device__ __forceinline__ void put8(bf16* p, i64 i, int n, bool wide, const u16 (&b)[8]) {
    if (wide && n == 8) {
        *(uint4*)(p + i) = make_uint4(b[0] | (u32)b[1] << 16, b[2] | (u32)b[3] << 16, b[4] | (u32)b[5] << 16, b[6] | (u32)b[7] << 16);
        return;
    }
#pragma unroll
    for (int k = 0; k < 8; k++)
        if (k < n) p[i + k].bits = b[k];
}

__device__ __forceinline__ void put8(float* p, i64 i, int n, bool wide, const float (&v)[8]) {
    if (wide && n == 8) {
        *(float4*)(p + i) = make_float4(v[0], v[1], v[2], v[3]);
        *(float4*)(p + i + 4) = make_float4(v[4], v[5], v[6], v[7]);
        return;
    }
#pragma unroll
    for (int k = 0; k < 8; k++)
        if (k < n) p[i + k] = v[k];
}

// store8 writes elements i … i+n−1, rounding to nearest even.
__device__ __forceinline__ void store8(const Floats& f, i64 i, int n, bool wide, const float (&v)[8]) {
    if (!f.half) {
        put8((float*)f.p, i, n, wide, v);
        return;
    }
    u16 b[8];
#pragma unroll
    for (int k = 0; k < 8; k++) b[k] = narrow(v[k]);
    put8((bf16*)f.p, i, n, wide, b);
}

// weights8 is store8 with the rounding of the step: element i of the tensor takes draw base+i.
__device__ __forceinline__ void weights8(const Floats& w, i64 i, int n, bool wide, const float (&v)[8], const Step& s) {
    if (!w.half || !s.stochastic) {
        store8(w, i, n, wide, v);
        return;
    }
    u64 at = (u64)(s.base + i);
    int skip = (int)(at & 7);
    uint4 lo = draws8(s.seed, s.tensor, s.number, at >> 3);
    uint4 hi = skip ? draws8(s.seed, s.tensor, s.number, (at >> 3) + 1) : lo;
    u16 b[8];
#pragma unroll
    for (int k = 0; k < 8; k++) b[k] = narrowStochastic(v[k], skip + k < 8 ? draw(lo, skip + k) : draw(hi, skip + k - 8));
    put8((bf16*)w.p, i, n, wide, b);
}

// EIGHTS runs its body for the groups of eight that cover n elements, spread over the grid: i is the first element, m how many.
#define EIGHTS(n)                                                                                                            \
    for (i64 i = ((i64)blockIdx.x * blockDim.x + threadIdx.x) * 8, m; m = (n)-i < 8 ? (n)-i : 8, i < (n);                    \
         i += (i64)gridDim.x * blockDim.x * 8)

// ROW8 does the same for a row of c elements, spread over one block.
#define ROW8(c) for (int j = threadIdx.x * 8, m; m = (c)-j < 8 ? (c)-j : 8, j < (c); j += blockDim.x * 8)

// stoppedBlock is stopped for kernels that may fail and have barriers: other blocks may set the word at any time, and the threads of a block must
// not part over it. All threads call.
__device__ __forceinline__ bool stoppedBlock(const u32* stop) {
    __shared__ u32 seen;
    if (threadIdx.x == 0) seen = *stop;
    __syncthreads();
    return seen != 0;
}

// fail stops everything that was launched behind this kernel: the first failure stays.
__device__ __forceinline__ void fail(u32* word, u32 number) { atomicCAS(word, 0u, number); }
