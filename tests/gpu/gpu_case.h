// SPDX-License-Identifier: Apache-2.0
// One launch on a device with every check of what it left behind: the emulator's cases, for real.
// Tensors lie in poison, before, after and between rows, and the poison has to survive.
#ifndef RMSJIT_TESTS_GPU_GPU_CASE_H_
#define RMSJIT_TESTS_GPU_GPU_CASE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "rmsjit/rmsjit_c.h"
#include "rmsjit/spec.h"
#include "tests/emulate/row_pool.h"
#include "tools/bench/cuda_session.h"

namespace rmsjit::gpu {

// Ends the test: skipped with the reason, or failed under RMSJIT_REQUIRE_GPU=1.
#define RMSJIT_NEED_GPU()                                                                        \
  do {                                                                                           \
    const std::string why = ::rmsjit::bench::Cuda::why_unavailable();                            \
    if (!why.empty() && getenv("RMSJIT_REQUIRE_GPU") != nullptr) FAIL() << "no device: " << why; \
    if (!why.empty()) GTEST_SKIP() << "no CUDA device: " << why;                                 \
  } while (false)

struct TensorMemory {
  int64_t offset_bytes = 0;  // of the first row, from a multiple of 256
  int64_t token_pad = 0;     // elements beyond the tight stride
  int64_t head_pad = 0;
};

struct GpuCase {
  int64_t tokens = 1;
  int64_t heads = 1;
  int first_row = 0;  // row r of the batch is pool row first_row + r * row_step
  int row_step = 1;
  TensorMemory x, residual, residual_out, y;
  int64_t weight_offset_bytes = 0;
  bool compare = true;  // off: only the guards are checked, and the outcome holds what was written
};

// A launch of the kernel under test on a stream; an empty string, or what went wrong.
using Launcher = std::function<std::string(const rmsjit_args& args, CUstream stream)>;

// What the launch left in y and residual_out, row by row, and what is wrong with it.
struct GpuOutcome {
  std::string problem;  // empty when all is well
  std::vector<std::vector<uint32_t>> y;
};
GpuOutcome run_gpu_case(const bench::Cuda& cuda, const bench::Stream& stream, const NormSpec& spec,
                        const emulate::RowPool& pool, const GpuCase& c, const Launcher& launch);

// A runtime that keeps nothing on disk and compiles in this process.
class TestRuntime {
 public:
  TestRuntime();
  ~TestRuntime() { rmsjit_runtime_close(runtime_); }
  rmsjit_runtime* get() const { return runtime_; }
  // Null and a test failure when the key cannot be prepared.
  const rmsjit_kernel* prepare(const NormSpec& spec, int device = 0);

 private:
  rmsjit_runtime* runtime_ = nullptr;
};

rmsjit_spec to_c(const NormSpec& spec);
Launcher launcher_of(const rmsjit_kernel* kernel);

}  // namespace rmsjit::gpu

#endif  // RMSJIT_TESTS_GPU_GPU_CASE_H_
