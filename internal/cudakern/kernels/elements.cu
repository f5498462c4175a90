// Element by element: clearing, copies with conversion, SwiGLU and GeGLU. Twins: cpukern's copy.go, glu.go and gate.go.
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

// What a gate does with one element; backward turns gate and up into their gradients.
struct SiLU {
    static __device__ __forceinline__ float forward(float g, float u) { return g / (1.0f + expf(-g)) * u; }

    // With s = σ(g): dup = d·g·s and dgate = d·up·s·(1 + g·(1−s)).
    static __device__ __forceinline__ void backward(float d, float& g, float& u) {
        float s = 1.0f / (1.0f + expf(-g));
        float dg = d * u * (s * (1.0f + g * (1.0f - s)));
        u = d * (g * s);
        g = dg;
    }
};

// GELU's tanh form is g·σ(arg), arg = g·(A + B·g²). The square is bounded: σ is 0 or 1 long before, and nothing overflows.
struct GELU {
    static __device__ __forceinline__ float square(float g) { return fminf(g * g, 256.0f); }
    static __device__ __forceinline__ float arg(float g) { return g * (1.5957691216057308f + 0.07135481627260025f * square(g)); }
    static __device__ __forceinline__ float forward(float g, float u) { return g / (1.0f + expf(-arg(g))) * u; }

    // With s = σ(arg): dup = d·g·s and dgate = d·up·(s + g·s·(1−s)·slope). 1−s is made as e·s, for its digits.
    static __device__ __forceinline__ void backward(float d, float& g, float& u) {
        float e = expf(-arg(g)), s = 1.0f / (1.0f + e), slope = 1.5957691216057308f + 3.0f * 0.07135481627260025f * square(g);
        float dg = d * u * (g * s * (fminf(e, 3.402823466e38f) * s * slope) + s);
        u = d * (g * s);
        g = dg;
    }
};

template <class Gate>
__device__ __forceinline__ void gated(void* act, const void* gate, const void* up, i64 n, u32 halves) {
    Floats fa(act, HALF(0)), fg(gate, HALF(1)), fu(up, HALF(2));
    bool wide = fa.wide() && fg.wide() && fu.wide();
    EIGHTS(n) {
        float g[8], u[8];
        load8(g, fg, i, m, wide);
        load8(u, fu, i, m, wide);
#pragma unroll
        for (int k = 0; k < 8; k++) g[k] = Gate::forward(g[k], u[k]);
        store8(fa, i, m, wide, g);
    }
}

template <class Gate>
__device__ __forceinline__ void gatedBackward(void* dgate, void* dup, const void* dact, const void* gate, const void* up, i64 n, u32 halves) {
    Floats fdg(dgate, HALF(0)), fdu(dup, HALF(1)), fd(dact, HALF(2)), fg(gate, HALF(3)), fu(up, HALF(4));
    bool wide = fdg.wide() && fdu.wide() && fd.wide() && fg.wide() && fu.wide();
    EIGHTS(n) {
        float d[8], g[8], u[8];
        load8(d, fd, i, m, wide);
        load8(g, fg, i, m, wide);
        load8(u, fu, i, m, wide);
#pragma unroll
        for (int k = 0; k < 8; k++) Gate::backward(d[k], g[k], u[k]);
        store8(fdg, i, m, wide, g);
        store8(fdu, i, m, wide, u);
    }
}

// swiglu is act = silu(gate)·up, geglu act = gelu(gate)·up, n elements. halves: act, gate, up. Any grid and block.
KERNEL swiglu(const u32* stop, void* act, const void* gate, const void* up, i64 n, u32 halves) {
    if (!stopped(stop)) gated<SiLU>(act, gate, up, n, halves);
}
KERNEL geglu(const u32* stop, void* act, const void* gate, const void* up, i64 n, u32 halves) {
    if (!stopped(stop)) gated<GELU>(act, gate, up, n, halves);
}

// swiglu_backward and geglu_backward write dgate and dup; dgate may be gate and dup may be up. halves: dgate, dup, dact, gate, up. Any grid and block.
KERNEL swiglu_backward(const u32* stop, void* dgate, void* dup, const void* dact, const void* gate, const void* up, i64 n, u32 halves) {
    if (!stopped(stop)) gatedBackward<SiLU>(dgate, dup, dact, gate, up, n, halves);
}
KERNEL geglu_backward(const u32* stop, void* dgate, void* dup, const void* dact, const void* gate, const void* up, i64 n, u32 halves) {
    if (!stopped(stop)) gatedBackward<GELU>(dgate, dup, dact, gate, up, n, halves);
}
