// SPDX-License-Identifier: Apache-2.0
#include "runtime/signal_shield.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <thread>

#include "runtime/nvrtc_library.h"
#include "tests/runtime/compiler_fixture.h"
#include "tests/runtime/host_state.h"

namespace rmsjit {
namespace {

const char* const kLibraries[] = {RMSJIT_TEST_FAKE_NVRTC, RMSJIT_TEST_FAKE_NVRTC_BOUND};

std::shared_ptr<const NvrtcLibrary> open_library(const char* path) {
  auto library = NvrtcLibrary::open({path, false, ""});
  EXPECT_TRUE(library.ok()) << library.message();
  return library.ok() ? *library : nullptr;
}

Result<CompiledImage> run(const NvrtcLibrary& library, const std::string& commands) {
  const CompileRequest request = fake_request(commands);
  return library.compile({request.spec_text,
                          request.target_name,
                          request.options,
                          {{"rmsnorm.cu", ""}, {"spec.cuh", request.spec_cuh}}});
}

// A stack limit that leaves room to be lifted.
void lower_stack_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_STACK, &limit);
  limit.rlim_cur = 8u << 20;
  if (limit.rlim_max <= limit.rlim_cur) limit.rlim_cur /= 2;
  setrlimit(RLIMIT_STACK, &limit);
}

TEST(SignalShield, WithoutItTheFakeChangesHandlersAndLimits) {
  for (const char* path : kLibraries) {
    EXPECT_EQ(in_another_host([path] {
                lower_stack_limit();
                const auto library = open_library(path);
                const auto before = host_state();
                if (library == nullptr || !run(*library, "meddle").ok()) return 1;
                const auto after = host_state();
                for (const char* name : {"signal 15", "signal 2", "signal 25", "limit 3"}) {
                  if (before.at(name) == after.at(name)) return 2;
                }
                return 0;
              }),
              0);
  }
}

TEST(SignalShield, WithItNothingOfTheHostChanges) {
  for (const char* path : kLibraries) {
    EXPECT_EQ(in_another_host([path] {
                lower_stack_limit();
                const auto library = open_library(path);
                const auto before = host_state();
                if (library == nullptr || !shield_signals(library->handle(), path).ok()) return 1;
                if (!run(*library, "meddle").ok()) return 2;
                return host_state() == before ? 0 : 3;
              }),
              0)
        << path;
  }
}

TEST(SignalShield, TheHostItselfMayStillChangeItsHandlers) {
  EXPECT_EQ(in_another_host([] {
              const auto library = open_library(RMSJIT_TEST_FAKE_NVRTC);
              if (library == nullptr || !shield_signals(library->handle(), "").ok()) return 1;
              signal(SIGTERM, SIG_IGN);
              if (!run(*library, "meddle").ok()) return 3;
              struct sigaction now {};
              sigaction(SIGTERM, nullptr, &now);
              return now.sa_handler == SIG_IGN ? 0 : 2;
            }),
            0);
}

TEST(SignalShield, ManyThreadsMayRaiseItAtOnceAndAgain) {
  for (const char* path : kLibraries) {
    const auto library = open_library(path);
    ASSERT_NE(library, nullptr);
    const auto before = host_state();
    std::atomic<int> good{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        if (shield_signals(library->handle(), path).ok() && run(*library, "meddle").ok()) ++good;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(good, 8);
    EXPECT_EQ(host_state(), before);
  }
}

}  // namespace
}  // namespace rmsjit
