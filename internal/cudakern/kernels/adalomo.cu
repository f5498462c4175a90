// AdaLomo (Lv et al. 2023, arXiv 2310.10195) in the parts device.Device lists; h is the gradient after scale, clip and coef.
// Twins: cpukern's adalomo.go and adalomo_vector.go.
#include "eights.cuh"

#define CHUNK 32 // rows between two additions in double

// factor_sums reads the gradient g (m, n) once: rowPart[i][x] = Σ(h²+eps1) of row i over the columns of block x, colPart[y][j] = Σ(h²+eps1) of column j
// over the rows of range y, and an element of g that is not finite stops everything behind.
// A warp takes 256 columns, eight a lane. Grid: (blocks of columns, ranges of perRange rows); block: 32·warps, at most 8 warps. Shared: 1028 bytes.
KERNEL factor_sums(const u32* stop, float* rowPart, float* colPart, const float* g, int m, int n, int perRange, float eps1, u32* word, u32 mark, STEP_PARAMS) {
    __shared__ float sums[CHUNK][8];
    if (stoppedBlock(stop)) return;
    Step s = STEP_ARGS;
    Floats fg(g, false), fc(colPart, false);
    bool wide = n % 8 == 0 && fg.wide(), wideCols = n % 8 == 0;
    int warps = blockDim.x / WARP, warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    int j = (blockIdx.x * blockDim.x + threadIdx.x) * 8, count = n - j < 8 ? n - j : 8;
    double total[8] = {};
    u32 most = 0;
    int end = min(m, (int)(blockIdx.y + 1) * perRange);
    for (int i0 = blockIdx.y * perRange; i0 < end; i0 += CHUNK) {
        int rows = min(CHUNK, end - i0);
        float cols[8] = {};
        for (int i = 0; i < rows; i++) {
            float v[8], row = 0;
            if (count > 0) {
                load8(v, fg, (i64)(i0 + i) * n + j, count, wide);
#pragma unroll
                for (int k = 0; k < 8; k++)
                    if (k < count) {
                        float h = s.gradient(v[k]), q = h * h + eps1;
                        most = max(most, magnitude(v[k]));
                        cols[k] += q;
                        row += q;
                    }
            }
            row = warpSum(row);
            if (lane == 0) sums[i][warp] = row;
        }
        __syncthreads();
        for (int i = threadIdx.x; i < rows; i += blockDim.x) {
            float row = 0;
            for (int w = 0; w < warps; w++) row += sums[i][w];
            rowPart[(i64)(i0 + i) * gridDim.x + blockIdx.x] = row;
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < 8; k++) total[k] += (double)cols[k];
    }
    if (most >= INF_BITS) fail(word, mark);
    if (count > 0) {
        float cols[8];
#pragma unroll
        for (int k = 0; k < 8; k++) cols[k] = (float)total[k];
        store8(fc, (i64)blockIdx.y * n + j, count, wideCols, cols);
    }
}

// add_rows is out[i] = Σ_x part[i][x] in the order of x, in double. A thread a row, any grid.
KERNEL add_rows(const u32* stop, float* out, const float* part, int m, int blocks) {
    if (stopped(stop)) return;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < m; i += gridDim.x * blockDim.x) {
        double sum = 0;
        for (int x = 0; x < blocks; x++) sum += (double)part[(i64)i * blocks + x];
        out[i] = (float)sum;
    }
}

// factor_ema is mean ← β·mean + (1−β)·sums/count, n elements; with stats (of the rows), stats[1] = Σmean and stats[3] = whole.
// One block where stats is wanted, else any grid. Block a multiple of 32. Shared: 256 bytes.
KERNEL factor_ema(const u32* stop, float* mean, const float* sums, int n, float beta, float count, double* stats, double whole) {
    __shared__ double scratch[32];
    if (stopped(stop)) return;
    double sum = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        float v = __fadd_rn(__fmul_rn(mean[i], beta), __fmul_rn(1.0f - beta, __fdiv_rn(sums[i], count)));
        mean[i] = v;
        sum += (double)v;
    }
    if (!stats) return;
    sum = blockSum(sum, scratch);
    if (threadIdx.x == 0) {
        stats[1] = sum;
        stats[3] = whole;
    }
}

// ada_rate is what remains of the step once Σw² and Σu² are known: w·keep − lr·u, written to rate[0] = lr and rate[1] = keep.
__device__ __forceinline__ void adaRate(float* rate, const double* stats, double n, float lr, float decay, float eps2, float d) {
    double size = sqrt(stats[0] / n), norm = sqrt(stats[2] / n) / (double)d;
    double a = (double)lr * (size > (double)eps2 ? size : (double)eps2);
    rate[0] = (float)(a / (norm > 1.0 ? norm : 1.0));
    rate[1] = decay > 0.0f ? (float)(1.0 - a * (double)decay) : 1.0f;
}

// factor_roots is roots[i] = (r_i/mean r)^−½ for the m rows, roots[m+j] = c_j^−½ for the n columns and, behind them, ada_rate's two numbers, which
// mean something once stats[2] is there. A thread an element, any grid.
KERNEL factor_roots(const u32* stop, float* roots, const float* r, const float* c, const double* stats, int m, int n, float lr, float decay, float eps2, float d) {
    if (stopped(stop)) return;
    double mean = stats[1] / stats[3];
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i <= m + n; i += gridDim.x * blockDim.x) {
        if (i < m) roots[i] = (float)(1.0 / sqrt((double)r[i] / mean));
        else if (i < m + n) roots[i] = 1.0f / sqrtf(c[i - m]);
        else adaRate(roots + i, stats, stats[3] * (double)n, lr, decay, eps2, d);
    }
}

