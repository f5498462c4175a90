// Additions of rows and tensors, and sums over rows. Twins: cpukern's add.go and columns.go.
#include "eights.cuh"

// add_row is y += b in each row: y (n, c), b (c). Grid: a block a row, n at most. Block: any. halves: y, b.
KERNEL add_row(const u32* stop, void* y, const void* b, int n, int c, u32 halves) {
    if (stopped(stop)) return;
    Floats fy(y, HALF(0)), fb(b, HALF(1));
    bool wide = c % 8 == 0 && fy.wide() && fb.wide();
    for (int row = blockIdx.x; row < n; row += gridDim.x) {
        i64 at = (i64)row * c;
        ROW8(c) {
            float v[8], a[8];
            load8(v, fy, at + j, m, wide);
            load8(a, fb, j, m, wide);
#pragma unroll
            for (int k = 0; k < 8; k++) v[k] += a[k];
            store8(fy, at + j, m, wide, v);
        }
    }
}

// add_scaled is y += a·x, n elements; no multiply-add is fused, as in Go. halves: y, x. Any grid and block.
KERNEL add_scaled(const u32* stop, void* y, const void* x, i64 n, float a, u32 halves) {
    if (stopped(stop)) return;
    Floats fy(y, HALF(0)), fx(x, HALF(1));
    bool wide = fy.wide() && fx.wide();
    EIGHTS(n) {
        float v[8], w[8];
        load8(v, fy, i, m, wide);
        load8(w, fx, i, m, wide);
#pragma unroll
        for (int k = 0; k < 8; k++) v[k] = __fadd_rn(v[k], __fmul_rn(a, w[k]));
        store8(fy, i, m, wide, v);
    }
}

// column_sum is the first stage of Σ dy over the rows: part[y][j], y < gridDim.y, is the sum over a range of rows; add_ranges is the second.
// Grid: (blocks of blockDim.x·8 columns, ranges of perRange rows). halves: dy.
KERNEL column_sum(const u32* stop, float* part, const void* dy, int n, int c, int perRange, u32 halves) {
    if (stopped(stop)) return;
    Floats fd(dy, HALF(0)), fp(part, false);
    bool wide = c % 8 == 0 && fd.wide(), widePart = c % 8 == 0;
    int j = (blockIdx.x * blockDim.x + threadIdx.x) * 8, m = c - j < 8 ? c - j : 8;
    if (j >= c) return;
    float sum[8] = {};
    int end = min(n, (int)(blockIdx.y + 1) * perRange);
    for (int row = blockIdx.y * perRange; row < end; row++) {
        float v[8];
        load8(v, fd, (i64)row * c + j, m, wide);
#pragma unroll
        for (int k = 0; k < 8; k++) sum[k] += v[k];
    }
    store8(fp, (i64)blockIdx.y * c + j, m, widePart, sum);
}
