// Tensor-core and asynchronous-copy instructions (PTX ISA 7.8, "Matrix Fragments for mma.m16n8k16", ldmatrix, cp.async), and nothing else.
#pragma once
#include "common.cuh"

// The fragments of mma.m16n8k16, lane = 4·g + t. Words hold two bf16, the lower index in the low half.
//   a (16 x 16): a[0] row g, columns 2t and 2t+1; a[1] row g+8; a[2] row g, columns 2t+8 and 2t+9; a[3] row g+8, the same
//   b (16 x 8):  b[0] rows 2t and 2t+1 of column g; b[1] rows 2t+8 and 2t+9
//   c (16 x 8):  c[0], c[1] row g, columns 2t and 2t+1; c[2], c[3] row g+8
// mma is c += a·b.
__device__ __forceinline__ void mma(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ u32 sharedAddress(const void* p) { return (u32)__cvta_generic_to_shared(p); }

// ldmatrix reads four 8 x 8 matrices of bf16 from shared memory: lane 8·m + r gives the address of row r of matrix m (16 bytes, aligned), and
// lane 4·g + t receives columns 2t and 2t+1 of row g of matrix m in w[m]. With trans it receives rows 2t and 2t+1 of column g.
__device__ __forceinline__ void ldmatrix(u32 (&w)[4], u32 address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(w[0]), "=r"(w[1]), "=r"(w[2]), "=r"(w[3]) : "r"(address) : "memory");
}
__device__ __forceinline__ void ldmatrixTrans(u32 (&w)[4], u32 address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(w[0]), "=r"(w[1]), "=r"(w[2]), "=r"(w[3])
                 : "r"(address)
                 : "memory");
}

// copyAsync starts a copy of 16 bytes from global to shared memory, both multiples of 16; of its source it reads only the first bytes, and
// zeros fill the rest. commit closes a group of copies; waitFor waits until at most n groups are under way (for this thread's copies:
// a barrier must follow before others read them).
__device__ __forceinline__ void copyAsync(u32 dst, const void* src, int bytes) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(dst), "l"(src), "r"(bytes) : "memory");
}
__device__ __forceinline__ void commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N>
__device__ __forceinline__ void waitFor() {
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}
