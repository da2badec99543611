// SPDX-License-Identifier: Apache-2.0
// The README's C++ example, extracted from it at build time and called.
#include "readme_example.h"  // written by tests/tools/extract_example.cmake

#include <gtest/gtest.h>

#include "tests/gpu/gpu_case.h"

namespace rmsjit::gpu {
namespace {

TEST(Readme, TheExampleNormalisesOnADeviceAndIsATypedErrorWithoutOne) {
  Options options;
  options.cache = Options::CacheDir::kNone;
  options.compile = RMSJIT_COMPILE_INPROCESS;
  Result<Runtime> runtime = Runtime::create(options);
  ASSERT_TRUE(runtime.ok()) << runtime.message();
  if (!bench::Cuda::why_unavailable().empty()) {
    const Status status = add_norm(*runtime, nullptr, nullptr, nullptr, nullptr, 1, nullptr);
    EXPECT_EQ(status.code(), StatusCode::kDriverUnavailable) << status.message();
    return;
  }
  const bench::Cuda cuda;
  const bench::Stream stream(cuda);
  const NormSpec spec =
      canonical(*parse_spec("hidden=4096,x=bf16,residual=add,pdl=auto"), Target{cuda.sm()});
  const emulate::RowPool pool(spec, 3);
  GpuCase c;
  c.tokens = 4;
  c.compare = false;  // the example's eps is not the pool's
  const GpuOutcome example =
      run_gpu_case(cuda, stream, spec, pool, c, [&](const rmsjit_args& args, CUstream s) {
        return add_norm(*runtime, args.x, args.residual_out, args.weight, args.y, args.tokens, s)
            .message();
      });
  EXPECT_EQ(example.problem, "");
  TestRuntime other;
  const Launcher launch = launcher_of(other.prepare(spec));
  const GpuOutcome direct =
      run_gpu_case(cuda, stream, spec, pool, c, [&](rmsjit_args args, CUstream s) {
        args.eps = 1e-5f;
        return launch(args, s);
      });
  EXPECT_EQ(direct.problem, "");
  EXPECT_EQ(example.y, direct.y);
  runtime->close();  // before the device session lets its context go
}

}  // namespace
}  // namespace rmsjit::gpu
