// SPDX-License-Identifier: Apache-2.0
// RuntimeTest: a RuntimeCore over the stub driver and a FakeCompiler.
#ifndef RMSJIT_TESTS_RUNTIME_RUNTIME_FIXTURE_H_
#define RMSJIT_TESTS_RUNTIME_RUNTIME_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "rmsjit/spec_c.h"
#include "rmsjit/spec_text.h"
#include "runtime/runtime.h"
#include "tests/runtime/fake_compiler.h"
#include "tests/runtime/stub_driver/stub_driver.h"
#include "tests/runtime/temp_dir.h"

namespace rmsjit {

inline NormSpec spec_of(const std::string& text) { return *parse_spec(text); }

// Dense tensors at made-up addresses, for "hidden=N" and "hidden=N,residual=add".
inline rmsjit_args args_of(int64_t hidden, int64_t tokens, bool residual = false) {
  const auto address = [](int64_t n) { return reinterpret_cast<void*>(n << 40); };
  rmsjit_args args{};
  args.struct_size = sizeof args;
  args.x = address(1);
  args.weight = address(2);
  args.y = address(3);
  if (residual) args.residual = address(4);
  args.x_token_stride = args.y_token_stride = hidden;
  if (residual) args.residual_token_stride = hidden;
  args.tokens = tokens;
  args.heads = 1;
  args.eps = 1e-6f;
  return args;
}

class RuntimeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(stub_.driver, nullptr)
        << "libcuda.so.1 is not the stub: run through ctest, or put the stub's folder first into "
           "LD_LIBRARY_PATH";
    stub_.reset();
  }
  RuntimeCore& make_runtime(RuntimeOptions options = {}) {
    options.store.log = [this](LogLevel level, const std::string& message) {
      const std::lock_guard lock(mutex_);
      if (level == LogLevel::kWarning) warnings_.push_back(message);
    };
    auto compiler = std::make_unique<FakeCompiler>(log_, hook_);
    compiler->unavailable = unavailable_;
    runtime_ = std::make_unique<RuntimeCore>(std::move(options), std::move(compiler));
    return *runtime_;
  }
  RuntimeOptions on_disk() {
    RuntimeOptions options;
    options.store.cache_dir = dir_.path("cache");
    return options;
  }
  const LoadedKernel& prepared(const std::string& text, int device = 0) {
    const Result<const LoadedKernel*> kernel = runtime_->prepare(spec_of(text), device);
    if (!kernel.ok()) {
      ADD_FAILURE() << kernel.message();
      abort();
    }
    return **kernel;
  }
  CUcontext current() {
    CUcontext context = nullptr;
    EXPECT_EQ(cu().cuCtxGetCurrent(&context), CUDA_SUCCESS);
    return context;
  }
  void push(CUcontext context) { EXPECT_EQ(cu().cuCtxPushCurrent(context), CUDA_SUCCESS); }
  const DriverFunctions& cu() { return (*Driver::get())->functions(); }
  int calls(stub::Call call) { return stub_.driver->calls[call]; }

  const stub::Control& stub_ = stub::control();
  TempDir dir_;
  FakeCompiler::Log log_;
  FakeCompiler::Hook hook_;
  Status unavailable_;
  std::mutex mutex_;
  std::vector<std::string> warnings_;
  std::unique_ptr<RuntimeCore> runtime_;
};

}  // namespace rmsjit

#endif  // RMSJIT_TESTS_RUNTIME_RUNTIME_FIXTURE_H_
