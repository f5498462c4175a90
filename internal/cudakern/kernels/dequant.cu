// 4-bit blocks of GGUF, 32 elements each: element i < 16 in the low nibble of byte i, element 16+i in its high nibble. Twin: package gguf's dequant.go,
// bit for bit: every product is rounded before the sum.
#include "eights.cuh"

// halfAt is the float16 at p, of any alignment.
__device__ __forceinline__ float halfAt(const unsigned char* p) {
    u16 bits = (u16)(p[0] | p[1] << 8);
    float v;
    asm("cvt.f32.f16 %0, %1;" : "=f"(v) : "h"(bits));
    return v;
}

// dequant_q4_0 is x = d·(q−8): d float16, 16 bytes. A thread a byte, two elements; any grid and block. halves: dst.
KERNEL dequant_q4_0(const u32* stop, void* dst, const unsigned char* src, i64 blocks, u32 halves) {
    if (stopped(stop)) return;
    Floats to(dst, HALF(0));
    for (i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x; at < blocks * 16; at += (i64)gridDim.x * blockDim.x) {
        const unsigned char* b = src + at / 16 * 18;
        int i = (int)(at % 16), q = b[2 + i];
        float d = halfAt(b);
        to.put(at / 16 * 32 + i, __fmul_rn(d, (float)((q & 15) - 8)));
        to.put(at / 16 * 32 + i + 16, __fmul_rn(d, (float)((q >> 4) - 8)));
    }
}

// dequant_q4_1 is x = d·q + m: d and m float16, 16 bytes. Launch as dequant_q4_0.
KERNEL dequant_q4_1(const u32* stop, void* dst, const unsigned char* src, i64 blocks, u32 halves) {
    if (stopped(stop)) return;
    Floats to(dst, HALF(0));
    for (i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x; at < blocks * 16; at += (i64)gridDim.x * blockDim.x) {
        const unsigned char* b = src + at / 16 * 20;
        int i = (int)(at % 16), q = b[4 + i];
        float d = halfAt(b), least = halfAt(b + 2);
        to.put(at / 16 * 32 + i, __fadd_rn(__fmul_rn(d, (float)(q & 15)), least));
        to.put(at / 16 * 32 + i + 16, __fadd_rn(__fmul_rn(d, (float)(q >> 4)), least));
    }
}
