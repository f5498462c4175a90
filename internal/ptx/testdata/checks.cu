// Kernels in pairs for the tests of the checker: name is right, name_SEEDED has the fault the suffix says.
// Compiled with NVRTC 11.8: --gpu-architecture=compute_86 -default-device --std=c++17 --generate-line-info
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

__device__ __forceinline__ u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }
__device__ __forceinline__ void copy16(void* to, const void* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)), "l"(from));
}

// y[t] = x[n-1-t] through shared memory. Grid 1, block n (a multiple of 32, at most 256), shared 1 KiB.
#define REVERSE(name, barrier)                                      \
  extern "C" __global__ void name(float* y, const float* x) {       \
    __shared__ float s[256];                                        \
    s[threadIdx.x] = x[threadIdx.x];                                \
    barrier;                                                        \
    y[threadIdx.x] = s[blockDim.x - 1 - threadIdx.x];               \
  }
REVERSE(reverse, __syncthreads())
REVERSE(reverse_no_barrier, )
REVERSE(reverse_warp, __syncwarp()) // right for one warp only
REVERSE(reverse_divergent, if (threadIdx.x & 1) __syncthreads(); __syncthreads())
REVERSE(reverse_left, if (threadIdx.x & 1) return; __syncthreads())
REVERSE(reverse_some_warps, if (threadIdx.x < 64) __syncthreads(); else asm volatile("bar.sync 1, 128;"))

// Tiles of x added up; the tile must not be overwritten while others read it. Grid 1, block 64.
#define TILES(name, barrier)                                        \
  extern "C" __global__ void name(float* y, const float* x, int n) { \
    __shared__ float s[64];                                         \
    float sum = 0;                                                  \
    for (int i = 0; i < n; i++) {                                   \
      s[threadIdx.x] = x[64 * i + threadIdx.x];                     \
      __syncthreads();                                              \
      for (int j = 0; j < 64; j++) sum += s[(threadIdx.x + j) & 63]; \
      barrier;                                                      \
    }                                                               \
    y[threadIdx.x] = sum;                                           \
  }
TILES(tiles, __syncthreads())
TILES(tiles_no_barrier, )

// y = x through cp.async, read by a neighbour. Grid 1, block 64: 16 bytes a thread.
#define COPY(name, wait, barrier, who)                              \
  extern "C" __global__ void name(float4* y, const float4* x) {     \
    __shared__ float4 s[64];                                        \
    copy16(&s[threadIdx.x], x + threadIdx.x);                       \
    asm volatile("cp.async.commit_group;");                         \
    wait;                                                           \
    barrier;                                                        \
    y[who] = s[who];                                                \
  }
#define WAIT(n) asm volatile("cp.async.wait_group " #n ";" ::: "memory")
COPY(copied, WAIT(0), __syncthreads(), threadIdx.x ^ 33)
COPY(copied_no_wait, , __syncthreads(), threadIdx.x ^ 33)
COPY(copied_wait_too_few, WAIT(1), __syncthreads(), threadIdx.x ^ 33)
COPY(copied_no_barrier, WAIT(0), , threadIdx.x ^ (blockDim.x / 2 + 1))
COPY(copied_own, WAIT(0), , threadIdx.x)
COPY(copied_own_no_wait, , , threadIdx.x)

// Two stages in flight: the older group is waited for while the newer one is still under way. Grid 1, block 32.
#define STAGES(name, left)                                          \
  extern "C" __global__ void name(float4* y, const float4* x, int n) { \
    __shared__ float4 s[2][32];                                     \
    copy16(&s[0][threadIdx.x], x + threadIdx.x);                    \
    asm volatile("cp.async.commit_group;");                         \
    for (int i = 0; i < n; i++) {                                   \
      if (i + 1 < n) copy16(&s[(i + 1) & 1][threadIdx.x], x + 32 * (i + 1) + threadIdx.x); \
      asm volatile("cp.async.commit_group;");                       \
      WAIT(left);                                                   \
      __syncthreads();                                              \
      y[32 * i + threadIdx.x] = s[i & 1][31 - threadIdx.x];         \
      __syncthreads();                                              \
    }                                                               \
  }
STAGES(stages, 1)
STAGES(stages_wait_too_few, 2)

// y = 2x. Any grid; the guard is wrong by one in the second.
#define DOUBLE(name, less)                                          \
  extern "C" __global__ void name(float* y, const float* x, int n) { \
    int i = blockIdx.x * blockDim.x + threadIdx.x;                  \
    if (i less n) y[i] = 2 * x[i];                                  \
  }
DOUBLE(doubled, <)
DOUBLE(doubled_bounds, <=)

// Pairs of floats at an odd place.
#define PAIRS(name, shift)                                          \
  extern "C" __global__ void name(float2* y, const float* x) {      \
    y[threadIdx.x] = *(const float2*)(x + 2 * threadIdx.x + shift); \
  }
PAIRS(pairs, 2)
PAIRS(pairs_misaligned, 1)
#define SHARED_PAIRS(name, shift)                                   \
  extern "C" __global__ void name(float2* y, const float* x) {      \
    __shared__ __align__(8) float s[128];                           \
    s[threadIdx.x] = x[threadIdx.x];                                \
    s[threadIdx.x + 64] = x[threadIdx.x];                           \
    __syncthreads();                                                \
    y[threadIdx.x] = *(const float2*)(s + threadIdx.x * shift);     \
  }
