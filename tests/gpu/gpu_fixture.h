// SPDX-License-Identifier: Apache-2.0
// What most device tests begin with: the device, two streams and a runtime that compiles in this
// process; tensors without padding and their arguments; driver functions that only tests need.
#ifndef RMSJIT_TESTS_GPU_GPU_FIXTURE_H_
#define RMSJIT_TESTS_GPU_GPU_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

#include "tests/gpu/gpu_case.h"
#include "tools/bench/kernel_under_test.h"

namespace rmsjit::gpu {

// Under a sanitizer everything is a hundred times slower, and each refused driver call a finding.
bool short_run();
#define RMSJIT_NEED_REFUSALS() \
  if (short_run()) GTEST_SKIP() << "a driver call that is refused on purpose is a finding"

// A part of what a test runs over, so that processes side by side can share one test
// (GTEST_TOTAL_SHARDS); a short run takes one thing in `short_step`.
class Slice {
 public:
  static constexpr int kCount = 8;
  explicit Slice(int index) : index_(index) {}
  bool takes(int short_step) {
    const int seen = seen_++, step = short_run() ? short_step : 1;
    return seen % step == step - 1 && seen / step % kCount == index_;
  }

 private:
  int index_, seen_ = 0;
};

// 1 where the spec has no heads; else of odd counts, where a block has one head, and of even ones,
// where it has several (LaunchGrid::heads_shift), by turns.
int64_t heads_of(const NormSpec& spec, int64_t turn);
// Arguments of the set's rows without padding; outputs in place are those that the spec has so.
rmsjit_args tight_args(const NormSpec& spec, const bench::TensorSet& set, int64_t tokens);
std::vector<char> bytes_of(const bench::Buffer& buffer);
// A function of libcuda by its exported name, or null.
void* driver_symbol(const char* name);

class OnDevice : public testing::Test {
 protected:
  void SetUp() override {
    RMSJIT_NEED_GPU();
    cuda.emplace();
    stream.emplace(*cuda);
    runtime.emplace();
  }
  NormSpec spec_of(const char* text) const;
  void expect_launch(const rmsjit_kernel* kernel, const rmsjit_args& args, CUstream on,
                     rmsjit_status wanted = RMSJIT_OK);
  CUcontext current() const;

  std::optional<bench::Cuda> cuda;
  std::optional<bench::Stream> stream;
  std::optional<TestRuntime> runtime;
};

}  // namespace rmsjit::gpu

#endif  // RMSJIT_TESTS_GPU_GPU_FIXTURE_H_
