// What the kernels share. Conventions for all of them:
//   - the first parameter is stop, a word on the device: when it is not zero an operation has failed and a kernel returns at once;
//   - tensors may begin at any multiple of their element's size: wide accesses only where the address allows;
//   - no float atomics: sums have a fixed order, so results have the same bits from run to run.
#pragma once

#define KERNEL extern "C" __global__ void

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

// A bfloat16 in memory. Arithmetic is in float.
struct bf16 {
    u16 bits;
};

#define WARP 32
#define FULL 0xffffffffu
#define INF __int_as_float(0x7f800000)

__device__ __forceinline__ bool stopped(const u32* stop) { return *stop != 0; }

__device__ __forceinline__ float widen(u16 b) { return __uint_as_float((u32)b << 16); }

// narrow rounds to nearest even.
__device__ __forceinline__ u16 narrow(float v) {
    u16 b;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(b) : "f"(v));
    return b;
}

// narrow2 is two values in one word, lo in the low half.
__device__ __forceinline__ u32 narrow2(float lo, float hi) {
    u32 w;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(w) : "f"(hi), "f"(lo));
    return w;
}

__device__ __forceinline__ float load(const float* p) { return *p; }
__device__ __forceinline__ float load(const bf16* p) { return widen(p->bits); }
__device__ __forceinline__ void store(float* p, float v) { *p = v; }
__device__ __forceinline__ void store(bf16* p, float v) { p->bits = narrow(v); }

// aligned says whether p is a multiple of n bytes, n a power of two.
__device__ __forceinline__ bool aligned(const void* p, int n) { return ((u64)p & (u64)(n - 1)) == 0; }

// Four elements at once; p must be a multiple of their size.
__device__ __forceinline__ float4 load4(const float* p) { return *(const float4*)p; }
__device__ __forceinline__ float4 load4(const bf16* p) {
    uint2 w = *(const uint2*)p;
    return make_float4(__uint_as_float(w.x << 16), __uint_as_float(w.x & 0xffff0000u), __uint_as_float(w.y << 16), __uint_as_float(w.y & 0xffff0000u));
}
__device__ __forceinline__ void store4(float* p, float4 v) { *(float4*)p = v; }
__device__ __forceinline__ void store4(bf16* p, float4 v) { *(uint2*)p = make_uint2(narrow2(v.x, v.y), narrow2(v.z, v.w)); }

// Sums over a warp by halving distances: every lane gets the same bits.
__device__ __forceinline__ float warpSum(float v) {
    for (int d = WARP / 2; d > 0; d /= 2) v += __shfl_xor_sync(FULL, v, d);
    return v;
}
__device__ __forceinline__ float warpMax(float v) {
    for (int d = WARP / 2; d > 0; d /= 2) v = fmaxf(v, __shfl_xor_sync(FULL, v, d));
    return v;
}
__device__ __forceinline__ u32 warpMax(u32 v) {
    for (int d = WARP / 2; d > 0; d /= 2) v = max(v, __shfl_xor_sync(FULL, v, d));
    return v;
}
__device__ __forceinline__ double warpSum(double v) {
    for (int d = WARP / 2; d > 0; d /= 2) {
        u64 bits = (u64)__double_as_longlong(v);
        u32 lo = __shfl_xor_sync(FULL, (u32)bits, d), hi = __shfl_xor_sync(FULL, (u32)(bits >> 32), d);
        v += __longlong_as_double((i64)((u64)hi << 32 | lo));
    }
    return v;
}

// Sums over a block of up to 32 warps in the warps' order; all threads call, and all get the result. scratch is shared memory for one
// value a warp; it may be used again by the next call, which begins with a barrier.
template <class T>
__device__ __forceinline__ T blockSum(T v, T* scratch) {
    v = warpSum(v);
    int warps = (blockDim.x + WARP - 1) / WARP;
    __syncthreads();
    if (threadIdx.x % WARP == 0) scratch[threadIdx.x / WARP] = v;
    __syncthreads();
    T total = scratch[0];
    for (int w = 1; w < warps; w++) total += scratch[w];
    return total;
}
template <class T>
__device__ __forceinline__ T blockMax(T v, T* scratch) {
    v = warpMax(v);
    int warps = (blockDim.x + WARP - 1) / WARP;
    __syncthreads();
    if (threadIdx.x % WARP == 0) scratch[threadIdx.x / WARP] = v;
    __syncthreads();
    T most = scratch[0];
    for (int w = 1; w < warps; w++) most = max(most, scratch[w]);
    return most;
}

