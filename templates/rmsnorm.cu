// SPDX-License-Identifier: Apache-2.0
// The entries of a compiled kernel, all with the same bits: rmsnorm_packed where every pointer and
// used stride is a multiple of 16 bytes and the lower halves of rmsnorm_params.h are all there is,
// rmsnorm_any for every other; rmsnorm_few and rmsnorm_many, if the plan has them, for launches of
// few and of many rows in place of rmsnorm_packed, or where rows are realigned, which are all but
// never packed, of rmsnorm_any.
// spec.cuh is rendered for each kernel; the file beside this one is a sample for editors and nvcc.
// What an `if constexpr` cannot choose, spec.cuh defines: the blocks of a cluster
// (RMSJIT_CLUSTER_DIMS), and those of the extra schedules that there are (RMSJIT_FEW, RMSJIT_MANY).
#include "spec.cuh"

// More than 48 KiB is dynamic shared memory, which the launch has to ask for.
template <class Spec, bool kPacked>
RMSJIT_DEVICE void rmsnorm_entry(const rmsjit::RmsNormParams& params) {
  using Scratch = rmsjit::Scratch<Spec>;
  if constexpr (sizeof(Scratch) > 48 * 1024) {
    extern __shared__ rmsjit::Words<4> dynamic_shared[];  // one name has one type in all entries
    rmsjit::rmsnorm_rows<Spec, kPacked>(params, reinterpret_cast<Scratch&>(dynamic_shared[0]));
  } else {
    __shared__ Scratch scratch;
    rmsjit::rmsnorm_rows<Spec, kPacked>(params, scratch);
  }
}

extern "C" __global__ void RMSJIT_CLUSTER_DIMS
__launch_bounds__(rmsjit::Spec::kThreads* rmsjit::Spec::kMaxRows,
                  rmsjit::Blocks<rmsjit::Spec>::kLeast)
    rmsnorm_packed(const __grid_constant__ rmsjit::RmsNormParams params) {
  rmsnorm_entry<rmsjit::Spec, true>(params);
}

extern "C" __global__ void RMSJIT_CLUSTER_DIMS
__launch_bounds__(rmsjit::Spec::kThreads* rmsjit::Spec::kMaxRows)
    rmsnorm_any(const __grid_constant__ rmsjit::RmsNormParams params) {
  rmsnorm_entry<rmsjit::Spec, false>(params);
}

#ifdef RMSJIT_FEW
extern "C" __global__ void RMSJIT_FEW
__launch_bounds__(rmsjit::Few::kThreads* rmsjit::Few::kMaxRows,
                  rmsjit::Blocks<rmsjit::Few>::kLeast)
    rmsnorm_few(const __grid_constant__ rmsjit::RmsNormParams params) {
  rmsnorm_entry<rmsjit::Few, !rmsjit::Spec::kRealign>(params);
}
#endif

#ifdef RMSJIT_MANY
extern "C" __global__ void RMSJIT_MANY
__launch_bounds__(rmsjit::Many::kThreads* rmsjit::Many::kMaxRows,
                  rmsjit::Blocks<rmsjit::Many>::kLeast)
    rmsnorm_many(const __grid_constant__ rmsjit::RmsNormParams params) {
  rmsnorm_entry<rmsjit::Many, !rmsjit::Spec::kRealign>(params);
}
#endif
