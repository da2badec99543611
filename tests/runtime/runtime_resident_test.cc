// SPDX-License-Identifier: Apache-2.0
// What prepare leaves for the first launch to do, and what it and its relatives do to the capture
// of another thread. On the stub driver, which loads a function when it is first needed and ends a
// capture in global mode at the first call that it forbids: a real driver has room to spare for the
// one, and not all of these calls end a capture there.
#include <gtest/gtest.h>

#include <thread>

#include "tests/runtime/runtime_fixture.h"

namespace rmsjit {
namespace {

using namespace stub;

TEST_F(RuntimeTest, CallsThatACaptureForbidsRunRelaxedAndTheModeIsRestored) {
  make_runtime();
  prepared("hidden=64");
  EXPECT_EQ(stub_.thread_mode(), CU_STREAM_CAPTURE_MODE_GLOBAL);
  CUstreamCaptureMode local = CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
  cu().cuThreadExchangeStreamCaptureMode(&local);
  stub_.driver->fail[kcuModuleGetFunction] = CUDA_ERROR_OUT_OF_MEMORY;
  EXPECT_FALSE(runtime_->prepare(spec_of("hidden=65"), 1).ok());
  EXPECT_EQ(stub_.thread_mode(), CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
  runtime_.reset();
  EXPECT_EQ(stub_.thread_mode(), CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
  EXPECT_EQ(stub_.driver->disturbing, 0);
}

// One stream captures in global mode; what another thread does must leave it valid.
class GlobalCapture : public RuntimeTest {
 protected:
  void expect_valid_after(const char* what, const std::function<void()>& work) {
    SCOPED_TRACE(what);
    const LoadedKernel& kernel = prepared("hidden=64");
    push(kernel.where().context);
    const CUstream stream = stub_.make_stream(kernel.where().context);
    stub_.set_capture(stream, CU_STREAM_CAPTURE_STATUS_ACTIVE, CUDA_SUCCESS);
    std::thread(work).join();
    CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
    EXPECT_EQ(cu().cuStreamIsCapturing(stream, &status), CUDA_SUCCESS);
    EXPECT_EQ(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
    EXPECT_TRUE(kernel.launch(args_of(64, 1), stream).ok());
    stub_.set_capture(stream, CU_STREAM_CAPTURE_STATUS_NONE, CUDA_SUCCESS);
  }
};

TEST_F(GlobalCapture, IsEndedByALoadThatIsNotRelaxed) {
  make_runtime();
  const LoadedKernel& kernel = prepared("hidden=64");
  const CUstream stream = stub_.make_stream(kernel.where().context);
  stub_.set_capture(stream, CU_STREAM_CAPTURE_STATUS_ACTIVE, CUDA_SUCCESS);
  CUmodule module = nullptr;
  EXPECT_EQ(cu().cuModuleLoadData(&module, ""), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  EXPECT_EQ(cu().cuStreamIsCapturing(stream, &status), CUDA_SUCCESS);
  EXPECT_EQ(status, CU_STREAM_CAPTURE_STATUS_INVALIDATED) << "or the tests below cannot fail";
}

TEST_F(GlobalCapture, StaysValidWhateverAnotherThreadPreparesLaunchesOrCloses) {
  make_runtime();
  RuntimeCore& runtime = *runtime_;
  expect_valid_after("prepare",
                     [&] { EXPECT_TRUE(runtime.prepare(spec_of("hidden=65"), 0).ok()); });
  expect_valid_after("prepare for a device that nothing retained",
                     [&] { EXPECT_TRUE(runtime.prepare(spec_of("hidden=65"), 1).ok()); });
  expect_valid_after("prepare_many", [&] {
    const auto items =
        runtime.prepare_many({spec_of("hidden=66"), spec_of("hidden=67")}, {0, 2, 0, {}});
    ASSERT_TRUE(items.ok()) << items.message();
    for (const RuntimeCore::Item& item : *items) EXPECT_TRUE(item.status.ok());
  });
  expect_valid_after("a launch of a cold key on a stream that does not capture", [&] {
    const CUcontext primary = prepared("hidden=64").where().context;
    push(primary);
    const Status launched =
        runtime.launch(to_c(spec_of("hidden=68")), 0, args_of(68, 1), stub_.make_stream(primary));
    EXPECT_TRUE(launched.ok()) << launched.message();
  });
  expect_valid_after("closing", [&] {
    RuntimeCore other({}, std::make_unique<FakeCompiler>(log_, hook_));
    EXPECT_TRUE(other.prepare(spec_of("hidden=64"), 1).ok());
  });
  EXPECT_EQ(stub_.driver->disturbing, 0);
}

TEST_F(RuntimeTest, TheFirstLaunchOfAPreparedKeyLoadsNothingAndNeedsNoFreeDeviceMemory) {
  make_runtime();
  std::vector<const LoadedKernel*> kernels;
  for (const char* text : {"hidden=4096", "hidden=262144,x=f32"})
    kernels.push_back(&prepared(text));
  push(kernels[0]->where().context);
  stub_.driver->memory_full = true;
  stub_.driver->clear_counts();
  const CUstream stream = stub_.make_stream(kernels[0]->where().context);
  for (const LoadedKernel* kernel : kernels) {
    rmsjit_kernel_info info{};
    kernel->describe(info);
    rmsjit_args args = args_of(spec_of(info.spec_text).hidden, 1);
    EXPECT_TRUE(kernel->launch(args, stream).ok()) << "packed or few rows, " << info.spec_text;
    args = args_of(spec_of(info.spec_text).hidden, 1000);
    EXPECT_TRUE(kernel->launch(args, stream).ok()) << "packed, " << info.spec_text;
    args.x = static_cast<const char*>(args.x) + 4;
    EXPECT_TRUE(kernel->launch(args, stream).ok()) << "any, " << info.spec_text;
  }
  EXPECT_EQ(stub_.driver->total, 6) << "the launches alone";
  EXPECT_EQ(runtime_->prepare(spec_of("hidden=64"), 0).code(), StatusCode::kDriver)
      << "the memory was full";
}

}  // namespace
}  // namespace rmsjit