// The bits of |v|, whose order as integers is that of the values, with infinity and then NaN above all: the twin of cpukern's absMax.
__device__ __forceinline__ u32 magnitude(float v) { return __float_as_uint(v) & 0x7fffffffu; }
#define INF_BITS 0x7f800000u

// Philox4x32-10, the bits of internal/rng.
__device__ __forceinline__ uint4 philox(u64 key, uint4 c) {
    u32 k0 = (u32)key, k1 = (u32)(key >> 32);
#pragma unroll
    for (int i = 0; i < 10; i++) {
        u64 p0 = (u64)0xD2511F53u * c.x, p1 = (u64)0xCD9E8D57u * c.z;
        c = make_uint4((u32)(p1 >> 32) ^ c.y ^ k0, (u32)p1, (u32)(p0 >> 32) ^ c.w ^ k1, (u32)p0);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c;
}

#define PURPOSE_ROUNDING 1u // rng.Rounding

// draws8 is rng.Uint16x8: the draws of elements 8·block … 8·block+7, two in a word, low half first.
__device__ __forceinline__ uint4 draws8(u64 seed, u32 tensor, u32 number, u64 block) {
    return philox(seed, make_uint4((u32)block, (u32)(block >> 32) & 0xffffu | PURPOSE_ROUNDING << 16, tensor, number));
}

// draw is number i % 8 of eight draws.
__device__ __forceinline__ u32 draw(uint4 d, int i) {
    u32 w = i & 4 ? (i & 2 ? d.w : d.z) : (i & 2 ? d.y : d.x);
    return i & 1 ? w >> 16 : w & 0xffffu;
}

// narrowStochastic rounds the magnitude up with the probability of the part cut off, r uniform in [0, 2¹⁶): the twin of
// tensor.F32ToBF16Stochastic.
__device__ __forceinline__ u16 narrowStochastic(float v, u32 r) {
    u32 u = __float_as_uint(v);
    if ((u & INF_BITS) == INF_BITS) return narrow(v);
    u32 up = u + r;
    return (up & INF_BITS) == INF_BITS ? u16(u >> 16) : u16(up >> 16);
}

// The constants of a device.Step, in the order in which kernels take them; what is off has the value that changes nothing.
//   scale, clip, coef: h = clamp(g·scale, ±clip)·coef (coef points to one float, or is 0)    keep, lr: w·keep − lr·h
#define STEP_PARAMS float scale, float clip, const float *coef, float keep, float lr, u32 stochastic, u64 seed, u32 tensor, u32 number, i64 base
#define STEP_ARGS \
    { scale, clip, coef ? *coef : 1.0f, keep, lr, stochastic, tensor, number, seed, base }
struct Step {
    float scale, clip, coef, keep, lr;
    u32 stochastic, tensor, number;
    u64 seed;
    i64 base;

    // gradient is what an update sees of g, updated the weight after LOMO's update; no multiply-add is fused, as in Go.
    __device__ __forceinline__ float gradient(float g) const { return __fmul_rn(fminf(fmaxf(__fmul_rn(g, scale), -clip), clip), coef); }
    __device__ __forceinline__ float updated(float w, float g) const { return __fsub_rn(__fmul_rn(w, keep), __fmul_rn(lr, gradient(g))); }

    // put stores v as element i of the tensor at w, rounded as the step says.
    __device__ __forceinline__ void put(float* w, i64 i, float v) const { w[i] = v; }
    __device__ __forceinline__ void put(bf16* w, i64 i, float v) const {
        u64 at = (u64)(base + i);
        w[i].bits = stochastic ? narrowStochastic(v, draw(draws8(seed, tensor, number, at / 8), (int)(at % 8))) : narrow(v);
    }
};
