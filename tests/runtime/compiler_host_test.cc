// SPDX-License-Identifier: Apache-2.0
// Hosts with habits: what a process that embeds the compiler may do with its children, its
// descriptors and itself while workers compile for it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <atomic>
#include <thread>

#include "tests/runtime/compiler_fixture.h"
#include "tests/runtime/host_state.h"
#include "tests/runtime/temp_dir.h"

namespace rmsjit {
namespace {

int crash_and_recover(int rounds) {
  const auto compiler = make_worker_compiler(fake_options());
  for (int i = 0; i < rounds; ++i) {
    const auto image = compiler->compile(fake_request("crash"));
    if (image.code() != StatusCode::kWorkerFailed) {
      fprintf(stderr, "%s\n", image.message().c_str());
      return 1;
    }
    if (!compiler->compile(fake_request()).ok()) return 2;
  }
  return 0;
}

TEST(CompilerHost, ThatIgnoresItsChildrensEnd) {
  EXPECT_EQ(in_another_host([] {
              signal(SIGCHLD, SIG_IGN);
              return crash_and_recover(5);
            }),
            0);
  EXPECT_EQ(in_another_host([] {
              struct sigaction action {};
              action.sa_handler = [](int) {};
              action.sa_flags = SA_NOCLDWAIT;
              sigaction(SIGCHLD, &action, nullptr);
              return crash_and_recover(5);
            }),
            0);
}

TEST(CompilerHost, ThatReapsEveryChild) {
  EXPECT_EQ(in_another_host([] {
              std::atomic<bool> stop{false};
              std::thread reaper([&] {
                while (!stop) {
                  if (waitpid(-1, nullptr, WNOHANG) <= 0) usleep(50);
                }
              });
              const int result = crash_and_recover(20);
              stop = true;
              reaper.join();
              return result;
            }),
            0);
}

TEST(CompilerHost, WithItsStandardDescriptorsClosed) {
  EXPECT_EQ(in_another_host([] {
              for (const int fd : {0, 1, 2}) close(fd);
              const int result = crash_and_recover(2);
              for (const int fd : {0, 1, 2}) {
                if (fcntl(fd, F_GETFD) != -1) return 10;
              }
              return result;
            }),
            0);
}

TEST(CompilerHost, WhoseForkedChildCompilesToo) {
  const auto compiler = make_worker_compiler(fake_options());
  const pid_t ours = told_pid(compiler->compile(fake_request()));
  ASSERT_GT(ours, 0);
  EXPECT_EQ(in_another_host([&] {
              const pid_t theirs = told_pid(compiler->compile(fake_request()));
              return theirs > 0 && theirs != ours ? 0 : 1;
            }),
            0);
  EXPECT_EQ(told_pid(compiler->compile(fake_request())), ours);
}

TEST(CompilerHost, ThatForksWhileOthersCompile) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer's allocator keeps the locks of other threads over a fork, so "
                  "that a child may wait for ever in its first allocation";
#endif
  const auto compiler = make_worker_compiler(fake_options());
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      while (!stop) EXPECT_TRUE(compiler->compile(fake_request()).ok());
    });
  }
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(in_another_host([&] { return compiler->compile(fake_request()).ok() ? 0 : 1; }), 0);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

// The worker loses its owner in the middle of a compile that would never end.
TEST(CompilerHost, ThatIsKilledTakesItsWorkerWithIt) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  int told_fd[2];
  ASSERT_EQ(pipe2(told_fd, O_CLOEXEC), 0);
  const pid_t host = fork();
  if (host == 0) {
    const auto compiler = make_worker_compiler(fake_options());
    const pid_t worker = told_pid(compiler->compile(fake_request()));
    if (write(told_fd[1], &worker, sizeof worker) != sizeof worker) _exit(1);
    static_cast<void>(compiler->compile(fake_request("hang")));
    _exit(2);
  }
  pid_t worker = 0;
  ASSERT_EQ(read(told_fd[0], &worker, sizeof worker), static_cast<ssize_t>(sizeof worker));
  ASSERT_GT(worker, 0);
  kill(host, SIGKILL);
  ASSERT_EQ(waitpid(host, nullptr, 0), host);
  int status = 0;
  EXPECT_TRUE(wait_until([&] { return waitpid(worker, &status, WNOHANG) == worker; }));
  close(told_fd[0]);
  close(told_fd[1]);
  prctl(PR_SET_CHILD_SUBREAPER, 0);
}

// As some sandboxes do: no new programs.
bool forbid_exec() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execve, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execveat, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{sizeof filter / sizeof filter[0], filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST(CompilerHost, ThatMayNotStartProgramsCompilesInside) {
  const int result = in_another_host([] {
    if (!forbid_exec()) return 77;
    int warnings = 0;
    CompilerOptions options = fake_options();
    options.warn = [&](const std::string&) { ++warnings; };
    const auto compiler = make_worker_compiler(options);
    const auto before = host_state();
    for (int i = 0; i < 2; ++i) {
      if (told_pid(compiler->compile(fake_request("meddle"))) != getpid()) return 1;
    }
    return host_state() != before ? 2 : warnings == 1 ? 0 : 3;
  });
  if (result == 77) GTEST_SKIP() << "this kernel or container allows no seccomp filter";
  EXPECT_EQ(result, 0);
}

TEST(CompilerHost, OnAFileSystemThatExecutesNothingCompilesInside) {
  const TempDir folder;
  if (mount("none", folder.path().c_str(), "tmpfs", MS_NOEXEC, nullptr) != 0) {
    GTEST_SKIP() << "cannot mount: " << std::generic_category().message(errno);
  }
  const std::string worker = folder.path("rmsjit-worker");
  std::filesystem::copy_file(fake_options().worker, worker);
  EXPECT_EQ(in_another_host([&] {
              CompilerOptions options = fake_options();
              options.worker = worker;
              std::string said;
              options.warn = [&](const std::string& text) { said += text; };
              const auto image = make_worker_compiler(options)->compile(fake_request());
              if (told_pid(image) != getpid()) return 1;
              return said.find("Permission denied") != std::string::npos ? 0 : 2;
            }),
            0);
  EXPECT_EQ(umount(folder.path().c_str()), 0);
}

TEST(CompilerHost, WithNoDescriptorLeftGetsAnErrorAndRecovers) {
  EXPECT_EQ(in_another_host([] {
              CompilerOptions options = fake_options();
              const auto compiler = make_worker_compiler(options);
              std::vector<int> all;
              for (int fd = 0; fd >= 0;) {
                fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
                if (fd >= 0) all.push_back(fd);
              }
              if (compiler->compile(fake_request()).ok()) return 1;
              for (const int fd : all) close(fd);
              const auto image = compiler->compile(fake_request());
              return image.ok() && told_pid(image) != getpid() ? 0 : 2;
            }),
            0);
}

}  // namespace
}  // namespace rmsjit
