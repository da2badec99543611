// SPDX-License-Identifier: Apache-2.0
// Where a launch runs: streams, contexts and devices that are not the kernel's, threads, forks.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "tests/runtime/launch_fixture.h"

namespace rmsjit {
namespace {

using namespace stub;

TEST_F(LaunchTest, AStreamOfAnotherDeviceOrContextIsNamedAfterTheFailure) {
  make_runtime();
  const LoadedKernel& kernel = prepared("hidden=64", 0);
  push(kernel.where().context);
  const rmsjit_args args = args_of(64, 1);
  expect(kernel.launch(args, stub_.make_stream(stub_.make_context(1))), StatusCode::kWrongDevice,
         "the stream belongs to device 1 and the kernel to device 0");
  expect(kernel.launch(args, stub_.make_stream(stub_.make_context(0))), StatusCode::kWrongContext,
         "another context of device 0");
  EXPECT_EQ(current(), kernel.where().context);
  stub_.driver->fail[kcuLaunchKernelEx] = CUDA_ERROR_OUT_OF_MEMORY;
  stub_.driver->clear_counts();
  expect(kernel.launch(args, stream_on(kernel)), StatusCode::kDriver,
         "cuLaunchKernelEx failed: CUDA_ERROR_OUT_OF_MEMORY (2)");
  EXPECT_EQ(stub_.driver->calls[kcuLaunchKernelEx], 1) << "what failed is not tried again";
}

TEST_F(LaunchTest, AThreadWithoutAContextBorrowsTheKernels) {
  make_runtime();
  const LoadedKernel& kernel = prepared("hidden=64");
  const CUstream stream = stream_on(kernel);
  std::thread([&] {
    EXPECT_TRUE(kernel.launch(args_of(64, 1), stream).ok());
    EXPECT_EQ(current(), nullptr);
  }).join();
}

TEST_F(LaunchTest, ALookUpServesTheContextThatIsCurrent) {
  make_runtime();
  prepared("hidden=64");
  const CUcontext own = stub_.make_context(0);
  push(own);
  const CUstream stream = stub_.make_stream(own);
  expect(launch("hidden=64", args_of(64, 1), stream), StatusCode::kWrongContext, "another context");
  prepared("hidden=64");
  EXPECT_TRUE(launch("hidden=64", args_of(64, 1), stream).ok());
}

TEST_F(LaunchTest, DevicesAreServedAlternately) {
  make_runtime();
  const LoadedKernel* kernels[] = {&prepared("hidden=64", 0), &prepared("hidden=64", 1)};
  for (int i = 0; i < 6; ++i) {
    const LoadedKernel& kernel = *kernels[i % 2];
    push(kernel.where().context);
    const CUstream stream = stream_on(kernel);
    stub_.driver->clear_counts();
    EXPECT_TRUE(launch("hidden=64", args_of(64, 1), stream, i % 2).ok());
    EXPECT_EQ(stub_.driver->total, 1) << "found at once, on each";
    EXPECT_EQ(last().config.hStream, stream);
    CUcontext popped;
    cu().cuCtxPopCurrent(&popped);
  }
}

TEST_F(LaunchTest, AForkedChildClosesWithoutTouchingTheDriver) {
  make_runtime();
  prepared("hidden=64");
  const pid_t child = fork();
  if (child == 0) {
    stub_.driver->clear_counts();
    runtime_.reset();
    _exit(stub_.driver->total == 0 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
}

}  // namespace
}  // namespace rmsjit
