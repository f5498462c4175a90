// Experts: the choice of them, and the rows that go to them and come back. Twin: cpukern's route.go.
#include "eights.cuh"

// Each of a warp's rows: row is the same in its lanes. Any grid, blocks of whole warps.
#define WARP_ROWS(n) \
    for (int lane = threadIdx.x % WARP, row = (blockIdx.x * blockDim.x + threadIdx.x) / WARP; row < (n); row += gridDim.x * blockDim.x / WARP)

// chosen says whether e is among the first count of ids.
__device__ __forceinline__ bool chosen(const int* ids, int count, int e) {
    for (int j = 0; j < count; j++)
        if (ids[j] == e) return true;
    return false;
}

// route turns z (n, experts) into its softmax and writes the k greatest of each row: ids (n, k), the greatest first and of equal ones the lower
// number, and w (n, k), their probabilities or, with renorm, those over their sum. A NaN is greater than nothing.
KERNEL route(const u32* stop, float* w, int* ids, float* z, int n, int experts, int k, int renorm) {
    if (stopped(stop)) return;
    WARP_ROWS(n) {
        float *p = z + (i64)row * experts, *v = w + (i64)row * k;
        int* id = ids + (i64)row * k;
        float top = -INF, sum = 0;
        for (int e = lane; e < experts; e += WARP) top = fmaxf(top, p[e]);
        top = warpMax(top);
        for (int e = lane; e < experts; e += WARP) {
            float x = expf(p[e] - top);
            p[e] = x;
            sum += x;
        }
        sum = warpSum(sum);
        for (int e = lane; e < experts; e += WARP) p[e] /= sum;
        __syncwarp();
        float total = 0;
        for (int j = 0; j < k; j++) {
            float most = -1.0f; // no probability is less; of NaN alone the lowest number is taken
            int best = experts;
            for (int e = lane; e < experts; e += WARP) {
                if (chosen(id, j, e)) continue;
                float x = p[e];
                if (best == experts || x > most) {
                    if (x == x) most = x;
                    best = e;
                }
            }
            for (int d = WARP / 2; d > 0; d /= 2) {
                float x = __shfl_xor_sync(FULL, most, d);
                int e = __shfl_xor_sync(FULL, best, d);
                if (x > most || (x == most && e < best)) {
                    most = x;
                    best = e;
                }
            }
            float x = p[best];
            total += x;
            if (lane == 0) {
                id[j] = best;
                v[j] = x;
            }
            __syncwarp();
        }
        if (renorm)
            for (int j = lane; j < k; j += WARP) v[j] /= total;
    }
}

// route_back is dz (n, experts), the gradient of the logits, from dw, that of the weights. dz may be p.
KERNEL route_back(const u32* stop, float* dz, const float* dw, const float* w, const int* ids, const float* p, int n, int experts, int k, int renorm) {
    if (stopped(stop)) return;
    WARP_ROWS(n) {
        const float *g = dw + (i64)row * k, *v = w + (i64)row * k;
        const int* id = ids + (i64)row * k;
        float mean = 0;
        for (int j = 0; j < k; j++) mean += g[j] * v[j];
        for (int e = lane; e < experts; e += WARP) {
            i64 at = (i64)row * experts + e;
            float out = renorm ? 0.0f : -p[at] * mean;
            for (int j = 0; j < k; j++)
                if (id[j] == e) out = renorm ? v[j] * (g[j] - mean) : out + v[j] * g[j];
            dz[at] = out;
        }
    }
}

// sum_rows is y[i] = Σ_j x[at[i, j]] in the order of j: y (n, c), at (n, k); with acc it is added. Grid: a block a row, n at most. halves: y, x.
KERNEL sum_rows(const u32* stop, void* y, const void* x, const int* at, int n, int c, int k, int acc, u32 halves) {
    if (stopped(stop)) return;
    Floats fy(y, HALF(0)), fx(x, HALF(1));
    bool wide = c % 8 == 0 && fy.wide() && fx.wide();
    for (int row = blockIdx.x; row < n; row += gridDim.x) {
        ROW8(c) {
            float sum[8] = {}, v[8];
            if (acc) load8(sum, fy, (i64)row * c + j, m, wide);
            for (int i = 0; i < k; i++) {
                load8(v, fx, (i64)at[(i64)row * k + i] * c + j, m, wide);
#pragma unroll
                for (int q = 0; q < 8; q++) sum[q] += v[q];
            }
            store8(fy, (i64)row * c + j, m, wide, sum);
        }
    }
}

// scale_rows is y[i] = w[at[i]]·x[i], n rows of c; y may be x. Grid: a block a row, n at most. halves: y, x.
KERNEL scale_rows(const u32* stop, void* y, const void* x, const float* w, const int* at, int n, int c, u32 halves) {
    if (stopped(stop)) return;
    Floats fy(y, HALF(0)), fx(x, HALF(1));
    bool wide = c % 8 == 0 && fy.wide() && fx.wide();
    for (int row = blockIdx.x; row < n; row += gridDim.x) {
        float a = w[at[row]];
        ROW8(c) {
            float v[8];
            load8(v, fx, (i64)row * c + j, m, wide);
#pragma unroll
            for (int q = 0; q < 8; q++) v[q] *= a;
            store8(fy, (i64)row * c + j, m, wide, v);
        }
    }
}

// row_dots is dw[at[i]] = a[i]·b[i], n rows of c. Grid: a block a row, n at most. Block a multiple of 32. halves: a, b. Shared: 128 bytes.
KERNEL row_dots(const u32* stop, float* dw, const void* a, const void* b, const int* at, int n, int c, u32 halves) {
    __shared__ float sums[32];
    if (stopped(stop)) return;
    Floats fa(a, HALF(0)), fb(b, HALF(1));
    bool wide = c % 8 == 0 && fa.wide() && fb.wide();
    for (int row = blockIdx.x; row < n; row += gridDim.x) {
        float sum = 0;
        ROW8(c) {
            float v[8], u[8];
            load8(v, fa, (i64)row * c + j, m, wide);
            load8(u, fb, (i64)row * c + j, m, wide);
#pragma unroll
            for (int q = 0; q < 8; q++) sum += v[q] * u[q];
        }
        sum = blockSum(sum, sums);
        if (threadIdx.x == 0) dw[at[row]] = sum;
    }
}
