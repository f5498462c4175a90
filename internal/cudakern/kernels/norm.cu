// RMSNorm, its backward, and RoPE. Twins: cpukern's norm.go and rope.go.
#include "eights.cuh"

// A gain is w, or with plusOne 1 + w.
__device__ __forceinline__ float gain(float w, int plusOne) { return plusOne ? w + 1.0f : w; }

// rms_norm is y = gain·x·rstd, rstd = 1/sqrt(mean(x²)+eps) over the last axis: x, y (n, c), w (c), rstd (n).
// Grid: a block a row, n at most. Block: a multiple of 32 up to 1024. halves: y, x, w. Shared: 128 bytes.
KERNEL rms_norm(const u32* stop, void* y, float* rstd, const void* x, const void* w, int n, int c, float eps, int plusOne, u32 halves) {
    __shared__ float sums[32];
    if (stopped(stop)) return;
    Floats fy(y, HALF(0)), fx(x, HALF(1)), fw(w, HALF(2));
    bool wide = c % 8 == 0 && fy.wide() && fx.wide() && fw.wide();
    for (int row = blockIdx.x; row < n; row += gridDim.x) {
        i64 at = (i64)row * c;
        float sum = 0;
        ROW8(c) {
            float v[8];
            load8(v, fx, at + j, m, wide);
#pragma unroll
            for (int k = 0; k < 8; k++) sum += v[k] * v[k];
        }
        float r = 1.0f / sqrtf(blockSum(sum, sums) / (float)c + eps);
        if (threadIdx.x == 0) rstd[row] = r;
        ROW8(c) {
            float v[8], g[8];
            load8(v, fx, at + j, m, wide);
            load8(g, fw, j, m, wide);
#pragma unroll
            for (int k = 0; k < 8; k++) v[k] = v[k] * r * gain(g[k], plusOne);
            store8(fy, at + j, m, wide, v);
        }
    }
}

// rms_norm_input is dx = dy·gain·rstd − x·back, back = rstd³·mean(dy·gain·x), with acc dx += it: shapes and launch as rms_norm. Without acc dx may be
// dy. halves: dx, dy, x, w.
KERNEL rms_norm_input(const u32* stop, void* dx, const void* dy, const void* x, const void* w, const float* rstd, int n, int c, int plusOne, int acc,
                      u32 halves) {
    __shared__ float sums[32];
    if (stopped(stop)) return;
    Floats fd(dx, HALF(0)), fg(dy, HALF(1)), fx(x, HALF(2)), fw(w, HALF(3));
    bool wide = c % 8 == 0 && fd.wide() && fg.wide() && fx.wide() && fw.wide();
    for (int row = blockIdx.x; row < n; row += gridDim.x) {
        i64 at = (i64)row * c;
        float r = rstd[row], dot = 0;
        ROW8(c) {
            float a[8], b[8], g[8];
            load8(a, fx, at + j, m, wide);
            load8(b, fw, j, m, wide);
            load8(g, fg, at + j, m, wide);
#pragma unroll
            for (int k = 0; k < 8; k++) dot += a[k] * gain(b[k], plusOne) * g[k];
        }
        float back = blockSum(dot, sums) / (float)c * r * r * r;
        ROW8(c) {
            float a[8], b[8], g[8], d[8] = {};
            load8(a, fx, at + j, m, wide);
            load8(b, fw, j, m, wide);
            load8(g, fg, at + j, m, wide);
            if (acc) load8(d, fd, at + j, m, wide);
#pragma unroll
            for (int k = 0; k < 8; k++) d[k] += g[k] * gain(b[k], plusOne) * r - a[k] * back;
            store8(fd, at + j, m, wide, d);
        }
    }
}

// rms_norm_weight is the first stage of dw = Σ dy·x·rstd over the rows: part[y][j], y < gridDim.y, is the sum over a range of rows.
// Grid: (blocks of blockDim.x·8 columns, ranges of perRange rows). halves: dy, x.
KERNEL rms_norm_weight(const u32* stop, float* part, const void* dy, const void* x, const float* rstd, int n, int c, int perRange, u32 halves) {
    if (stopped(stop)) return;
    Floats fg(dy, HALF(0)), fx(x, HALF(1)), fp(part, false);
    bool wide = c % 8 == 0 && fg.wide() && fx.wide(), widePart = c % 8 == 0;
    int j = (blockIdx.x * blockDim.x + threadIdx.x) * 8, m = c - j < 8 ? c - j : 8;
    if (j >= c) return;
    float sum[8] = {};
    int end = min(n, (int)(blockIdx.y + 1) * perRange);
    for (int row = blockIdx.y * perRange; row < end; row++) {
        float g[8], a[8], r = rstd[row];
        load8(g, fg, (i64)row * c + j, m, wide);
        load8(a, fx, (i64)row * c + j, m, wide);
#pragma unroll
        for (int k = 0; k < 8; k++) sum[k] += g[k] * (a[k] * r);
    }
    store8(fp, (i64)blockIdx.y * c + j, m, widePart, sum);
}

// add_ranges is out[j] = Σ_y part[y][j] in the order of y, in double; with acc, out[j] += it. A thread a column, any grid.
KERNEL add_ranges(const u32* stop, float* out, const float* part, int ranges, int c, int acc) {
    if (stopped(stop)) return;
    for (int j = blockIdx.x * blockDim.x + threadIdx.x; j < c; j += gridDim.x * blockDim.x) {
        double sum = acc ? (double)out[j] : 0.0;
        for (int y = 0; y < ranges; y++) sum += (double)part[(i64)y * c + j];
        out[j] = (float)sum;
    }
}

// rope turns elements j and j+half of every head by the angle of the row's position and frequency j, and leaves those from 2·half on: x (n, heads·size),
// pos (n), cos and sin (P, half). sign −1 turns back. A thread takes eight j of one head; any grid and block. halves: x.
KERNEL rope(const u32* stop, void* x, const int* pos, const float* cos, const float* sin, int n, int heads, int size, int half, float sign, u32 halves) {
    if (stopped(stop)) return;
    Floats fx(x, HALF(0)), fc(cos, false), fs(sin, false);
    bool wide = half % 8 == 0 && size % 8 == 0 && fx.wide() && fc.wide() && fs.wide();
    int groups = (half + 7) / 8;
    i64 total = (i64)n * heads * groups;
    for (i64 at = (i64)blockIdx.x * blockDim.x + threadIdx.x; at < total; at += (i64)gridDim.x * blockDim.x) {
        int j = (int)(at % groups) * 8, m = half - j < 8 ? half - j : 8;
        i64 head = at / groups, row = head / heads;
        i64 a0 = head * size + j, table = (i64)pos[row] * half + j;
        float a[8], b[8], c[8], s[8];
        load8(a, fx, a0, m, wide);
        load8(b, fx, a0 + half, m, wide);
        load8(c, fc, table, m, wide);
        load8(s, fs, table, m, wide);
#pragma unroll
        for (int k = 0; k < 8; k++) {
            float p = a[k], q = b[k], sn = s[k] * sign;
            a[k] = p * c[k] - q * sn;
            b[k] = q * c[k] + p * sn;
        }
        store8(fx, a0, m, wide, a);
        store8(fx, a0 + half, m, wide, b);
    }
}
