// A logit of each head that joins the softmax of attention, and its gradient. Twin: cpukern's sink.go.
#include "eights.cuh"

// place is where (B, heads, T) has the log-sum of head h of row i.
__device__ __forceinline__ i64 place(int i, int h, int heads, int T) { return ((i64)(i / T) * heads + h) * T + i % T; }

// sink is o·σ(lse − s) and lse = ln(e^lse + e^s), in place: o (rows, heads·hd), lse (B, heads, T), sinks (heads), n rows·heads. A row that saw nothing has
// lse +Inf and keeps it. A warp takes a head of a row; any grid, block a multiple of 32. halves: o, sinks.
KERNEL sink(const u32* stop, void* o, float* lse, const void* sinks, int n, int heads, int hd, int T, u32 halves) {
    if (stopped(stop)) return;
    Floats fo(o, HALF(0)), fs(sinks, HALF(1));
    bool wide = hd % 8 == 0 && fo.wide();
    int lane = threadIdx.x % WARP, warps = blockDim.x / WARP;
    for (int at = blockIdx.x * warps + threadIdx.x / WARP; at < n; at += gridDim.x * warps) {
        int h = at % heads;
        i64 l = place(at / heads, h, heads, T);
        float old = lse[l], s = fs.get(h), d = old - s;
        __syncwarp();
        float kept = 1.0f / (1.0f + expf(-d));
        if (lane == 0) lse[l] = fmaxf(old, s) + log1pf(expf(-fabsf(d)));
        for (int j = lane * 8; j < hd; j += WARP * 8) {
            float v[8];
            int m = hd - j < 8 ? hd - j : 8;
            load8(v, fo, (i64)at * hd + j, m, wide);
#pragma unroll
            for (int k = 0; k < 8; k++) v[k] *= kept;
            store8(fo, (i64)at * hd + j, m, wide, v);
        }
    }
}

// sink_backward is the first stage of −Σ exp(s − lse)·Σ do·o over the rows, o and lse as sink left them: part[y][h], y < gridDim.y, is the sum over a range of
// rows; add_ranges is the second. Grid: (heads, ranges of perRange rows). Block: a warp. halves: do, o, sinks.
KERNEL sink_backward(const u32* stop, float* part, const void* dout, const void* o, const float* lse, const void* sinks, int n, int heads, int hd, int T,
                     int perRange, u32 halves) {
    if (stopped(stop)) return;
    Floats fg(dout, HALF(0)), fo(o, HALF(1)), fs(sinks, HALF(2));
    bool wide = hd % 8 == 0 && fg.wide() && fo.wide();
    int h = blockIdx.x, end = min(n, (int)(blockIdx.y + 1) * perRange);
    float s = fs.get(h), sum = 0;
    for (int row = blockIdx.y * perRange; row < end; row++) {
        float dot = 0;
        for (int j = threadIdx.x * 8; j < hd; j += WARP * 8) {
            float a[8], b[8];
            int m = hd - j < 8 ? hd - j : 8;
            i64 at = ((i64)row * heads + h) * hd + j;
            load8(a, fg, at, m, wide);
            load8(b, fo, at, m, wide);
#pragma unroll
            for (int k = 0; k < 8; k++) dot += a[k] * b[k];
        }
        sum -= expf(s - lse[place(row, h, heads, T)]) * warpSum(dot);
    }
    if (threadIdx.x == 0) part[(i64)blockIdx.y * heads + h] = sum;
}
