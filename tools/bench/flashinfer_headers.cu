// SPDX-License-Identifier: Apache-2.0
// FlashInfer's CUDA kernels behind plain C functions, built by tools/bench from the headers that
// --flashinfer-include names when no package of FlashInfer can be used. Each returns a cudaError_t;
// sizes and strides are in elements.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <flashinfer/norm.cuh>

#define FOR_DTYPE(half, call)      \
  if (half) {                      \
    using T = __half;              \
    return static_cast<int>(call); \
  } else {                         \
    using T = __nv_bfloat16;       \
    return static_cast<int>(call); \
  }
#define AS_T(pointer) static_cast<T*>(pointer)

extern "C" {

int fi_rmsnorm(void* out, void* x, void* weight, long long rows, long long hidden,
               long long x_stride, long long out_stride, float eps, int pdl, int half,
               cudaStream_t stream) {
  FOR_DTYPE(half, flashinfer::norm::RMSNorm(AS_T(x), AS_T(weight), AS_T(out), rows, hidden,
                                            x_stride, out_stride, eps, pdl != 0, stream))
}

int fi_gemma_rmsnorm(void* out, void* x, void* weight, long long rows, long long hidden,
                     long long x_stride, long long out_stride, float eps, int pdl, int half,
                     cudaStream_t stream) {
  FOR_DTYPE(half, flashinfer::norm::GemmaRMSNorm(AS_T(x), AS_T(weight), AS_T(out), rows, hidden,
                                                 x_stride, out_stride, eps, pdl != 0, stream))
}

int fi_qk_rmsnorm(void* out, void* x, void* weight, long long tokens, long long heads,
                  long long hidden, long long x_token, long long x_head, long long out_token,
                  long long out_head, float eps, int pdl, int half, cudaStream_t stream) {
  FOR_DTYPE(half, flashinfer::norm::QKRMSNorm(AS_T(x), AS_T(weight), AS_T(out), tokens, heads,
                                              hidden, x_token, x_head, out_token, out_head, eps,
                                              pdl != 0, stream))
}

int fi_fused_add_rmsnorm(void* x, void* residual, void* weight, long long rows, long long hidden,
                         long long x_stride, long long residual_stride, float eps, int pdl,
                         int half, cudaStream_t stream) {
  FOR_DTYPE(half,
            flashinfer::norm::FusedAddRMSNorm(AS_T(x), AS_T(residual), AS_T(weight), rows, hidden,
                                              x_stride, residual_stride, eps, pdl != 0, stream))
}

}  // extern "C"
