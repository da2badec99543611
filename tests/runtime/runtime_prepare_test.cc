// SPDX-License-Identifier: Apache-2.0
// prepare on the stub driver: contexts, loading, failures, many keys.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <thread>

#include "tests/runtime/runtime_fixture.h"

namespace rmsjit {
namespace {

using namespace stub;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(RuntimeTest, CreatingARuntimeTouchesNeitherDriverNorDisk) {
  make_runtime(on_disk());
  EXPECT_EQ(stub_.driver->total, 0);
  EXPECT_FALSE(std::filesystem::exists(dir_.path("cache")));
}

TEST_F(RuntimeTest, PrepareLoadsOnceAndMakesEveryEntryResident) {
  RuntimeCore& runtime = make_runtime();
  const LoadedKernel& kernel = prepared("hidden=4096");
  EXPECT_EQ(calls(kcuModuleLoadData), 1);
  int entries = 0;
  const Tuning tuning = KernelId::make(spec_of("hidden=4096"), {90, false})->tuning;
  for (int i = 0; i < kKernelEntries; ++i)
    entries += has_entry(tuning, static_cast<KernelEntry>(i));
  EXPECT_EQ(calls(kcuModuleGetFunction), entries);
  EXPECT_EQ(calls(kcuFuncLoad), entries);
  EXPECT_EQ(&prepared("hidden=4096"), &kernel);
  EXPECT_EQ(&prepared("hidden=4096,y=bf16"), &kernel) << "equal maths";
  EXPECT_EQ(calls(kcuModuleLoadData), 1);
  EXPECT_EQ(runtime.store().counters().memory_hits, 2u);
  EXPECT_EQ(runtime.store().counters().loaded_kernels, 1u);
  prepared("hidden=262144");  // which has an entry for few rows, and one for many
  EXPECT_EQ(calls(kcuModuleGetFunction), entries + 4);
  EXPECT_EQ(calls(kcuFuncLoad), entries + 4);
}

TEST_F(RuntimeTest, TheCallersContextIsRestored) {
  make_runtime();
  prepared("hidden=64");
  EXPECT_EQ(current(), nullptr);
  const CUcontext other = stub_.make_context(1);
  push(other);
  prepared("hidden=65", 0);
  EXPECT_EQ(current(), other);
  EXPECT_EQ(calls(kcuCtxPopCurrent_v2), 2) << "each push of prepare has its pop";
  stub_.driver->fail[kcuModuleLoadData] = CUDA_ERROR_OUT_OF_MEMORY;
  EXPECT_FALSE(runtime_->prepare(spec_of("hidden=66"), 0).ok());
  EXPECT_EQ(current(), other);
}

TEST_F(RuntimeTest, AContextOnTheDeviceIsUsedAndThePrimaryOneLeftAlone) {
  make_runtime();
  const CUcontext own = stub_.make_context(1);
  push(own);
  EXPECT_EQ(prepared("hidden=64", 1).where().context, own);
  EXPECT_EQ(stub_.driver->retained[1], 0);
  EXPECT_NE(prepared("hidden=64", 0).where().context, own);
  EXPECT_EQ(stub_.driver->retained[0], 1);
}

TEST_F(RuntimeTest, EachContextHasItsOwnKernelFromOneCompile) {
  make_runtime();
  const CUcontext first = stub_.make_context(0), second = stub_.make_context(0);
  push(first);
  const LoadedKernel& a = prepared("hidden=64");
  push(second);
  const LoadedKernel& b = prepared("hidden=64");
  EXPECT_NE(&a, &b);
  EXPECT_EQ(b.where().context, second);
  EXPECT_EQ(log_.compiles, 1);
  EXPECT_EQ(stub_.driver->modules, 2);
}

TEST_F(RuntimeTest, AContextAtTheAddressOfADestroyedOneIsAnother) {
  make_runtime();
  const CUcontext context = stub_.make_context(0);
  push(context);
  const LoadedKernel& gone = prepared("hidden=64");
  stub_.renew_context(context);
  EXPECT_NE(&prepared("hidden=64"), &gone);
  EXPECT_EQ(stub_.driver->modules, 2);
  runtime_.reset();
  EXPECT_EQ(stub_.driver->modules, 1) << "what went with its context is not unloaded in another";
}

TEST_F(RuntimeTest, ClosingUnloadsEveryKernelAndReleasesEveryContext) {
  make_runtime();
  const CUcontext own = stub_.make_context(1);
  push(own);
  prepared("hidden=64", 0);
  prepared("hidden=64", 1);
  prepared("hidden=65", 1);
  EXPECT_EQ(stub_.driver->modules, 3);
  runtime_.reset();
  EXPECT_EQ(stub_.driver->modules, 0);
  EXPECT_EQ(stub_.driver->retained[0], 0);
  EXPECT_EQ(current(), own);
}

TEST_F(RuntimeTest, AForgottenDeviceIsNotTouchedAndMayBePreparedAgain) {
  RuntimeCore& runtime = make_runtime();
  const LoadedKernel& old = prepared("hidden=64", 0);
  prepared("hidden=64", 1);
  stub_.driver->clear_counts();
  runtime.forget_device(0);
  EXPECT_EQ(stub_.driver->total, 0);
  EXPECT_EQ(runtime.store().counters().loaded_kernels, 1u);
  EXPECT_NE(&prepared("hidden=64", 0), &old);
  EXPECT_EQ(calls(kcuDevicePrimaryCtxRetain), 1);
  const int before = stub_.driver->modules;
  runtime_.reset();
  EXPECT_EQ(stub_.driver->modules, before - 2) << "the forgotten module is not unloaded";
}

TEST_F(RuntimeTest, ThreadsOnOneKeyLoadItOnce) {
  make_runtime();
  std::vector<std::thread> threads;
  std::vector<const LoadedKernel*> kernels(16);
  for (size_t i = 0; i < kernels.size(); ++i) {
    threads.emplace_back([&, i] { kernels[i] = &prepared("hidden=4096"); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const LoadedKernel* kernel : kernels) EXPECT_EQ(kernel, kernels[0]);
  EXPECT_EQ(calls(kcuModuleLoadData), 1);
  EXPECT_EQ(log_.compiles, 1);
}

TEST_F(RuntimeTest, AnOutOfMemoryGpuIsATypedErrorAndNotForGood) {
  make_runtime();
  stub_.driver->fail[kcuModuleLoadData] = CUDA_ERROR_OUT_OF_MEMORY;
  const auto failed = runtime_->prepare(spec_of("hidden=64"), 0);
  EXPECT_EQ(failed.code(), StatusCode::kDriver);
  EXPECT_TRUE(contains(failed.message(), "cuModuleLoadData failed: CUDA_ERROR_OUT_OF_MEMORY (2)"))
      << failed.message();
  EXPECT_TRUE(contains(failed.message(), "hidden=64,x=bf16")) << failed.message();
  stub_.driver->fail[kcuModuleLoadData] = CUDA_SUCCESS;
  prepared("hidden=64");
  EXPECT_EQ(log_.compiles, 1);
}

TEST_F(RuntimeTest, AFailureAfterTheLoadUnloadsTheModule) {
  make_runtime();
  stub_.driver->fail[kcuFuncLoad] = CUDA_ERROR_OUT_OF_MEMORY;
  EXPECT_EQ(runtime_->prepare(spec_of("hidden=64"), 0).code(), StatusCode::kDriver);
  EXPECT_EQ(stub_.driver->modules, 0);
}

TEST_F(RuntimeTest, DistinctKeysAreCapped) {
  RuntimeOptions options;
  options.max_keys = 2;
  RuntimeCore& runtime = make_runtime(options);
  prepared("hidden=64");
  ASSERT_TRUE(runtime.precompile(spec_of("hidden=65"), {80, false}).ok());
  const auto third = runtime.prepare(spec_of("hidden=66"), 0);
  EXPECT_EQ(third.code(), StatusCode::kTooManyKeys);
  EXPECT_TRUE(contains(third.message(), "max_keys=2")) << third.message();
  prepared("hidden=64");
}

TEST_F(RuntimeTest, PrecompileNeedsNoDriver) {
  RuntimeCore& runtime = make_runtime(on_disk());
  ASSERT_TRUE(runtime.precompile(spec_of("hidden=64"), {100, false}).ok());
  ASSERT_TRUE(runtime.precompile(spec_of("hidden=64"), {100, false}).ok());
  EXPECT_EQ(log_.compiles, 1);
  EXPECT_EQ(stub_.driver->total, 0);
}

TEST_F(RuntimeTest, PrepareManyTriesEveryItemAndReportsEach) {
  hook_ = [](const CompileRequest& request) -> Status {
    if (contains(request.spec_cuh, "= 66")) return {StatusCode::kCompileFailed, "bad luck"};
    return {};
  };
  RuntimeCore& runtime = make_runtime();
  const CUcontext own = stub_.make_context(0);
  push(own);
  std::vector<std::pair<size_t, size_t>> progress;
  RuntimeCore::Many many{0, 3, 0,
                         [&](size_t done, size_t total) { progress.emplace_back(done, total); }};
  NormSpec invalid;
  const auto items = runtime.prepare_many(
      {spec_of("hidden=64"), invalid, spec_of("hidden=66"), spec_of("hidden=67")}, many);
  ASSERT_TRUE(items.ok()) << items.message();
  ASSERT_EQ(items->size(), 4u);
  ASSERT_NE((*items)[0].kernel, nullptr);
  EXPECT_EQ((*items)[0].kernel->where().context, own);
  EXPECT_EQ((*items)[1].status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ((*items)[2].status.message(), "bad luck");
  EXPECT_EQ((*items)[3].kernel->where().context, own) << "whatever thread it ran on";
  ASSERT_EQ(progress.size(), 4u);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(progress[i], std::make_pair(i + 1, size_t{4}));
  EXPECT_EQ(stub_.driver->disturbing, 0);
}

TEST_F(RuntimeTest, PrepareManyDoesNotBeginItemsPastItsDeadline) {
  hook_ = [](const CompileRequest&) -> Status {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(30);
    while (std::chrono::steady_clock::now() < until) std::this_thread::yield();
    return {};
  };
  RuntimeCore& runtime = make_runtime();
  const auto items =
      runtime.prepare_many({spec_of("hidden=64"), spec_of("hidden=65")}, {0, 1, 20, {}});
  ASSERT_TRUE(items.ok()) << items.message();
  EXPECT_TRUE((*items)[0].status.ok());
  EXPECT_EQ((*items)[1].status.code(), StatusCode::kTimeout);
  EXPECT_EQ(log_.compiles, 1);
}

}  // namespace
}  // namespace rmsjit
