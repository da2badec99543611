// SPDX-License-Identifier: Apache-2.0
// What is the host's own: its signals, limits, locale, folder, rounding and cancel state are the
// same before, during and after every call of either compiler, and its signals reach it.
#include <fenv.h>
#include <gtest/gtest.h>
#include <langinfo.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <thread>

#include "tests/runtime/compiler_fixture.h"
#include "tests/runtime/host_state.h"

namespace rmsjit {
namespace {

using MakeCompiler = std::unique_ptr<Compiler> (*)(const CompilerOptions&);
struct Kind {
  const char* name;
  MakeCompiler make;
};
void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }
class EachCompiler : public ::testing::TestWithParam<Kind> {
 protected:
  std::unique_ptr<Compiler> make() const { return GetParam().make(fake_options()); }
};
INSTANTIATE_TEST_SUITE_P(Kinds, EachCompiler,
                         ::testing::Values(Kind{"worker", make_worker_compiler},
                                           Kind{"inprocess", make_inprocess_compiler}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(EachCompiler, LeavesTheStateOfItsHostAsItWas) {
  const auto host = [this] {
    signal(SIGUSR1, [](int) {});
    signal(SIGPIPE, SIG_IGN);
    setlocale(LC_ALL, "C.UTF-8");
    fesetround(FE_UPWARD);
    if (chdir("/tmp") != 0) return 1;
    const rlimit stack{6u << 20, 64u << 20};
    setrlimit(RLIMIT_STACK, &stack);
    const auto before = host_state();
    {
      const auto compiler = make();
      if (!compiler->identity().ok() || host_state() != before) return 2;
      if (!compiler->compile(fake_request("meddle")).ok() || host_state() != before) return 3;
      if (compiler->compile(fake_request("error")).ok() || host_state() != before) return 4;
    }
    return host_state() == before ? 0 : 5;
  };
  EXPECT_EQ(in_another_host(host), 0);
}

TEST_P(EachCompiler, TheSameImageUnderAnotherLocaleAndRounding) {
  setlocale(LC_ALL, "C.UTF-8");
  fesetround(FE_UPWARD);
  const auto image = make()->compile(fake_request());
  fesetround(FE_TONEAREST);
  setlocale(LC_ALL, "C");
  ASSERT_TRUE(image.ok()) << image.message();
  EXPECT_EQ(told(image->image, "decimal"), ".");
  EXPECT_EQ(told(image->image, "codeset"), nl_langinfo(CODESET)) << "that of the C locale";
  EXPECT_EQ(told(image->image, "rounding"), std::to_string(FE_TONEAREST));
}

// The host's handlers run on the host's own threads; its crash handler may run on any.
TEST_P(EachCompiler, TheThreadOfACompileTakesNoSignalButAFault) {
  const auto image = make()->compile(fake_request());
  ASSERT_TRUE(image.ok()) << image.message();
  const uint64_t blocked = std::stoull(told(image->image, "blocked"), nullptr, 16);
  const auto blocks = [&](int number) { return (blocked >> (number - 1) & 1) != 0; };
  for (const int number : {SIGTERM, SIGINT, SIGUSR1, SIGCHLD, SIGALRM}) {
    EXPECT_TRUE(blocks(number)) << number;
  }
  for (const int number : {SIGSEGV, SIGBUS, SIGABRT}) EXPECT_FALSE(blocks(number)) << number;
}

std::atomic<int> g_seen{0};
void count_signal(int) { ++g_seen; }

// 200 signals while compiles meddle with the handlers; each must reach the host's own.
TEST_P(EachCompiler, EverySignalReachesTheHostsOwnHandler) {
  for (const int number : {SIGTERM, SIGINT}) {
    EXPECT_EQ(in_another_host([&] {
                signal(number, count_signal);
                const auto compiler = make();
                std::atomic<bool> stop{false}, failed{false};
                std::thread worker([&] {
                  while (!stop) {
                    if (!compiler->compile(fake_request("meddle\nsleep 1")).ok()) failed = true;
                  }
                });
                bool all = true;
                for (int sent = 1; sent <= 200; ++sent) {
                  kill(getpid(), number);
                  all = wait_until([&] { return g_seen >= sent; }) && all;
                }
                stop = true;
                worker.join();
                return !all ? 1 : failed ? 2 : g_seen == 200 ? 0 : 3;
              }),
              0);
  }
}

// As a terminal does it: the signal goes to the host's whole group.
TEST_P(EachCompiler, CtrlCToTheGroupDoesNotEndACompile) {
  EXPECT_EQ(in_another_host([&] {
              setpgid(0, 0);
              signal(SIGINT, count_signal);
              const auto compiler = make();
              if (!compiler->identity().ok()) return 1;
              std::thread key([] {
                for (int i = 0; i < 10; ++i) {
                  kill(0, SIGINT);
                  usleep(5000);
                }
              });
              const auto image = compiler->compile(fake_request("sleep 100"));
              key.join();
              return !image.ok() ? 2 : g_seen > 0 ? 0 : 3;
            }),
            0);
}

TEST_P(EachCompiler, AThreadThatIsCancelledMeanwhileFinishesTheCompile) {
  const auto compiler = make();
  std::atomic<int> state{0};
  std::thread thread([&] {
    state = 1;
    const auto image = compiler->compile(fake_request("sleep 50"));
    state = image.ok() ? 2 : 3;
  });
  ASSERT_TRUE(wait_until([&] { return state == 1; }));
  pthread_cancel(thread.native_handle());
  ASSERT_TRUE(wait_until([&] { return state >= 2; }));
  EXPECT_EQ(state, 2);
  thread.join();
  EXPECT_TRUE(compiler->compile(fake_request()).ok());
}

}  // namespace
}  // namespace rmsjit
