// Optimizers that see one element at a time. A check (reduce.cu) comes before each of them: what they read is finite. Twins: cpukern's update.go
// and adamw.go; products that decide a weight's bits are not fused, as there.
#include "eights.cuh"

// update is LOMO's w ← w·keep − lr·h, n elements, g float. halves: w. Any grid and block.
KERNEL update(const u32* stop, void* w, const float* g, i64 n, u32 halves, STEP_PARAMS) {
    if (stopped(stop)) return;
    Step s = STEP_ARGS;
    Floats fw(w, HALF(0)), fg(g, false);
    bool wide = fw.wide() && fg.wide();
    EIGHTS(n) {
        float v[8], d[8];
        load8(v, fw, i, m, wide);
        load8(d, fg, i, m, wide);
#pragma unroll
        for (int k = 0; k < 8; k++) v[k] = s.updated(v[k], d[k]);
        weights8(fw, i, m, wide, v, s);
    }
}

// adamw is m ← m + (1−β₁)(h−m), v ← β₂v + (1−β₂)h², w ← w·keep − rate·m/(√v/root + eps); the float32 weights live in master where there is one.
// halves: w. Any grid and block.
KERNEL adamw(const u32* stop, void* w, float* mean, float* var, float* master, const float* g, i64 n, u32 halves, float beta2, float one1, float one2,
             float eps, float rate, float root, STEP_PARAMS) {
    if (stopped(stop)) return;
    Step s = STEP_ARGS;
    Floats fw(w, HALF(0)), fm(mean, false), fv(var, false), fg(g, false);
    Floats from(master ? (void*)master : w, master ? false : HALF(0));
    bool wide = fw.wide() && fm.wide() && fv.wide() && fg.wide() && from.wide();
    EIGHTS(n) {
        float x[8], a[8], b[8], h[8];
        load8(x, from, i, m, wide);
        load8(a, fm, i, m, wide);
        load8(b, fv, i, m, wide);
        load8(h, fg, i, m, wide);
#pragma unroll
        for (int k = 0; k < 8; k++) {
            float d = s.gradient(h[k]);
            a[k] = __fadd_rn(a[k], __fmul_rn(one1, __fsub_rn(d, a[k])));
            b[k] = __fadd_rn(__fmul_rn(b[k], beta2), __fmul_rn(one2, __fmul_rn(d, d)));
            float den = __fadd_rn(__fdiv_rn(__fsqrt_rn(b[k]), root), eps);
            x[k] = __fsub_rn(__fmul_rn(x[k], s.keep), __fmul_rn(rate, __fdiv_rn(a[k], den)));
        }
        store8(fm, i, m, wide, a);
        store8(fv, i, m, wide, b);
        if (master) store8(from, i, m, wide, x);
        weights8(fw, i, m, wide, x, s);
    }
}

// sgd is b ← momentum·b + (1−dampening)(h + decay·w), first: b = h + decay·w; w ← w − lr·b, nesterov: w − lr·(h + decay·w + momentum·b).
// halves: w. Any grid and block.
KERNEL sgd(const u32* stop, void* w, float* buf, const float* g, i64 n, u32 halves, float momentum, float one, float decay, int first, int nesterov,
           STEP_PARAMS) {
    if (stopped(stop)) return;
    Step s = STEP_ARGS;
    Floats fw(w, HALF(0)), fb(buf, false), fg(g, false);
    bool wide = fw.wide() && fb.wide() && fg.wide();
    EIGHTS(n) {
        float x[8], b[8], h[8];
        load8(x, fw, i, m, wide);
        load8(b, fb, i, m, wide);
        load8(h, fg, i, m, wide);
#pragma unroll
        for (int k = 0; k < 8; k++) {
            float d = __fadd_rn(s.gradient(h[k]), __fmul_rn(decay, x[k]));
            b[k] = first ? d : __fadd_rn(__fmul_rn(momentum, b[k]), __fmul_rn(one, d));
            d = nesterov ? __fadd_rn(d, __fmul_rn(momentum, b[k])) : b[k];
            x[k] = __fsub_rn(x[k], __fmul_rn(s.lr, d));
        }
        store8(fb, i, m, wide, b);
        weights8(fw, i, m, wide, x, s);
    }
}
