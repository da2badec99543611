// SPDX-License-Identifier: Apache-2.0
// The two entries of every compiled kernel, with the same bits: rmsnorm_packed where every pointer
// and used stride is a multiple of 16 bytes, rmsnorm_any for every other. spec.cuh is rendered for
// each kernel; the file beside this one is a sample for editors and nvcc.
#include "spec.cuh"

extern "C" __global__ void __launch_bounds__(rmsjit::Spec::kThreads* rmsjit::Spec::kMaxRows)
    rmsnorm_packed(const __grid_constant__ rmsjit::RmsNormParams params) {
  __shared__ rmsjit::Scratch<rmsjit::Spec> scratch;
  rmsjit::rmsnorm_rows<rmsjit::Spec, true>(params, scratch);
}

extern "C" __global__ void __launch_bounds__(rmsjit::Spec::kThreads* rmsjit::Spec::kMaxRows)
    rmsnorm_any(const __grid_constant__ rmsjit::RmsNormParams params) {
  __shared__ rmsjit::Scratch<rmsjit::Spec> scratch;
  rmsjit::rmsnorm_rows<rmsjit::Spec, false>(params, scratch);
}
