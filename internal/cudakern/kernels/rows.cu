// Rows of a table: the embedding's lookup and its gradients. Twin: cpukern's rows.go.
#include "eights.cuh"

// move_rows copies n rows of c elements, converting: dst[i] = src[idx[i]], or with scatter dst[idx[i]] = src[i].
// Grid: a block a row, n at most. halves: dst, src.
KERNEL move_rows(const u32* stop, void* dst, const void* src, const int* idx, int n, int c, int scatter, u32 halves) {
    if (stopped(stop)) return;
    Floats to(dst, HALF(0)), from(src, HALF(1));
    bool wide = c % 8 == 0 && to.wide() && from.wide();
    for (int row = blockIdx.x; row < n; row += gridDim.x) {
        i64 other = idx[row], a = (scatter ? other : row) * c, b = (scatter ? row : other) * c;
        ROW8(c) {
            float v[8];
            load8(v, from, b + j, m, wide);
            store8(to, a + j, m, wide, v);
        }
    }
}

// Rows is device.Rows on the card: row ids[u] of the table has the gradient Σ d[index[i]], offs[u] ≤ i < offs[u+1].
#define ROWS_PARAMS const int *ids, const int *offs, const int *index, const void *d, int count, int c

// sum8 is elements j … j+m−1 of the gradient of entry u, added in the order of index.
__device__ __forceinline__ void sum8(float (&sum)[8], const Floats& d, const int* offs, const int* index, int u, int c, int j, int m, bool wide) {
#pragma unroll
    for (int k = 0; k < 8; k++) sum[k] = 0;
    for (int i = offs[u]; i < offs[u + 1]; i++) {
        float v[8];
        load8(v, d, (i64)index[i] * c + j, m, wide);
#pragma unroll
        for (int k = 0; k < 8; k++) sum[k] += v[k];
    }
}

// rows_add adds the gradients to g (n, c), the table's rows from row0 on. Grid: a block an entry, count at most. halves: d.
KERNEL rows_add(const u32* stop, float* g, ROWS_PARAMS, int row0, int n, u32 halves) {
    if (stopped(stop)) return;
    Floats fd(d, HALF(0)), fg(g, false);
    bool wide = c % 8 == 0 && fd.wide() && fg.wide();
    for (int u = blockIdx.x; u < count; u += gridDim.x) {
        int row = ids[u] - row0;
        if (row < 0 || row >= n) continue;
        ROW8(c) {
            float sum[8], v[8];
            sum8(sum, fd, offs, index, u, c, j, m, wide);
            load8(v, fg, (i64)row * c + j, m, wide);
#pragma unroll
            for (int k = 0; k < 8; k++) v[k] += sum[k];
            store8(fg, (i64)row * c + j, m, wide, v);
        }
    }
}

// rows_squares is part[block] = the sum of squares of the summed rows, in double, which is finite exactly when they are.
// Grid: a block an entry, count at most, the number of partials. Block a multiple of 32. halves: d. Shared: 256 bytes.
KERNEL rows_squares(const u32* stop, double* part, ROWS_PARAMS, u32 halves) {
    __shared__ double sums[32];
    if (stopped(stop)) return;
    Floats fd(d, HALF(0));
    bool wide = c % 8 == 0 && fd.wide();
    double total = 0;
    for (int u = blockIdx.x; u < count; u += gridDim.x) {
        ROW8(c) {
            float sum[8];
            sum8(sum, fd, offs, index, u, c, j, m, wide);
#pragma unroll
            for (int k = 0; k < 8; k++) total += (double)sum[k] * (double)sum[k];
        }
    }
    total = blockSum(total, sums);
    if (threadIdx.x == 0) part[blockIdx.x] = total;
}

// rows_update is LOMO's update of the listed rows of w (v, c). Grid: a block an entry, count at most. halves: d, w.
KERNEL rows_update(const u32* stop, void* w, ROWS_PARAMS, u32 halves, STEP_PARAMS) {
    if (stopped(stop)) return;
    Step s = STEP_ARGS;
    Floats fd(d, HALF(0)), fw(w, HALF(1));
    bool wide = c % 8 == 0 && fd.wide() && fw.wide();
    for (int u = blockIdx.x; u < count; u += gridDim.x) {
        i64 at = (i64)ids[u] * c;
        ROW8(c) {
            float sum[8], v[8];
            sum8(sum, fd, offs, index, u, c, j, m, wide);
            load8(v, fw, at + j, m, wide);
#pragma unroll
            for (int k = 0; k < 8; k++) v[k] = s.updated(v[k], sum[k]);
            weights8(fw, at + j, m, wide, v, s);
        }
    }
}

// rows_decay is the update with a zero gradient of every row of w (v, c) that ids (ascending) does not name.
// Grid: a block a row, v at most. halves: w.
KERNEL rows_decay(const u32* stop, void* w, const int* ids, int count, int v, int c, u32 halves, STEP_PARAMS) {
    if (stopped(stop)) return;
    Step s = STEP_ARGS;
    Floats fw(w, HALF(0));
    bool wide = c % 8 == 0 && fw.wide();
    for (int row = blockIdx.x; row < v; row += gridDim.x) {
        int lo = 0, hi = count; // the first entry whose id is at least row
        while (lo < hi) {
            int mid = (lo + hi) / 2;
            if (ids[mid] < row) lo = mid + 1;
            else hi = mid;
        }
        if (lo < count && ids[lo] == row) continue;
        i64 at = (i64)row * c;
        ROW8(c) {
            float x[8];
            load8(x, fw, at + j, m, wide);
#pragma unroll
            for (int k = 0; k < 8; k++) x[k] = s.updated(x[k], 0.0f);
            weights8(fw, at + j, m, wide, x, s);
        }
    }
}
