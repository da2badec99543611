// SPDX-License-Identifier: Apache-2.0
// The driver layer by itself. Each suite needs another libcuda.so.1 and runs as its own ctest
// entry.
#include "runtime/driver.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runtime/module.h"
#include "tests/runtime/fake_compiler.h"
#include "tests/runtime/stub_driver/stub_driver.h"

namespace rmsjit {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// --- the stub ---

TEST(Driver, IsOpenedOnceAndKnowsWhatItLoads) {
  EXPECT_EQ(Driver::opened(), nullptr);
  const auto first = Driver::get(), second = Driver::get();
  ASSERT_TRUE(first.ok()) << first.message();
  EXPECT_EQ(*first, *second);
  EXPECT_EQ(*first, Driver::opened());
  EXPECT_EQ((*first)->version(), 13000);
  EXPECT_EQ((*first)->loadable_majors(), (std::vector<int>{13, 12}));
  EXPECT_EQ(stub::control().driver->calls[stub::kcuInit], 1);
}

TEST(Driver, AResultBecomesAStatusWithNameAndNumber) {
  const Driver& driver = **Driver::get();
  EXPECT_TRUE(driver.check(CUDA_SUCCESS, "cuInit").ok());
  const Status memory = driver.check(CUDA_ERROR_OUT_OF_MEMORY, "cuModuleLoadData");
  EXPECT_EQ(memory.code(), StatusCode::kDriver);
  EXPECT_EQ(memory.message(),
            "cuModuleLoadData failed: CUDA_ERROR_OUT_OF_MEMORY (2): as the test asked");
  for (const CUresult refusal :
       {CUDA_ERROR_INVALID_IMAGE, CUDA_ERROR_NO_BINARY_FOR_GPU, CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
        CUDA_ERROR_INVALID_PTX, CUDA_ERROR_NOT_FOUND}) {
    EXPECT_EQ(driver.check(refusal, "x").code(), StatusCode::kUnsupported) << refusal;
  }
}

TEST(Driver, AFailureToExchangeTheCaptureModeLeavesItAlone) {
  const Driver& driver = **Driver::get();
  stub::control().driver->fail[stub::kcuThreadExchangeStreamCaptureMode] = CUDA_ERROR_UNKNOWN;
  { const RelaxedCapture relaxed(driver); }
  stub::control().driver->fail[stub::kcuThreadExchangeStreamCaptureMode] = CUDA_SUCCESS;
  EXPECT_EQ(stub::control().thread_mode(), CU_STREAM_CAPTURE_MODE_GLOBAL);
}

TEST(Driver, AContextThatCannotBePushedIsAnErrorAndNotPopped) {
  const Driver& driver = **Driver::get();
  stub::control().driver->fail[stub::kcuCtxPushCurrent_v2] = CUDA_ERROR_CONTEXT_IS_DESTROYED;
  stub::control().driver->clear_counts();
  {
    const CurrentContext current(driver, stub::control().make_context(0));
    EXPECT_EQ(current.status().code(), StatusCode::kDriver);
  }
  EXPECT_EQ(stub::control().driver->calls[stub::kcuCtxPopCurrent_v2], 0);
  stub::control().driver->fail[stub::kcuCtxPushCurrent_v2] = CUDA_SUCCESS;
}

// --- a driver that does not start: the environment variable makes the stub's cuInit fail ---

TEST(SickDriver, SaysWhyAndIsAskedAgain) {
  for (int i = 1; i <= 2; ++i) {
    const auto driver = Driver::get();
    ASSERT_EQ(driver.code(), StatusCode::kDriverUnavailable);
    EXPECT_TRUE(contains(driver.message(), "cuInit failed: CUDA_ERROR_STUB (100)"))
        << driver.message();
    EXPECT_EQ(stub::control().driver->calls[stub::kcuInit], i);
  }
}

// --- a driver of CUDA 12.3: no cuFuncLoad, no cuCtxGetId ---

TEST(OldDriver, IsServedWithoutTheOptionalFunctions) {
  const auto driver = Driver::get();
  ASSERT_TRUE(driver.ok()) << driver.message();
  EXPECT_EQ((*driver)->functions().cuFuncLoad, nullptr);
  EXPECT_EQ((*driver)->loadable_majors(), std::vector<int>{12});
  const CurrentContext current(**driver, stub::control().make_context(0));
  const auto module =
      Module::load(**driver, fake_image({.target_name = "sm_90"}), NormSpec{}, Tuning{});
  ASSERT_TRUE(module.ok()) << module.message();
  EXPECT_EQ(stub::control().driver->calls[stub::kcuFuncGetAttribute], 2) << "forced resident";
  stub::control().driver->memory_full = true;
  CUlaunchConfig config{};
  void* nothing[] = {nullptr};
  for (KernelEntry named : {KernelEntry::kPacked, KernelEntry::kAny}) {
    const CUfunction entry = module->function(named);
    EXPECT_EQ((*driver)->functions().cuLaunchKernelEx(&config, entry, nothing, nullptr),
              CUDA_SUCCESS);
  }
}

// --- a libcuda that is none ---

TEST(EmptyDriver, TheMissingFunctionIsNamed) {
  const auto driver = Driver::get();
  ASSERT_EQ(driver.code(), StatusCode::kDriverUnavailable);
  EXPECT_TRUE(contains(driver.message(), "libcuda.so.1 has no cuInit")) << driver.message();
}

// --- no libcuda at all ---

TEST(NoDriver, IsATypedErrorThatNamesTheLibrary) {
  if (dlopen("libcuda.so.1", RTLD_NOW) != nullptr) {
    GTEST_SKIP() << "this machine has a libcuda.so.1";
  }
  const auto driver = Driver::get();
  ASSERT_EQ(driver.code(), StatusCode::kDriverUnavailable);
  EXPECT_TRUE(contains(driver.message(), "libcuda.so.1 cannot be opened")) << driver.message();
}

}  // namespace
}  // namespace rmsjit
