// SPDX-License-Identifier: Apache-2.0
// For clangd and clang-tidy only: the CUDA names that device.cuh uses, without CUDA's headers,
// which older clangs cannot read. No compiler of a kernel ever sees this file.
#ifndef RMSJIT_EDITOR_SHIM_H_
#define RMSJIT_EDITOR_SHIM_H_
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __forceinline__ inline __attribute__((always_inline))
#define __grid_constant__
#define __cluster_dims__(...)
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
struct RmsjitDim3 {
  unsigned x, y, z;
};
extern const __device__ RmsjitDim3 threadIdx, blockIdx, blockDim;
__device__ float __uint_as_float(unsigned);
__device__ unsigned __float_as_uint(float);
__device__ float __fmaf_rn(float, float, float);
__device__ float __frsqrt_rn(float);
__device__ unsigned __funnelshift_r(unsigned, unsigned, unsigned);
__device__ float __shfl_xor_sync(unsigned, float, int);
__device__ unsigned __shfl_up_sync(unsigned, unsigned, unsigned);
__device__ void __syncthreads();
__device__ unsigned long __cvta_generic_to_shared(const void*);
#endif  // RMSJIT_EDITOR_SHIM_H_
