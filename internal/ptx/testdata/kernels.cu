// Kernels of the kinds that matter, for the tests of the interpreter: each is compared with Go.
// kernels.ptx is by NVRTC 11.8 (--gpu-architecture=compute_86 -default-device --std=c++17), kernels_clang.ptx by clang 16
// (-x cuda --cuda-device-only --cuda-gpu-arch=sm_86 -O3 -std=c++17 -S, with the headers of CUDA 11.8).
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

__device__ __forceinline__ u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }
__device__ __forceinline__ void copy16(void* to, const void* from, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(bytes));
}

// y (M, N) = a (M, K) b(N, K)^T, bfloat16 with float32 sums. Grid (N/64, M/64) rounded up, block 128, K a multiple of 32.
extern "C" __global__ void __launch_bounds__(128) product(float* y, const u16* a, const u16* b, int M, int N, int K) {
  __shared__ __align__(16) u16 sa[64 * 40];
  __shared__ __align__(16) u16 sb[64 * 40];
  int t = threadIdx.x, warp = t / 32, lane = t % 32, m0 = blockIdx.y * 64, n0 = blockIdx.x * 64;
  float acc[8][4] = {};
  for (int k0 = 0; k0 < K; k0 += 32) {
    for (int i = t; i < 64 * 4; i += 128) {
      int r = i / 4, c = i % 4 * 8;
      copy16(sa + r * 40 + c, a + (u64)(m0 + r < M ? m0 + r : 0) * K + k0 + c, m0 + r < M ? 16 : 0);
      copy16(sb + r * 40 + c, b + (u64)(n0 + r < N ? n0 + r : 0) * K + k0 + c, n0 + r < N ? 16 : 0);
    }
    asm volatile("cp.async.commit_group;");
    asm volatile("cp.async.wait_group 0;" ::: "memory");
    __syncthreads();
    for (int k = 0; k < 32; k += 16) {
      u32 A[4], B[2];
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                   : "=r"(A[0]), "=r"(A[1]), "=r"(A[2]), "=r"(A[3])
                   : "r"(shared_address(sa + (warp * 16 + lane % 16) * 40 + k + lane / 16 * 8)));
      for (int j = 0; j < 8; j++) {
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
                     : "=r"(B[0]), "=r"(B[1])
                     : "r"(shared_address(sb + (j * 8 + lane % 8) * 40 + k + lane / 8 % 2 * 8)));
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
                     : "+f"(acc[j][0]), "+f"(acc[j][1]), "+f"(acc[j][2]), "+f"(acc[j][3])
                     : "r"(A[0]), "r"(A[1]), "r"(A[2]), "r"(A[3]), "r"(B[0]), "r"(B[1]));
      }
    }
    __syncthreads();
  }
  for (int j = 0; j < 8; j++)
    for (int e = 0; e < 4; e++) {
      int r = m0 + warp * 16 + lane / 4 + e / 2 * 8, c = n0 + j * 8 + lane % 4 * 2 + e % 2;
      if (r < M && c < N) y[(u64)r * N + c] = acc[j][e];
    }
}

// y = softmax(scale x) of rows of n, sums in double. Grid rows, block a multiple of 32, shared 4n bytes.
extern "C" __global__ void softmax(float* y, const float* x, int n, float scale) {
  extern __shared__ float row[];
  __shared__ float high[32];
  __shared__ double sums[32];
  int t = threadIdx.x;
  const float* r = x + (u64)blockIdx.x * n;
  float m = -3.4e38f;
  for (int i = t; i < n; i += blockDim.x) m = fmaxf(m, row[i] = r[i] * scale);
  for (int o = 16; o; o >>= 1) m = fmaxf(m, __shfl_xor_sync(~0u, m, o));
  if (t % 32 == 0) high[t / 32] = m;
  __syncthreads();
  for (int i = 0; i < blockDim.x / 32; i++) m = fmaxf(m, high[i]);
  double s = 0;
  for (int i = t; i < n; i += blockDim.x) s += row[i] = expf(row[i] - m);
  for (int o = 16; o; o >>= 1) s += __shfl_down_sync(~0u, s, o);
  if (t % 32 == 0) sums[t / 32] = s;
  __syncthreads();
  s = 0;
  for (int i = 0; i < blockDim.x / 32; i++) s += sums[i];
  for (int i = t; i < n; i += blockDim.x) y[(u64)blockIdx.x * n + i] = row[i] * (float)(1 / s);
}

