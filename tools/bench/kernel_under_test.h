// SPDX-License-Identifier: Apache-2.0
// A kernel of an arbitrary plan, launched the way the library launches it, over rotating buffers.
// For `tune` and the raw side of `cold`: what users get goes through the C ABI.
#ifndef RMSJIT_BENCH_KERNEL_UNDER_TEST_H_
#define RMSJIT_BENCH_KERNEL_UNDER_TEST_H_

#include <string>
#include <vector>

#include "rmsjit/rmsjit_c.h"
#include "runtime/kernel_key.h"
#include "runtime/launch_args.h"
#include "tools/bench/cuda_session.h"

namespace rmsjit::bench {

// Buffers of one launch; `sets` of them are used in turn, so that no launch finds its own data hot.
struct TensorSet {
  Buffer x, weight, residual, residual_out, y;
};
// Random bf16/f16/f32 values, the same for each set's tensor of one role, brought there through
// the stream.
std::vector<TensorSet> make_tensor_sets(const Cuda& cuda, const NormSpec& spec, int64_t rows,
                                        int sets, CUstream stream = nullptr);

// A launch of the library over such a set: contiguous rows, eps 1e-6.
rmsjit_args contiguous_args(const NormSpec& spec, const TensorSet& set, int64_t rows);

class KernelUnderTest {
 public:
  KernelUnderTest(const Cuda& cuda, const KernelId& id, const std::string& image);
  ~KernelUnderTest();
  KernelUnderTest(const KernelUnderTest&) = delete;
  KernelUnderTest& operator=(const KernelUnderTest&) = delete;
  // As the library launches `rows` contiguous rows.
  void launch(CUstream stream, const TensorSet& tensors, int64_t rows) const;
  // With heads any block height that the entry has; of the entries that the addresses allow,
  // `extra` if the plan has that extra schedule. Throws where the library would refuse.
  void launch(CUstream stream, const rmsjit_args& args, int rows_a_block, KernelEntry extra) const;

 private:
  const Cuda& cuda_;
  KernelId id_;
  LaunchFacts facts_;
  CUmodule module_ = nullptr;
  CUfunction functions_[kKernelEntries] = {};
};

}  // namespace rmsjit::bench

#endif  // RMSJIT_BENCH_KERNEL_UNDER_TEST_H_
