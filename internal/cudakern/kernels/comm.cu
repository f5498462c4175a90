// Sums over ranks. Twins: comm's collectives.go.
#include "eights.cuh"

// sum_parts is out[i] = in[i] + in[stride+i] + … over parts ranges, one after the other, n elements. halves: in. Any grid and block.
KERNEL sum_parts(const u32* stop, float* out, const void* in, i64 n, i64 stride, int parts, u32 halves) {
    if (stopped(stop)) return;
    bool half = HALF(0), wide = aligned(out, 16);
    int size = half ? 2 : 4;
    EIGHTS(n) {
        float sum[8];
        for (int p = 0; p < parts; p++) {
            Floats from((const char*)in + (i64)p * stride * size, half);
            float v[8];
            load8(v, from, i, m, from.wide());
#pragma unroll
            for (int k = 0; k < 8; k++) sum[k] = p == 0 ? v[k] : sum[k] + v[k];
        }
        put8(out, i, m, wide, sum);
    }
}

// sum_parts_f64 is the same of doubles. Any grid and block.
KERNEL sum_parts_f64(const u32* stop, double* out, const double* in, i64 n, i64 stride, int parts) {
    if (stopped(stop)) return;
    for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (i64)gridDim.x * blockDim.x) {
        double sum = in[i];
        for (int p = 1; p < parts; p++) sum += in[p * stride + i];
        out[i] = sum;
    }
}
