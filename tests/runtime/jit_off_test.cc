// SPDX-License-Identifier: Apache-2.0
// With JIT off NVRTC is not entered: no such library is opened and no process started. The
// functions that could do it are interposed and counted.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <spawn.h>

#include <cstring>

#include "rmsjit/rmsjit.h"
#include "tests/runtime/runtime_fixture.h"

namespace {
int nvrtc_opened = 0;
int processes_started = 0;

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}
}  // namespace

extern "C" {
void* dlopen(const char* name, int flags) noexcept {
  if (name != nullptr && std::strstr(name, "nvrtc") != nullptr) ++nvrtc_opened;
  return real<decltype(dlopen)>("dlopen")(name, flags);
}
int posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                const posix_spawnattr_t* attributes, char* const argv[],
                char* const envp[]) noexcept {
  ++processes_started;
  return real<decltype(posix_spawn)>("posix_spawn")(pid, path, actions, attributes, argv, envp);
}
pid_t fork() noexcept {
  ++processes_started;
  return real<decltype(fork)>("fork")();
}
}

namespace rmsjit {
namespace {

class JitOff : public RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    ASSERT_TRUE(make_runtime(on_disk()).precompile(spec_of("hidden=64"), {90, false}).ok());
    RuntimeOptions bundle = on_disk();
    bundle.store.cache_dir = dir_.path("bundle");
    ASSERT_TRUE(make_runtime(bundle).precompile(spec_of("hidden=65"), {90, false}).ok());
    options_.cache = Options::CacheDir::kGiven;
    options_.cache_dir = dir_.path("cache");
    options_.bundle_path = dir_.path("bundle");
    options_.nvrtc = RMSJIT_TEST_FAKE_NVRTC;
    options_.worker = RMSJIT_TEST_WORKER;
    nvrtc_opened = processes_started = 0;
  }
  Runtime make(int32_t jit, int32_t compile) {
    options_.jit = jit;
    options_.compile = compile;
    Result<Runtime> runtime = Runtime::create(options_);
    if (!runtime.ok()) ADD_FAILURE() << runtime.message();
    return std::move(runtime).value();
  }
  Options options_;
};

TEST_F(JitOff, BundleAndDiskServeAndNvrtcIsNotEntered) {
  for (const int32_t compile : {RMSJIT_COMPILE_INPROCESS, RMSJIT_COMPILE_WORKER}) {
    Runtime runtime = make(RMSJIT_JIT_OFF, compile);
    EXPECT_STREQ(runtime.prepare("hidden=64", 0)->info().origin, "cache");
    EXPECT_STREQ(runtime.prepare("hidden=65", 0)->info().origin, "bundle");
    EXPECT_EQ(runtime.prepare("hidden=66", 0).code(), StatusCode::kJitDisabled);
    EXPECT_EQ(runtime.precompile(spec_of("hidden=66"), "compute_90").code(),
              StatusCode::kJitDisabled);
    EXPECT_EQ(runtime.stats().compiles, 0u);
    EXPECT_EQ(runtime.stats().compile_failures, 0u);
  }
  EXPECT_EQ(nvrtc_opened, 0);
  EXPECT_EQ(processes_started, 0);
}

TEST_F(JitOff, TheInterpositionSeesACompile) {
  Runtime in_process = make(RMSJIT_JIT_ON, RMSJIT_COMPILE_INPROCESS);
  EXPECT_TRUE(in_process.precompile(spec_of("hidden=66"), "compute_90").ok());
  EXPECT_GT(nvrtc_opened, 0);
  EXPECT_EQ(processes_started, 0);
  Runtime in_worker = make(RMSJIT_JIT_ON, RMSJIT_COMPILE_WORKER);
  EXPECT_TRUE(in_worker.precompile(spec_of("hidden=67"), "compute_90").ok());
  EXPECT_GT(processes_started, 0);
}

TEST_F(JitOff, AMissNamesItsKeyEveryPlaceTheReasonAndTheSpec) {
  options_.bundle_path += ":" + dir_.path("absent");
  Runtime runtime = make(RMSJIT_JIT_OFF, RMSJIT_COMPILE_WORKER);
  const Status miss = runtime.prepare("hidden=66,residual=add", 0).status();
  const KernelId id = *KernelId::make(spec_of("hidden=66,residual=add"), {90, false});
  const std::string parts[] = {id.cache_key(13).digest().hex(), "\"hidden=66,x=bf16,residual=add\"",
                               dir_.path("bundle") + " (no entry)",
                               dir_.path("cache") + " (no entry)",
                               dir_.path("absent") + " (cannot be opened: "};
  for (const std::string& part : parts) {
    EXPECT_NE(miss.message().find(part), std::string::npos) << part << "\n" << miss.message();
  }
}

}  // namespace
}  // namespace rmsjit
