// SPDX-License-Identifier: Apache-2.0
// NVTX ranges reach a profiler that is attached through NVTX_INJECTION64_PATH, which ctest sets.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "runtime/options.h"

namespace rmsjit {
namespace {

TEST(Nvtx, RangesReachTheAttachedProfilerByDefault) {
  const char* path = getenv("NVTX_INJECTION64_PATH");
  ASSERT_NE(path, nullptr) << "run through ctest";
  rmsjit_options given{};
  given.struct_size = sizeof given;
  const Result<RuntimeOptions> options =
      resolve_options(given, [](const char* name) -> const char* { return getenv(name); });
  ASSERT_TRUE(options.ok()) << options.message();
  ASSERT_TRUE(options->store.trace);
  NormSpec spec;
  spec.hidden = 64;
  {
    const TraceRange outer(options->store.trace, "compile", spec);
    const TraceRange inner(options->store.trace, "load", spec);
  }
  void* profiler = dlopen(path, RTLD_NOW);
  ASSERT_NE(profiler, nullptr) << dlerror();
  const auto ranges =
      reinterpret_cast<const char* (*)()>(dlsym(profiler, "rmsjit_stub_nvtx_ranges"));
  const auto depth = reinterpret_cast<int (*)()>(dlsym(profiler, "rmsjit_stub_nvtx_depth"));
  EXPECT_STREQ(ranges(), "0 rmsjit compile hidden=64,x=bf16\n1 rmsjit load hidden=64,x=bf16\n");
  EXPECT_EQ(depth(), 0);
}

TEST(Nvtx, WithoutAProfilerThereIsNoTrace) {
  rmsjit_options given{};
  given.struct_size = sizeof given;
  const Result<RuntimeOptions> options =
      resolve_options(given, [](const char*) -> const char* { return nullptr; });
  ASSERT_TRUE(options.ok()) << options.message();
  EXPECT_FALSE(options->store.trace);
}

}  // namespace
}  // namespace rmsjit
