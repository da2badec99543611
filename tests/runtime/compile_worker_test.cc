// SPDX-License-Identifier: Apache-2.0
// The worker process and its pool: what a worker inherits, how it is reused and ended, and what
// becomes of a compile whose worker misbehaves.
#include "runtime/compile_worker.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <fstream>
#include <set>
#include <thread>

#include "tests/runtime/compiler_fixture.h"
#include "tests/runtime/host_state.h"

namespace rmsjit {
namespace {

bool alive(pid_t process) { return kill(process, 0) == 0; }

TEST(CompileWorker, CompilesInAProcessGroupOfItsOwn) {
  const auto compiler = make_worker_compiler(fake_options());
  const auto identity = compiler->identity();
  ASSERT_TRUE(identity.ok()) << identity.message();
  EXPECT_EQ(identity->major, 13);
  EXPECT_EQ(identity->path, RMSJIT_TEST_FAKE_NVRTC);
  EXPECT_EQ(identity->supported_sm, (std::vector<int>{80, 90}));
  const auto image = compiler->compile(fake_request());
  ASSERT_TRUE(image.ok()) << image.message();
  EXPECT_NE(told_pid(image), getpid());
  EXPECT_EQ(told(image->image, "group"), told(image->image, "pid"));
  EXPECT_EQ(image->nvrtc_version, "13.0");
}

TEST(CompileWorker, InheritsNothingFromItsHost) {
  const int leaky = open("/dev/zero", O_RDONLY);  // no O_CLOEXEC on purpose
  const int leaky_high = fcntl(leaky, F_DUPFD, 200);
  setenv("RMSJIT_TEST_SECRET", "1", 1);
  sigset_t blocked, before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigaddset(&blocked, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const auto old_handler = signal(SIGHUP, SIG_IGN);
  const auto image = make_worker_compiler(fake_options())->compile(fake_request());
  signal(SIGHUP, old_handler);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  close(leaky);
  close(leaky_high);
  ASSERT_TRUE(image.ok()) << image.message();
  const std::string& text = image->image;
  // Descriptors: 0 to 2, and the worker's own event descriptor.
  for (const int number : {0, 1, 2, 3, 4, 200}) {
    const std::string line = "//fd=" + std::to_string(number) + "\n";
    EXPECT_EQ(text.find(line) != std::string::npos, number <= 3) << text;
  }
  EXPECT_EQ(text.find("SECRET"), std::string::npos) << text;
  // Signals 32 and 33 belong to the C library; whoever ignores them, it cannot put them back.
  const size_t ignored = text.find("//SigIgn:\t");
  ASSERT_NE(ignored, std::string::npos);
  EXPECT_EQ(strtoull(text.c_str() + ignored + 11, nullptr, 16) & ~0x180000000ull, 0u) << text;
  EXPECT_EQ(told(text, "cwd"), "/");
}

// Read while it is idle: during a compile its main thread blocks signals for a moment.
TEST(CompileWorker, BlocksNoSignalThatItsHostBlocked) {
  sigset_t blocked, before;
  sigfillset(&blocked);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const auto worker = CompileWorker::start(RMSJIT_TEST_WORKER, {RMSJIT_TEST_FAKE_NVRTC, false, ""});
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(worker.ok()) << worker.message();
  std::ifstream status("/proc/" + std::to_string((*worker)->process()) + "/status");
  std::string line;
  while (std::getline(status, line) && line.rfind("SigBlk", 0) != 0) {
  }
  EXPECT_EQ(line, "SigBlk:\t0000000000000000");
}

TEST(CompileWorker, IsReusedAndEndsWhenIdleLeavingNoZombie) {
  CompilerOptions options = fake_options();
  options.worker_idle_ms = 300;
  const auto compiler = make_worker_compiler(options);
  const pid_t first = told_pid(compiler->compile(fake_request()));
  ASSERT_GT(first, 0);
  EXPECT_EQ(told_pid(compiler->compile(fake_request())), first);
  EXPECT_TRUE(has_children());
  EXPECT_TRUE(wait_until([] { return !has_children(); }));
  EXPECT_FALSE(alive(first));
  const pid_t second = told_pid(compiler->compile(fake_request()));
  EXPECT_GT(second, 0);
  EXPECT_NE(second, first);
}

TEST(CompileWorker, EndsWithItsOwner) {
  auto compiler = make_worker_compiler(fake_options());
  const pid_t process = told_pid(compiler->compile(fake_request()));
  EXPECT_TRUE(alive(process));
  compiler.reset();
  EXPECT_FALSE(alive(process));
  EXPECT_FALSE(has_children());
}

TEST(CompileWorker, NoMoreThanJobsLiveAtOnce) {
  const auto compiler = make_worker_compiler(fake_options());  // 2 jobs
  std::mutex mutex;
  std::set<pid_t> processes;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const pid_t process = told_pid(compiler->compile(fake_request("sleep 30")));
      const std::lock_guard<std::mutex> lock(mutex);
      processes.insert(process);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(processes.size(), 2u);
  EXPECT_EQ(processes.count(-1), 0u);
}

struct Misdeed {
  const char* command;
  const char* said;  // part of the message
};

TEST(CompileWorker, EveryMisdeedIsATypedErrorAndTheNextCompileWorks) {
  const auto compiler = make_worker_compiler(fake_options());
  for (const Misdeed& misdeed :
       {Misdeed{"crash", "signal 11"}, Misdeed{"killed", "signal 9"}, Misdeed{"memory", "ended"},
        Misdeed{"exit 7", "exit code 7"}, Misdeed{"cut", "exit code 0"},
        Misdeed{"garbage", "something else than a reply"},
        Misdeed{"frame", "something else than a reply"}}) {
    const auto image = compiler->compile(fake_request(misdeed.command));
    EXPECT_EQ(image.code(), StatusCode::kWorkerFailed) << misdeed.command;
    EXPECT_NE(image.message().find(misdeed.said), std::string::npos) << image.message();
    const auto next = compiler->compile(fake_request());
    EXPECT_TRUE(next.ok()) << misdeed.command << ": " << next.message();
  }
}

TEST(CompileWorker, ACompileErrorIsNoMisdeedAndTheWorkerStays) {
  const auto compiler = make_worker_compiler(fake_options());
  const pid_t process = told_pid(compiler->compile(fake_request()));
  const auto image = compiler->compile(fake_request("error"));
  EXPECT_EQ(image.code(), StatusCode::kCompileFailed);
  EXPECT_NE(image.message().find("as asked"), std::string::npos) << image.message();
  EXPECT_EQ(told_pid(compiler->compile(fake_request())), process);
}

TEST(CompileWorker, PastTheDeadlineItIsKilledEvenWhenStopped) {
  CompilerOptions options = fake_options();
  options.timeout_ms = 300;
  const auto compiler = make_worker_compiler(options);
  for (const char* command : {"hang", "stop"}) {
    const auto start = std::chrono::steady_clock::now();
    const auto image = compiler->compile(fake_request(command));
    EXPECT_EQ(image.code(), StatusCode::kWorkerFailed) << command;
    EXPECT_NE(image.message().find("deadline of 300 ms"), std::string::npos) << image.message();
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
    EXPECT_FALSE(has_children());
  }
}

TEST(CompileWorker, OneThatWasKilledWhileIdleIsReplacedUnnoticed) {
  const auto compiler = make_worker_compiler(fake_options());
  const pid_t first = told_pid(compiler->compile(fake_request()));
  ASSERT_GT(first, 0);
  kill(first, SIGKILL);
  siginfo_t info;
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(first), &info, WEXITED | WNOWAIT), 0);
  const auto image = compiler->compile(fake_request());
  ASSERT_TRUE(image.ok()) << image.message();
  EXPECT_NE(told_pid(image), first);
}

TEST(CompileWorker, NoDescriptorIsLeftBehind) {
  const auto before = open_descriptors();
  {
    const auto compiler = make_worker_compiler(fake_options());
    for (int i = 0; i < 20; ++i) {
      for (const char* command : {"", "crash", "garbage", "error"}) {
        const auto image = compiler->compile(fake_request(command));
        EXPECT_EQ(image.ok(), command[0] == '\0') << image.message();
      }
    }
    EXPECT_LE(open_descriptors().size(), before.size() + 2);
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(CompileWorker, WithNoNvrtcTheErrorListsThePlacesAndNothingIsWarned) {
  CompilerOptions options = fake_options();
  options.nvrtc = "/nowhere/libnvrtc.so.13";
  int warnings = 0;
  options.warn = [&](const std::string&) { ++warnings; };
  const auto image = make_worker_compiler(options)->compile(fake_request());
  EXPECT_EQ(image.code(), StatusCode::kCompilerUnavailable);
  EXPECT_NE(image.message().find("/nowhere/libnvrtc.so.13: no such file"), std::string::npos);
  EXPECT_EQ(warnings, 0);
}

class NoWorker : public ::testing::TestWithParam<const char*> {};

TEST_P(NoWorker, CompilesStayInsideAndThisIsSaidOnce) {
  CompilerOptions options = fake_options();
  options.worker = GetParam();
  std::vector<std::string> warnings;
  options.warn = [&](const std::string& text) { warnings.push_back(text); };
  const auto compiler = make_worker_compiler(options);
  EXPECT_TRUE(compiler->identity().ok());
  const auto before = host_state();
  for (int i = 0; i < 3; ++i) {
    const auto image = compiler->compile(fake_request("meddle"));
    ASSERT_TRUE(image.ok()) << image.message();
    EXPECT_EQ(told_pid(image), getpid());
  }
  EXPECT_EQ(host_state(), before);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find(GetParam()), std::string::npos) << warnings[0];
  EXPECT_FALSE(has_children());
}
// Missing, not executable (as on a noexec mount), and a program that is no worker.
INSTANTIATE_TEST_SUITE_P(Places, NoWorker,
                         ::testing::Values("/nowhere/rmsjit-worker", "/etc/passwd", "/bin/true"));

}  // namespace
}  // namespace rmsjit