// unit is u: h·(row·col), and 0 where h is 0 whatever the factors are.
__device__ __forceinline__ float unit(float g, float row, float col, const Step& s) {
    float h = s.gradient(g);
    return h != 0.0f ? __fmul_rn(h, __fmul_rn(row, col)) : h;
}

// factor_norm is part[block] = Σu² in double, roots from factor_roots. Grid: a block a row, m at most, the number of partials. Block a multiple of 32.
// Shared: 256 bytes.
KERNEL factor_norm(const u32* stop, double* part, const float* g, const float* roots, int m, int n, STEP_PARAMS) {
    __shared__ double sums[32];
    if (stopped(stop)) return;
    Step s = STEP_ARGS;
    Floats fg(g, false), fc(roots + m, false);
    bool wide = n % 8 == 0 && fg.wide(), wideCols = fc.wide();
    double sum = 0;
    for (int row = blockIdx.x; row < m; row += gridDim.x) {
        float root = roots[row];
        for (int j = threadIdx.x * 8; j < n; j += blockDim.x * 8) {
            int count = n - j < 8 ? n - j : 8;
            float v[8], c[8];
            load8(v, fg, (i64)row * n + j, count, wide);
            load8(c, fc, j, count, wideCols);
#pragma unroll
            for (int k = 0; k < 8; k++) {
                double u = k < count ? (double)unit(v[k], root, c[k], s) : 0.0;
                sum += u * u;
            }
        }
    }
    sum = blockSum(sum, sums);
    if (threadIdx.x == 0) part[blockIdx.x] = sum;
}

// factor_update is w ← w·keep − lr·u with ada_rate's numbers behind the roots. Grid: a block a row, m at most. halves: w.
KERNEL factor_update(const u32* stop, void* w, const float* g, const float* roots, int m, int n, u32 halves, STEP_PARAMS) {
    if (stopped(stop)) return;
    Step s = STEP_ARGS;
    float rate = roots[m + n], kept = roots[m + n + 1];
    Floats fw(w, HALF(0)), fg(g, false), fc(roots + m, false);
    bool wide = n % 8 == 0 && fw.wide() && fg.wide(), wideCols = fc.wide();
    for (int row = blockIdx.x; row < m; row += gridDim.x) {
        float root = roots[row];
        for (int j = threadIdx.x * 8; j < n; j += blockDim.x * 8) {
            int count = n - j < 8 ? n - j : 8;
            float v[8], c[8], x[8];
            load8(v, fg, (i64)row * n + j, count, wide);
            load8(c, fc, j, count, wideCols);
            load8(x, fw, (i64)row * n + j, count, wide);
#pragma unroll
            for (int k = 0; k < 8; k++) x[k] = __fsub_rn(__fmul_rn(x[k], kept), __fmul_rn(rate, unit(v[k], root, c[k], s)));
            weights8(fw, (i64)row * n + j, count, wide, x, s);
        }
    }
}

__device__ __forceinline__ float vectorUnit(float h, float v) { return h != 0.0f ? __fmul_rn(h, (float)(1.0 / sqrt((double)v))) : 0.0f; }

// vector_stats is v ← β·v + (1−β)(h²+eps1), stats[0] = Σw², stats[2] = Σ(h·v^−½)², unless an element of g is not finite. halves: w.
// One block, a multiple of 32: vectors are short, and the check comes before the first write without another launch. Shared: 384 bytes.
KERNEL vector_stats(const u32* stop, float* v, double* stats, const void* w, const float* g, int n, float beta, float eps1, u32 halves, u32* word, u32 mark,
                    STEP_PARAMS) {
    __shared__ double sums[32];
    __shared__ u32 maxima[32];
    if (stopped(stop)) return;
    Step s = STEP_ARGS;
    Floats fw(w, HALF(0));
    u32 most = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) most = max(most, magnitude(g[i]));
    if (blockMax(most, maxima) >= INF_BITS) {
        if (threadIdx.x == 0) fail(word, mark);
        return;
    }
    double weights = 0, units = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        float h = s.gradient(g[i]), old = fw.get(i);
        float var = __fadd_rn(__fmul_rn(v[i], beta), __fmul_rn(1.0f - beta, __fadd_rn(__fmul_rn(h, h), eps1)));
        v[i] = var;
        double u = (double)vectorUnit(h, var);
        units += u * u;
        weights += (double)old * (double)old;
    }
    weights = blockSum(weights, sums);
    units = blockSum(units, sums);
    if (threadIdx.x == 0) {
        stats[0] = weights;
        stats[2] = units;
    }
}

// vector_update is factor_update for a vector. halves: w. Any grid; block a multiple of 32. Shared: 8 bytes.
KERNEL vector_update(const u32* stop, void* w, const float* g, const float* v, const double* stats, int n, float decay, float eps2, float d, u32 halves,
                     STEP_PARAMS) {
    __shared__ float rate[2];
    if (stopped(stop)) return;
    Step s = STEP_ARGS;
    if (threadIdx.x == 0) adaRate(rate, stats, (double)n, s.lr, decay, eps2, d);
    __syncthreads();
    Floats fw(w, HALF(0)), fg(g, false), fv(v, false);
    bool wide = fw.wide() && fg.wide() && fv.wide();
    float a = rate[0], kept = rate[1];
    EIGHTS(n) {
        float x[8], h[8], var[8];
        load8(x, fw, i, m, wide);
        load8(h, fg, i, m, wide);
        load8(var, fv, i, m, wide);
#pragma unroll
        for (int k = 0; k < 8; k++) x[k] = __fsub_rn(__fmul_rn(x[k], kept), __fmul_rn(a, vectorUnit(s.gradient(h[k]), var[k])));
        weights8(fw, i, m, wide, x, s);
    }
}
