// The loss over blocks of the vocabulary. Twin: cpukern's softmax.go.
#include "eights.cuh"

// under is e^(v−top), where a top of −∞ (nothing finite so far) leaves 0 for v = −∞ and NaN for NaN.
__device__ __forceinline__ float under(float v, float top) { return expf(v - (top == -INF ? 0.0f : top)); }

// softmax_stats folds the logits z (rows, n) of the block v0 … v0+n−1 into stats (rows, 3): running maximum, sum of exponentials under it, the
// target's logit. One read of z: each thread keeps its own maximum and sum, and they are put together in the threads' order.
// Grid: a block a row, rows at most. Block a multiple of 32. Shared: 256 bytes.
KERNEL softmax_stats(const u32* stop, float* stats, const float* z, const int* targets, int rows, int n, int v0, int first) {
    __shared__ float maxima[32], sums[32];
    if (stopped(stop)) return;
    Floats fz(z, false);
    bool wide = n % 8 == 0 && fz.wide();
    for (int row = blockIdx.x; row < rows; row += gridDim.x) {
        const float* r = z + (i64)row * n;
        float top = -INF, sum = 0;
        ROW8(n) {
            float v[8], most = top;
            load8(v, fz, (i64)row * n + j, m, wide);
#pragma unroll
            for (int k = 0; k < 8; k++)
                if (k < m) most = fmaxf(most, v[k]);
            sum *= under(top, most);
            top = most;
#pragma unroll
            for (int k = 0; k < 8; k++)
                if (k < m) sum += under(v[k], top);
        }
        float most = blockMax(top, maxima);
        sum = blockSum(sum * under(top, most), sums);
        if (threadIdx.x == 0) {
            float* s = stats + 3 * (i64)row;
            float oldTop = first ? -INF : s[0], oldSum = first ? 0.0f : s[1], all = fmaxf(oldTop, most);
            int t = targets[row] - v0;
            s[0] = all;
            s[1] = oldSum * under(oldTop, all) + sum * under(most, all);
            if (t >= 0 && t < n) s[2] = r[t];
            else if (first) s[2] = 0.0f;
        }
    }
}

// softmax_loss is lse = max + ln(sum), loss = lse − target logit, (rows). A thread a row, any grid.
KERNEL softmax_loss(const u32* stop, float* loss, float* lse, const float* stats, int rows) {
    if (stopped(stop)) return;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < rows; i += gridDim.x * blockDim.x) {
        float top = stats[3 * (i64)i], ln = logf(stats[3 * (i64)i + 1]);
        lse[i] = top + ln;
        loss[i] = (top - stats[3 * (i64)i + 2]) + ln;
    }
}

// soft_cap is z ← limit·tanh(z·inverse), n elements. Any grid and block.
KERNEL soft_cap(const u32* stop, float* z, i64 n, float inverse, float limit) {
    if (stopped(stop)) return;
    Floats fz(z, false);
    bool wide = fz.wide();
    EIGHTS(n) {
        float v[8];
        load8(v, fz, i, m, wide);
#pragma unroll
        for (int k = 0; k < 8; k++) v[k] = limit * tanhf(v[k] * inverse);
        store8(fz, i, m, wide, v);
    }
}

// softmax_grad is z ← (e^(z−lse) − [column is the target])·scale in place, times 1 − (z·inverse)² where inverse is not 0: z (rows, n), the block at v0.
// Grid: (blocks of blockDim.x·8 columns, rows at most).
KERNEL softmax_grad(const u32* stop, float* z, const float* lse, const int* targets, int rows, int n, int v0, float scale, float inverse) {
    if (stopped(stop)) return;
    Floats fz(z, false);
    bool wide = n % 8 == 0 && fz.wide();
    int j = (blockIdx.x * blockDim.x + threadIdx.x) * 8, m = n - j < 8 ? n - j : 8;
    if (j >= n) return;
    for (int row = blockIdx.y; row < rows; row += gridDim.y) {
        float v[8], l = lse[row];
        int t = targets[row] - v0 - j;
        load8(v, fz, (i64)row * n + j, m, wide);
#pragma unroll
        for (int k = 0; k < 8; k++) {
            float c = v[k] * inverse, slope = inverse != 0.0f ? 1.0f - c * c : 1.0f;
            v[k] = (expf(v[k] - l) - (k == t ? 1.0f : 0.0f)) * scale * slope;
        }
        store8(fz, (i64)row * n + j, m, wide, v);
    }
}
