// Element by element: clearing, copies with conversion, SwiGLU. Twins: cpukern's copy.go, swiglu.go and exp.go.
#include "eights.cuh"

// zero_bytes clears n bytes. Any grid and block.
KERNEL zero_bytes(const u32* stop, unsigned char* p, i64 n) {
    if (stopped(stop)) return;
    i64 step = (i64)gridDim.x * blockDim.x, first = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    i64 done = 0;
    if (aligned(p, 16)) {
        done = n / 16 * 16;
        for (i64 i = first; i < n / 16; i += step) ((uint4*)p)[i] = make_uint4(0, 0, 0, 0);
    }
    for (i64 i = done + first; i < n; i += step) p[i] = 0;
}

// copy_bytes is dst = src for n bytes that do not overlap. Any grid and block.
KERNEL copy_bytes(const u32* stop, unsigned char* dst, const unsigned char* src, i64 n) {
    if (stopped(stop)) return;
    i64 step = (i64)gridDim.x * blockDim.x, first = (i64)blockIdx.x * blockDim.x + threadIdx.x;
    i64 done = 0;
    if (aligned(dst, 16) && aligned(src, 16)) {
        done = n / 16 * 16;
        for (i64 i = first; i < n / 16; i += step) ((uint4*)dst)[i] = ((const uint4*)src)[i];
    }
    for (i64 i = done + first; i < n; i += step) dst[i] = src[i];
}

// convert is dst = src between float and bf16 (nearest even), n elements. halves: dst, src. Any grid and block.
KERNEL convert(const u32* stop, void* dst, const void* src, i64 n, u32 halves) {
    if (stopped(stop)) return;
    Floats to(dst, HALF(0)), from(src, HALF(1));
    bool wide = to.wide() && from.wide();
    EIGHTS(n) {
        float v[8];
        load8(v, from, i, m, wide);
        store8(to, i, m, wide, v);
    }
}

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// swiglu is act = silu(gate)·up, n elements. halves: act, gate, up. Any grid and block.
KERNEL swiglu(const u32* stop, void* act, const void* gate, const void* up, i64 n, u32 halves) {
    if (stopped(stop)) return;
    Floats fa(act, HALF(0)), fg(gate, HALF(1)), fu(up, HALF(2));
    bool wide = fa.wide() && fg.wide() && fu.wide();
    EIGHTS(n) {
        float g[8], u[8];
        load8(g, fg, i, m, wide);
        load8(u, fu, i, m, wide);
#pragma unroll
        for (int k = 0; k < 8; k++) g[k] = g[k] / (1.0f + expf(-g[k])) * u[k];
        store8(fa, i, m, wide, g);
    }
}

// swiglu_backward is, with s = σ(gate): dup = dact·gate·s and dgate = dact·up·s·(1 + gate·(1−s)); dgate may be gate and dup may be up.
// halves: dgate, dup, dact, gate, up. Any grid and block.
KERNEL swiglu_backward(const u32* stop, void* dgate, void* dup, const void* dact, const void* gate, const void* up, i64 n, u32 halves) {
    if (stopped(stop)) return;
    Floats fdg(dgate, HALF(0)), fdu(dup, HALF(1)), fd(dact, HALF(2)), fg(gate, HALF(3)), fu(up, HALF(4));
    bool wide = fdg.wide() && fdu.wide() && fd.wide() && fg.wide() && fu.wide();
    EIGHTS(n) {
        float d[8], g[8], u[8];
        load8(d, fd, i, m, wide);
        load8(g, fg, i, m, wide);
        load8(u, fu, i, m, wide);
#pragma unroll
        for (int k = 0; k < 8; k++) {
            float s = sigmoid(g[k]);
            float dg = d[k] * u[k] * (s * (1.0f + g[k] * (1.0f - s)));
            u[k] = d[k] * (g[k] * s);
            g[k] = dg;
        }
        store8(fdg, i, m, wide, g);
        store8(fdu, i, m, wide, u);
    }
}
