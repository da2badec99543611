// SPDX-License-Identifier: Apache-2.0
// CUDA graphs on the device: what may happen inside a capture, and what must not disturb one.
#include <gtest/gtest.h>

#include <optional>
#include <thread>
#include <vector>

#include "rmsjit/spec_text.h"
#include "tests/gpu/gpu_case.h"
#include "tools/bench/kernel_under_test.h"

namespace rmsjit::gpu {
namespace {

struct Capture : testing::Test {
  void SetUp() override {
    RMSJIT_NEED_GPU();
    cuda.emplace();
    stream.emplace(*cuda);
    other.emplace(*cuda);
    runtime.emplace();
  }
  rmsjit_args args_for(const NormSpec& spec, const bench::TensorSet& set, int64_t tokens) {
    rmsjit_args args{};
    args.struct_size = sizeof args;
    args.x = set.x.data();
    args.weight = set.weight.data();
    args.y = set.y.data();
    args.tokens = tokens;
    args.x_token_stride = args.y_token_stride = spec.hidden;
    args.eps = 1e-6f;
    return args;
  }
  std::vector<char> bytes_of(const bench::Buffer& buffer) {
    std::vector<char> out(buffer.bytes());
    buffer.download(out.data(), out.size());
    return out;
  }
  NormSpec spec_of(const char* text) { return canonical(*parse_spec(text), Target{cuda->sm()}); }

  std::optional<bench::Cuda> cuda;
  std::optional<bench::Stream> stream, other;
  std::optional<TestRuntime> runtime;
};

TEST_F(Capture, TheFirstLaunchOfAPreparedKeyMayBeInsideACaptureAndReplaysGiveTheSameBits) {
  if (!cuda) return;
  const NormSpec spec = spec_of("hidden=4096,pdl=auto");
  const auto sets = bench::make_tensor_sets(*cuda, spec, 64, 1);
  const rmsjit_kernel* kernel = runtime->prepare(spec);
  ASSERT_NE(kernel, nullptr);
  const rmsjit_args args = args_for(spec, sets[0], 64);
  const bench::Graph graph(*cuda, *stream, [&](CUstream s) {
    rmsjit_error error{};
    ASSERT_EQ(rmsjit_kernel_launch(kernel, &args, s, &error), RMSJIT_OK) << error.message;
  });
  graph.launch();
  stream->synchronize();
  const std::vector<char> first = bytes_of(sets[0].y);
  const int replays = getenv("RMSJIT_GPU_SHORT") != nullptr ? 20 : 10000;  // under a sanitizer
  for (int i = 0; i < replays; ++i) graph.launch();
  stream->synchronize();
  EXPECT_EQ(bytes_of(sets[0].y), first);
}

TEST_F(Capture, AColdKeyInsideACaptureIsATypedErrorAndTheCaptureStaysValid) {
  if (!cuda) return;
  const NormSpec warm = spec_of("hidden=512"), cold = spec_of("hidden=520");
  const auto sets = bench::make_tensor_sets(*cuda, cold, 4, 1);
  const rmsjit_kernel* kernel = runtime->prepare(warm);
  rmsjit_args args = args_for(cold, sets[0], 4);
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

TEST_F(Capture, PrepareOnAnotherThreadLeavesAGlobalCaptureValid) {
  if (!cuda) return;
  const NormSpec captured = spec_of("hidden=768"), prepared = spec_of("hidden=776");
  const auto sets = bench::make_tensor_sets(*cuda, captured, 4, 1);
  const rmsjit_kernel* kernel = runtime->prepare(captured);
  const rmsjit_args args = args_for(captured, sets[0], 4);
  const bench::Graph graph(*cuda, *stream, [&](CUstream s) {
    EXPECT_EQ(rmsjit_kernel_launch(kernel, &args, s, nullptr), RMSJIT_OK);
    std::thread([&] { EXPECT_NE(runtime->prepare(prepared), nullptr); }).join();
    EXPECT_EQ(rmsjit_kernel_launch(kernel, &args, s, nullptr), RMSJIT_OK);
  });
  graph.launch();
  stream->synchronize();
}

TEST_F(Capture, PrepareAndLaunchAllocateNoDeviceMemoryOfTheirOwn) {
  if (!cuda) return;
  const NormSpec spec = spec_of("hidden=1024");
  const auto sets = bench::make_tensor_sets(*cuda, spec, 16, 1);
  const rmsjit_kernel* kernel = runtime->prepare(spec);
  const rmsjit_args args = args_for(spec, sets[0], 16);
  size_t before = 0, after = 0, total = 0;
  cuda->check(cuda->api().cuMemGetInfo(&before, &total), "cuMemGetInfo");
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(rmsjit_kernel_launch(kernel, &args, stream->get(), nullptr), RMSJIT_OK);
  }
  stream->synchronize();
  cuda->check(cuda->api().cuMemGetInfo(&after, &total), "cuMemGetInfo");
  EXPECT_EQ(before, after);
}

TEST_F(Capture, AThreadWithoutAContextLaunchesPreparesAndStaysWithoutOne) {
  if (!cuda) return;
  const NormSpec spec = spec_of("hidden=640");
  const auto sets = bench::make_tensor_sets(*cuda, spec, 4, 1);
  const rmsjit_kernel* kernel = runtime->prepare(spec);
  const rmsjit_args args = args_for(spec, sets[0], 4);
  CUcontext current = nullptr;
  cuda->check(cuda->api().cuCtxGetCurrent(&current), "cuCtxGetCurrent");
  EXPECT_EQ(current, cuda->context());
  std::thread fresh([&] {  // a thread without a current context
    rmsjit_error error{};
    EXPECT_EQ(rmsjit_kernel_launch(kernel, &args, stream->get(), &error), RMSJIT_OK)
        << error.message;
    CUcontext after = nullptr;
    cuda->api().cuCtxGetCurrent(&after);
    EXPECT_EQ(after, nullptr);
    EXPECT_NE(runtime->prepare(spec_of("hidden=648")), nullptr);
    cuda->api().cuCtxGetCurrent(&after);
    EXPECT_EQ(after, nullptr);
  });
  fresh.join();
  stream->synchronize();
}

}  // namespace
}  // namespace rmsjit::gpu
