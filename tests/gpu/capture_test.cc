// SPDX-License-Identifier: Apache-2.0
// CUDA graphs on the device: what may happen inside a capture, and what must not disturb one.
#include <gtest/gtest.h>

#include <thread>

#include "tests/gpu/gpu_fixture.h"
#include "tests/gpu/neighbours.h"

namespace rmsjit::gpu {
namespace {

using Capture = OnDevice;

// Each replay poisons y, normalises and compares every byte on the device.
TEST_F(Capture, TheFirstLaunchOfAPreparedKeyMayBeInsideACaptureAndTenThousandReplaysAreIdentical) {
  const NormSpec spec = spec_of("hidden=4096,pdl=auto");
  const auto sets = bench::make_tensor_sets(*cuda, spec, 64, 1);
  const rmsjit_kernel* kernel = runtime->prepare(spec);
  ASSERT_NE(kernel, nullptr);
  const rmsjit_args args = tight_args(spec, sets[0], 64);
  {
    const bench::Graph first(*cuda, *stream, [&](CUstream s) { expect_launch(kernel, args, s); });
    first.launch();
    stream->synchronize();
  }
  const Neighbours neighbours(*cuda);
  const std::vector<char> bytes = bytes_of(sets[0].y);
  bench::Buffer expected(*cuda, bytes.size()), wrong(*cuda, 16);
  expected.upload(bytes.data(), bytes.size());
  wrong.fill(0);
  const bench::Graph graph(*cuda, *stream, [&](CUstream s) {
    const bench::Buffer& y = sets[0].y;
    cuda->check(
        cuda->api().cuMemsetD8Async(reinterpret_cast<CUdeviceptr>(y.data()), 0xa5, y.bytes(), s),
        "cuMemsetD8Async");
    expect_launch(kernel, args, s);
    neighbours.late(s, {{Neighbours::Does::kCompares, y.data(), expected.data(), bytes.size()}},
                    wrong);
  });
  for (int i = 0; i < (short_run() ? 20 : 10000); ++i) graph.launch();
  stream->synchronize();
  EXPECT_EQ(bytes_of(wrong), std::vector<char>(16, 0));
}

TEST_F(Capture, AColdKeyInsideACaptureIsATypedErrorAndTheCaptureStaysValid) {
  const NormSpec warm = spec_of("hidden=512"), cold = spec_of("hidden=520");
  const auto sets = bench::make_tensor_sets(*cuda, cold, 4, 1);
  const rmsjit_kernel* kernel = runtime->prepare(warm);
  rmsjit_args args = tight_args(cold, sets[0], 4);
  const rmsjit_spec c_spec = to_c(cold);
  rmsjit_error error{};
  const bench::Graph graph(*cuda, *stream, [&](CUstream s) {
    EXPECT_EQ(rmsjit_launch(runtime->get(), &c_spec, 0, &args, s, &error), RMSJIT_NOT_PREPARED);
    args.x_token_stride = args.y_token_stride = 512;
    EXPECT_EQ(rmsjit_kernel_launch(kernel, &args, s, nullptr), RMSJIT_OK);
    args.tokens = 0;  // no rows: success, even for a cold key
    EXPECT_EQ(rmsjit_launch(runtime->get(), &c_spec, 0, &args, s, nullptr), RMSJIT_OK);
  });
  EXPECT_NE(std::string(error.message).find("hidden=520"), std::string::npos) << error.message;
  graph.launch();
  stream->synchronize();
}

TEST_F(Capture, PreparingAndClosingOnAnotherThreadLeaveAGlobalCaptureValid) {
  const NormSpec captured = spec_of("hidden=768"), prepared = spec_of("hidden=776");
  const auto sets = bench::make_tensor_sets(*cuda, captured, 4, 1);
  const rmsjit_kernel* kernel = runtime->prepare(captured);
  const rmsjit_args args = tight_args(captured, sets[0], 4);
  const bench::Graph graph(*cuda, *stream, [&](CUstream s) {
    EXPECT_EQ(rmsjit_kernel_launch(kernel, &args, s, nullptr), RMSJIT_OK);
    std::thread([&] {
      EXPECT_NE(runtime->prepare(prepared), nullptr);
      // Unloaded at once; what compute-sanitizer does at an unload would end the capture.
      if (short_run()) return;
      EXPECT_NE(TestRuntime().prepare(prepared), nullptr);
    }).join();
    EXPECT_EQ(rmsjit_kernel_launch(kernel, &args, s, nullptr), RMSJIT_OK);
  });
  graph.launch();
  stream->synchronize();
}

TEST_F(Capture, PrepareAndLaunchAllocateNoDeviceMemoryOfTheirOwn) {
  const NormSpec spec = spec_of("hidden=1024");
  const auto sets = bench::make_tensor_sets(*cuda, spec, 16, 1);
  const rmsjit_kernel* kernel = runtime->prepare(spec);
  const rmsjit_args args = tight_args(spec, sets[0], 16);
  size_t before = 0, after = 0, total = 0;
  cuda->check(cuda->api().cuMemGetInfo(&before, &total), "cuMemGetInfo");
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(rmsjit_kernel_launch(kernel, &args, stream->get(), nullptr), RMSJIT_OK);
  }
  stream->synchronize();
  cuda->check(cuda->api().cuMemGetInfo(&after, &total), "cuMemGetInfo");
  EXPECT_EQ(before, after);
}

}  // namespace
}  // namespace rmsjit::gpu