SHARED_PAIRS(shared_pairs, 2)
SHARED_PAIRS(shared_pairs_misaligned, 1)
#define SHARED_INDEX(name, size)                                    \
  extern "C" __global__ void name(float* y, const float* x) {       \
    __shared__ float s[size];                                       \
    s[threadIdx.x] = x[threadIdx.x];                                \
    __syncthreads();                                                \
    y[threadIdx.x] = s[63 - threadIdx.x];                           \
  }
SHARED_INDEX(shared_index, 64)
SHARED_INDEX(shared_index_bounds, 60)

// The largest of 64 numbers by one thread a warp, and by all threads at once.
#define WINNER(name, guard)                                         \
  extern "C" __global__ void name(u32* y, const u32* x) {           \
    __shared__ u32 s[2];                                            \
    u32 v = x[threadIdx.x];                                         \
    for (int o = 16; o; o >>= 1) v = max(v, __shfl_xor_sync(~0u, v, o)); \
    if (guard) s[threadIdx.x / 32] = v;                             \
    __syncthreads();                                                \
    if (threadIdx.x == 0) y[0] = max(s[0], s[1]);                   \
  }
WINNER(winner, threadIdx.x % 32 == 0)
WINNER(winner_race, threadIdx.x % 16 == 0)
WINNER(winner_unwritten, threadIdx.x == 0)

// A sum in shared memory by one warp, ordered by __syncwarp, in halves of the warp too.
#define WARPSUM(name, sync)                                         \
  extern "C" __global__ void name(float* y, const float* x) {       \
    __shared__ float s[32];                                         \
    int t = threadIdx.x;                                            \
    s[t] = x[t];                                                    \
    __syncwarp();                                                   \
    for (int o = 8; o; o >>= 1) {                                   \
      float v = s[(t & 16) + (t + o) % 16];                         \
      sync;                                                         \
      s[t] += v;                                                    \
      __syncwarp();                                                 \
    }                                                               \
    y[t] = s[t];                                                    \
  }
WARPSUM(warp_sum, __syncwarp())
WARPSUM(warp_sum_halves, if (t < 16) __syncwarp(0xffff); else __syncwarp(0xffff0000))
WARPSUM(warp_sum_race, )

// Every block adds to one number: with an atomic right, as a store not.
extern "C" __global__ void total(u32* y) { atomicAdd(y, threadIdx.x + 1); }
extern "C" __global__ void total_blocks(u32* y) { if (threadIdx.x == 0) y[0] = 7; }
// Every block reads its own and the next block's element, and writes its own.
extern "C" __global__ void neighbours(float* y, const float* x) { y[blockIdx.x] = x[blockIdx.x] + x[(blockIdx.x + 1) % gridDim.x]; }

// Half the threads leave before the shuffle.
#define LEAVE(name, mask)                                           \
  extern "C" __global__ void name(u32* y) {                         \
    if (threadIdx.x >= 16) return;                                  \
    y[threadIdx.x] = __shfl_xor_sync(mask, threadIdx.x, 1);         \
  }
LEAVE(leave, 0xffffu)
// Lanes of one warp wait for each other at two places.
extern "C" __global__ void leave_deadlock(u32* y) {
  u32 v;
  if (threadIdx.x < 16) v = __shfl_xor_sync(~0u, threadIdx.x, 1);
  else v = __ballot_sync(~0u, threadIdx.x & 1);
  y[threadIdx.x] = v;
}
// Warps hand over by a named barrier: the second half produces, the first consumes.
#define HANDOVER(name, count)                                       \
  extern "C" __global__ void name(float* y, const float* x) {       \
    __shared__ float s[32];                                         \
    if (threadIdx.x >= 32) {                                        \
      s[threadIdx.x - 32] = x[threadIdx.x - 32];                    \
      asm volatile("bar.arrive 1, " count ";" ::: "memory");        \
    } else {                                                        \
      asm volatile("bar.sync 1, " count ";" ::: "memory");          \
      y[threadIdx.x] = s[31 - threadIdx.x];                         \
    }                                                               \
  }
HANDOVER(handover, "64")
HANDOVER(handover_deadlock, "96")
HANDOVER(handover_race, "32")

// y[t] = y[t+1] in place: all must have read before one writes. Grid 1.
#define SHIFT(name, barrier)                                        \
  extern "C" __global__ void name(float* y) {                       \
    float v = y[threadIdx.x + 1];                                   \
    barrier;                                                        \
    y[threadIdx.x] = v;                                             \
  }
SHIFT(shift, __syncthreads())
SHIFT(shift_no_barrier, )
// A value that one thread leaves in global memory for the others.
#define SPREAD(name, barrier)                                       \
  extern "C" __global__ void name(float* y, const float* x) {       \
    if (threadIdx.x == 0) y[0] = x[0] + x[1];                       \
    barrier;                                                        \
    y[1 + threadIdx.x] = y[0];                                      \
  }
SPREAD(spread, __syncthreads())
SPREAD(spread_no_barrier, )

extern "C" __global__ void endless(volatile u32* y) { while (y[0] == 0) {} }
extern "C" __global__ void gives_up(u32* y) { if (y[0] == 0) __trap(); }

// Lanes that take turns: the lock is free only once its holder, another lane of the warp, has gone on.
extern "C" __global__ void turns(u32* y) {
  for (bool done = false; !done;) {
    if (atomicCAS(y, 0u, 1u) == 0) {
      atomicAdd(y + 1, threadIdx.x);
      atomicExch(y, 0u);
      done = true;
    }
  }
}
