// Parts of matrices in shared memory, as tensor cores read them.
#pragma once
#include "mma.cuh"

// Panel is a ROWS x COLS part of a row-major matrix in shared memory, in chunks of eight elements. Chunks change places within a row, such that the
// eight rows which ldmatrix reads at once lie in different banks.
template <int ROWS, int COLS, int THREADS>
struct Panel {
    static const int CHUNKS = COLS / 8, BYTES = ROWS * COLS * 2;
    static_assert(CHUNKS == 4 || CHUNKS % 8 == 0, "the swizzle knows rows of 64 bytes and of multiples of 128");
    static_assert(ROWS * CHUNKS % THREADS == 0, "every thread brings as many chunks");

    __device__ __forceinline__ static u32 at(int row, int chunk) {
        int swap = CHUNKS == 4 ? row / 2 % 4 : row % 8;
        return (u32)((row * CHUNKS + (chunk ^ swap)) * 16);
    }

    // load brings rows row0 … and columns col0 … of src (rows, cols), whose rows are ld apart, to shared; what lies outside is zero. wide: addresses and ld are
    // multiples of 16 bytes, so that cp.async may be used, which commit and waitFor then complete.
    __device__ __forceinline__ static void load(char* shared, const bf16* src, i64 ld, int row0, int rows, int col0, int cols, bool wide) {
        if (wide) {
#pragma unroll
            for (int j = 0; j < ROWS * CHUNKS / THREADS; j++) {
                int i = threadIdx.x + j * THREADS, r = i / CHUNKS, chunk = i % CHUNKS;
                int n = row0 + r < rows ? min(max(cols - col0 - chunk * 8, 0), 8) : 0;
                const bf16* p = n > 0 ? src + (i64)(row0 + r) * ld + col0 + chunk * 8 : src;
                copyAsync(sharedAddress(shared + at(r, chunk)), p, n * 2);
            }
            return;
        }
#pragma unroll 1
        for (int i = threadIdx.x; i < ROWS * CHUNKS; i += THREADS) {
            int r = i / CHUNKS, chunk = i % CHUNKS;
            int n = row0 + r < rows ? min(cols - col0 - chunk * 8, 8) : 0;
            const bf16* p = src + (i64)(row0 + r) * ld + col0 + chunk * 8;
            u32 w[4] = {};
#pragma unroll
            for (int k = 0; k < 8; k++)
                if (k < n) w[k / 2] |= (u32)p[k].bits << k % 2 * 16;
            *(uint4*)(shared + at(r, chunk)) = make_uint4(w[0], w[1], w[2], w[3]);
        }
    }
};
