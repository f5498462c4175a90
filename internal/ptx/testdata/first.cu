typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;
__device__ __forceinline__ float bf2f(u16 v){return __uint_as_float((u32)v<<16);}
extern "C" __global__ void __launch_bounds__(128) gemm(const u32*stop,float*y,const u16*a,const u16*b,int M,int N,int K){
  __shared__ __align__(16) u16 sa[64*40]; __shared__ __align__(16) u16 sb[64*40];
  if(*stop) return;
  int t=threadIdx.x,w=t/32,l=t%32; int m0=blockIdx.y*64,n0=blockIdx.x*64;
  float acc[8][4]={};
  for(int k0=0;k0<K;k0+=32){
    for(int i=t;i<64*4;i+=128){int r=i/4,c=(i%4)*8;
      u32 s=(u32)__cvta_generic_to_shared(sa+r*40+c); int n=(m0+r<M)?16:0;
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"::"r"(s),"l"(a+(u64)(n?m0+r:0)*K+k0+c),"r"(n));
      s=(u32)__cvta_generic_to_shared(sb+r*40+c); n=(n0+r<N)?16:0;
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"::"r"(s),"l"(b+(u64)(n?n0+r:0)*K+k0+c),"r"(n));
    }
    asm volatile("cp.async.commit_group;"); asm volatile("cp.async.wait_group 0;");
    __syncthreads();
    for(int kk=0;kk<32;kk+=16){
      u32 A[4],B[2]; u32 s=(u32)__cvta_generic_to_shared(sa+(w*16+l%16)*40+kk+(l/16)*8);
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];":"=r"(A[0]),"=r"(A[1]),"=r"(A[2]),"=r"(A[3]):"r"(s));
      for(int j=0;j<8;j++){ s=(u32)__cvta_generic_to_shared(sb+(j*8+l%8)*40+kk+((l/8)%2)*8);
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];":"=r"(B[0]),"=r"(B[1]):"r"(s));
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};":"+f"(acc[j][0]),"+f"(acc[j][1]),"+f"(acc[j][2]),"+f"(acc[j][3]):"r"(A[0]),"r"(A[1]),"r"(A[2]),"r"(A[3]),"r"(B[0]),"r"(B[1]));
      }
    }
    __syncthreads();
  }
  for(int j=0;j<8;j++)for(int e=0;e<4;e++){int r=m0+w*16+l/4+(e/2)*8,c=n0+j*8+(l%4)*2+e%2; if(r<M&&c<N) y[(u64)r*N+c]=acc[j][e];}
}
extern "C" __global__ void softmax(const u32*stop,float*y,const float*x,int n,float scale){
  __shared__ float part[32]; extern __shared__ float dyn[];
  int t=threadIdx.x; const float*r=x+(u64)blockIdx.x*n; float m=-__int_as_float(0x7f800000);
  for(int i=t;i<n;i+=blockDim.x){float v=r[i]*scale; dyn[i]=v; m=fmaxf(m,v);}
  for(int o=16;o;o>>=1)m=fmaxf(m,__shfl_xor_sync(~0u,m,o));
  if(t%32==0)part[t/32]=m; __syncthreads(); m=part[0]; for(int i=1;i<blockDim.x/32;i++)m=fmaxf(m,part[i]); __syncthreads();
  double s=0; for(int i=t;i<n;i+=blockDim.x){float e=expf(dyn[i]-m); dyn[i]=e; s+=e;}
  for(int o=16;o;o>>=1)s+=__shfl_down_sync(~0u,s,o);
  __shared__ double dp[32]; if(t%32==0)dp[t/32]=s; __syncthreads(); if(t==0){for(int i=1;i<blockDim.x/32;i++)s+=dp[i];dp[0]=s;} __syncthreads();
  float inv=(float)(1.0/dp[0]); for(int i=t;i<n;i+=blockDim.x)y[(u64)blockIdx.x*n+i]=dyn[i]*inv*rsqrtf(dyn[i]+1.f)+exp2f(dyn[i])+sqrtf(dyn[i])+__expf(dyn[i])+logf(dyn[i])+sinf(dyn[i])+powf(dyn[i],1.5f)+tanhf(dyn[i])+dyn[i]/m;
}
__device__ void philox(u32 c[4],u32 k0,u32 k1){for(int i=0;i<10;i++){u32 h0=__umulhi(0xD2511F53u,c[0]),l0=0xD2511F53u*c[0],h1=__umulhi(0xCD9E8D57u,c[2]),l1=0xCD9E8D57u*c[2];
 u32 a=h1^c[1]^k0,b=h0^c[3]^k1;c[0]=a;c[1]=l1;c[2]=b;c[3]=l0;k0+=0x9E3779B9u;k1+=0xBB67AE85u;}}
extern "C" __global__ void phil(const u32*stop,uint4*y,u64 seed,int n){
 for(int i=blockIdx.x*blockDim.x+threadIdx.x;i<n;i+=gridDim.x*blockDim.x){u32 c[4]={(u32)i,0,0,7};philox(c,(u32)seed,seed>>32);y[i]=make_uint4(c[0],c[1],c[2],c[3]);}}
extern "C" __global__ void misc(const u32*stop,u32*cnt,long long*big,const u16*x,u16*y,double*d,int n,signed char*q){
 int i=blockIdx.x*blockDim.x+threadIdx.x; 
 __shared__ int hist[64]; if(threadIdx.x<64)hist[threadIdx.x]=0; __syncthreads();
 if(i<n){ atomicAdd(&hist[x[i]&63],1); atomicMax((int*)cnt+1,(int)x[i]); atomicAdd(cnt,1u); atomicCAS(cnt+2,0u,(u32)i);atomicExch(cnt+3,5u);atomicMin(big,(long long)i);
  float f=bf2f(x[i]); float g; asm("{.reg .b16 t; cvt.rn.bf16.f32 t,%1; mov.b32 %0,{0,t};}":"=f"(g):"f"(f*1.1f));
  y[i]=__float_as_uint(g)>>16; d[i]=fma((double)f,2.0,1.0)/(d[i]+3.0)+sqrt(d[i]);
  int loc[16]; for(int j=0;j<16;j++)loc[j]=j*i; int s=0; for(int j=0;j<n%16;j++)s+=loc[(j*7+i)%16]; big[i]=s/(n+1)+ (long long)i*n % (i+3) + (u64)s/(u64)(n|1);
  q[i]=(signed char)(f>3?__popc(i):__clz(i)); if(isnan(f))q[i]=1;
  switch(i%7){case 0:q[i]+=3;break;case 1:q[i]*=5;break;case 2:q[i]^=9;break;case 3:q[i]=-q[i];break;case 4:q[i]|=1;break;case 5:q[i]=f;break;}
 } 
 u32 b=__ballot_sync(~0u,i%3==0); if(__any_sync(~0u,i==5)) cnt[8+threadIdx.x/32]=b; int m=__reduce_add_sync(~0u,i); cnt[20]=m; u32 mm=__match_any_sync(~0u,i%4); cnt[30]=mm; 
 __syncthreads(); if(threadIdx.x<64)atomicAdd((int*)cnt+64+threadIdx.x,hist[threadIdx.x]); __threadfence(); if(threadIdx.x==0) __trap();
}
__constant__ float tab[16]={0,1,2,3}; __device__ int counter;
__device__ __noinline__ float deep(float x,int n){ if(n<2) return x; return tab[n&15]*x+deep(x*0.5f,n-1); }
extern "C" __global__ void fn(const u32*stop,float*y,int n){ int i=threadIdx.x; y[i]=deep(i,n); atomicAdd(&counter,1); }
