// Kernels that show one building block each, for tests: the fragment layouts and the noise are tested by themselves before
// anything is built on them.
#include "mma.cuh"

// probe_mma is c = a·b for a (16 x 16), b (16 x 8) bf16 and c (16 x 8) float, all row-major, the fragments filled element by element from
// their definition. Grid 1, block 32.
KERNEL probe_mma(const u32* stop, float* c, const bf16* a, const bf16* b) {
    if (stopped(stop)) return;
    int g = threadIdx.x / 4, t = threadIdx.x % 4;
    u32 fa[4];
    for (int i = 0; i < 4; i++) {
        const bf16* p = a + (g + i % 2 * 8) * 16 + t * 2 + i / 2 * 8;
        fa[i] = p[0].bits | (u32)p[1].bits << 16;
    }
    u32 fb[2];
    for (int i = 0; i < 2; i++) {
        const bf16* p = b + (t * 2 + i * 8) * 8 + g;
        fb[i] = p[0].bits | (u32)p[8].bits << 16;
    }
    float fc[4] = {};
    mma(fc, fa, fb[0], fb[1]);
    for (int i = 0; i < 4; i++) c[(g + i / 2 * 8) * 8 + t * 2 + i % 2] = fc[i];
}

// probe_ldmatrix is probe_mma with the fragments read by ldmatrix, b transposed on the way, and both brought by cp.async: a and b must be
// multiples of 16 bytes. Grid 1, block 32, 768 bytes of shared memory.
KERNEL probe_ldmatrix(const u32* stop, float* c, const bf16* a, const bf16* b) {
    if (stopped(stop)) return;
    __shared__ __align__(16) bf16 sa[16 * 16], sb[16 * 8];
    int lane = threadIdx.x, g = lane / 4, t = lane % 4;
    copyAsync(sharedAddress(sa + lane * 8), a + lane * 8, 16);
    if (lane < 16) copyAsync(sharedAddress(sb + lane * 8), b + lane * 8, 16);
    commit();
    waitFor<0>();
    __syncthreads();
    u32 fa[4], fb[4];
    ldmatrix(fa, sharedAddress(sa + lane % 16 * 16 + lane / 16 * 8));
    ldmatrixTrans(fb, sharedAddress(sb + lane % 16 * 8)); // matrices 2 and 3 are 0 and 1 again
    float fc[4] = {};
    mma(fc, fa, fb[0], fb[1]);
    for (int i = 0; i < 4; i++) c[(g + i / 2 * 8) * 8 + t * 2 + i % 2] = fc[i];
}

// probe_draws writes the rounding draws of elements first … first+n−1 to out and v rounded by them to rounded. Any grid and block.
KERNEL probe_draws(const u32* stop, int* out, bf16* rounded, const float* v, int n, u64 seed, u32 tensor, u32 number, i64 first) {
    if (stopped(stop)) return;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        u64 at = (u64)(first + i);
        u32 r = draw(draws8(seed, tensor, number, at / 8), (int)(at % 8));
        out[i] = (int)r;
        rounded[i].bits = narrowStochastic(v[i], r);
    }
}