// y[i] = Philox4x32-10 of counter {i, 0, 0, 7}. Any grid.
extern "C" __global__ void draws(uint4* y, u64 key, int n) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
    u32 c0 = i, c1 = 0, c2 = 0, c3 = 7, k0 = (u32)key, k1 = key >> 32;
    for (int r = 0; r < 10; r++) {
      u32 h0 = __umulhi(0xD2511F53u, c0), l0 = 0xD2511F53u * c0, h1 = __umulhi(0xCD9E8D57u, c2), l1 = 0xCD9E8D57u * c2;
      c0 = h1 ^ c1 ^ k0, c1 = l1, c2 = h0 ^ c3 ^ k1, c3 = l0;
      k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    y[i] = make_uint4(c0, c1, c2, c3);
  }
}

// Counts of x mod 64, and extremes of all of it. out: 64 counts, then max, min, count, exchanged, compared.
extern "C" __global__ void counts(int* out, const int* x, int n) {
  __shared__ int hist[64];
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (threadIdx.x < 64) hist[threadIdx.x] = 0;
  __syncthreads();
  if (i < n) {
    atomicAdd(&hist[x[i] & 63], 1);
    atomicMax(out + 64, x[i]);
    atomicMin(out + 65, x[i]);
    atomicInc((u32*)out + 66, 1000000);
    if (i == 3) atomicExch(out + 67, 5);
    atomicCAS(out + 68, 0, 77);
    atomicOr(out + 69, 1 << (x[i] & 7));
    atomicAdd((u64*)(out + 70), (u64)1 << 33);
  }
  __syncthreads();
  if (threadIdx.x < 64) atomicAdd(out + threadIdx.x, hist[threadIdx.x]);
}

// A table of each thread's own, and a choice of seven.
extern "C" __global__ void choices(long long* y, int n) {
  int i = threadIdx.x, own[16], s = 0;
  for (int j = 0; j < 16; j++) own[j] = j * i;
  for (int j = 0; j < n; j++) s += own[(j * 7 + i) % 16];
  long long v = s / (n + 1) + (long long)i * n % (i + 3) - (u64)s / (u64)(n | 1);
  switch (i % 7) {
    case 0: v += 3; break;
    case 1: v *= 5; break;
    case 2: v ^= 9; break;
    case 3: v = -v; break;
    case 4: v |= 1; break;
    case 5: v = v * v; break;
    default: v <<= 4;
  }
  y[i] = v;
}

__constant__ float weights[4] = {0.5f, 1, 2, 4};
__device__ int calls;
__device__ __noinline__ float descend(float x, int n) {
  atomicAdd(&calls, 1);
  if (n < 2) return x;
  return weights[n & 3] * x + descend(x * 0.5f, n - 1 - (threadIdx.x & 1));
}
// Calls to a depth that differs between the lanes.
extern "C" __global__ void descents(float* y, int* total, int n) {
  y[threadIdx.x] = descend(threadIdx.x, n);
  __syncthreads();
  if (threadIdx.x == 0) *total = atomicAdd(&calls, 0);
}

// The library's functions of x: y holds ten values for each.
extern "C" __global__ void library(float* y, const float* x) {
  float v = x[threadIdx.x], *o = y + 10 * threadIdx.x;
  o[0] = expf(v), o[1] = logf(v), o[2] = sinf(v), o[3] = cosf(v), o[4] = tanhf(v);
  o[5] = sqrtf(v), o[6] = rsqrtf(v), o[7] = powf(v, 1.5f), o[8] = exp2f(v), o[9] = 1 / v;
}
