// SPDX-License-Identifier: Apache-2.0
// What a launch of a prepared kernel may not do: allocate, lock, read the environment, open a file.
// The C library's functions are interposed and counted; the time is measured and recorded.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <stdlib.h>

#include <algorithm>
#include <chrono>

#include "tests/runtime/runtime_fixture.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RMSJIT_TEST_INTERPOSED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define RMSJIT_TEST_INTERPOSED 0
#endif
#endif
#ifndef RMSJIT_TEST_INTERPOSED
#define RMSJIT_TEST_INTERPOSED 1
#endif

namespace {
thread_local bool counting = false;
thread_local int forbidden_calls = 0;
}  // namespace

#if RMSJIT_TEST_INTERPOSED
static void note() {
  if (counting) ++forbidden_calls;
}

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void __libc_free(void*);

void* malloc(size_t size) {
  note();
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  note();
  return __libc_calloc(count, size);
}
void* realloc(void* memory, size_t size) {
  note();
  return __libc_realloc(memory, size);
}
void free(void* memory) {
  note();
  __libc_free(memory);
}
int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  note();
  static const auto real =
      reinterpret_cast<int (*)(pthread_mutex_t*)>(dlsym(RTLD_NEXT, "pthread_mutex_lock"));
  return real(mutex);
}
char* secure_getenv(const char* name) noexcept {
  note();
  return getenv(name);
}
}
#endif

namespace rmsjit {
namespace {

class LaunchCost : public RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    make_runtime();
  }
  // Nanoseconds a call, the best of many batches: others use this machine too.
  template <class Call>
  double best_ns(const Call& call) {
    constexpr int kBatches = 200, kCalls = 1000;
    double best = 1e9;
    for (int batch = 0; batch < kBatches; ++batch) {
      const auto begin = std::chrono::steady_clock::now();
      for (int i = 0; i < kCalls; ++i) call();
      const std::chrono::duration<double, std::nano> spent =
          std::chrono::steady_clock::now() - begin;
      best = std::min(best, spent.count() / kCalls);
    }
    return best;
  }
};

constexpr const char* kSpec = "hidden=4096,residual=add,pdl=on";

TEST_F(LaunchCost, NothingIsAllocatedLockedOrReadFromTheEnvironment) {
  if (!RMSJIT_TEST_INTERPOSED) GTEST_SKIP() << "a sanitizer owns the allocator";
  const LoadedKernel& kernel = prepared(kSpec);
  push(kernel.where().context);
  const CUstream stream = stub_.make_stream(current());
  const rmsjit_spec spec = to_c(spec_of(kSpec));
  const rmsjit_args args = args_of(4096, 32, true);
  const auto* handle = reinterpret_cast<const rmsjit_kernel*>(&kernel);
  counting = true;
  free(malloc(1));
  const int control = std::exchange(forbidden_calls, 0);
  const rmsjit_status direct = rmsjit_kernel_launch(handle, &args, stream, nullptr);
  const Status looked_up = runtime_->launch(spec, 0, args, stream);
  counting = false;
  EXPECT_EQ(control, 2) << "the interposition works";
  EXPECT_EQ(direct, RMSJIT_OK);
  EXPECT_TRUE(looked_up.ok());
  EXPECT_EQ(forbidden_calls, 0);
}

TEST_F(LaunchCost, IsWithinItsBudgetAroundTheDriverCall) {
#ifndef NDEBUG
  GTEST_SKIP() << "not an optimised build";
#endif
  if (!RMSJIT_TEST_INTERPOSED) GTEST_SKIP() << "a sanitizer build";
  const LoadedKernel& kernel = prepared(kSpec);
  push(kernel.where().context);
  const CUstream stream = stub_.make_stream(current());
  const rmsjit_spec spec = to_c(spec_of(kSpec));
  const rmsjit_args args = args_of(4096, 32, true);
  const auto* handle = reinterpret_cast<const rmsjit_kernel*>(&kernel);
  CUlaunchConfig config{};
  config.hStream = stream;
  void* params[] = {&config};
  Module module =
      *Module::load(**Driver::get(), fake_image({.target_name = "sm_90"}), NormSpec{}, Tuning{});
  const double driver_ns = best_ns([&] {
    cu().cuLaunchKernelEx(&config, module.function(KernelEntry::kPacked), params, nullptr);
  });
  const double kernel_ns = best_ns([&] { rmsjit_kernel_launch(handle, &args, stream, nullptr); });
  const double runtime_ns =
      best_ns([&] { static_cast<void>(runtime_->launch(spec, 0, args, stream)); });
  std::printf("around the driver call: %.1f ns, with the look-up: %.1f ns\n", kernel_ns - driver_ns,
              runtime_ns - driver_ns);
  RecordProperty("launch_ns", std::to_string(kernel_ns - driver_ns));
  // The budget is 50 ns and 10 ns more; three times that leaves room for a slow or busy machine.
  EXPECT_LT(kernel_ns - driver_ns, 150);
  EXPECT_LT(runtime_ns - driver_ns, 180);
}

}  // namespace
}  // namespace rmsjit
