// SPDX-License-Identifier: Apache-2.0
// Starting, asking and ending a worker. The process is only ever waited for and killed by its id,
// and killed only while waitpid says that it is still our child: a host that reaps every child, or
// ignores SIGCHLD, may have freed the id for somebody else's process.
#include "runtime/compile_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/compiler_errors.h"

namespace rmsjit {
namespace {

constexpr int kStartTimeoutMs = 30000;  // opening 110 MB of NVRTC from a slow disk
constexpr int kGraceMs = 5000;          // the owner's deadline comes before the worker's own

// A pair of sockets above the standard descriptors, which a host may have closed.
bool make_pair(int* owner, int* worker) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return false;
  *owner = fcntl(pair[0], F_DUPFD_CLOEXEC, 3);
  *worker = fcntl(pair[1], F_DUPFD_CLOEXEC, 3);
  const int error = errno;
  close(pair[0]);
  close(pair[1]);
  if (*owner >= 0 && *worker >= 0) return true;
  if (*owner >= 0) close(*owner);
  if (*worker >= 0) close(*worker);
  errno = error;
  return false;
}

// 0 or an error number. The socket becomes the child's standard input.
int spawn(const std::string& path, int socket, pid_t* process) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&actions, socket, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  sigdelset(&all, SIGKILL);
  sigdelset(&all, SIGSTOP);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  // Nothing of the host's environment may reach the compiler, except where its libraries lie.
  const char* libraries = secure_getenv("LD_LIBRARY_PATH");
  std::string library_path = std::string("LD_LIBRARY_PATH=") + (libraries ? libraries : "");
  std::string locale = "LC_ALL=C", name = path;
  char* arguments[] = {name.data(), nullptr};
  char* environment[] = {locale.data(), libraries != nullptr ? library_path.data() : nullptr,
                         nullptr};
  const int error =
      posix_spawn(process, path.c_str(), &actions, &attributes, arguments, environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

pid_t wait_for_process(pid_t process, int* status, int flags) {
  pid_t waited;
  do {
    waited = waitpid(process, status, flags);
  } while (waited < 0 && errno == EINTR);
  return waited;
}

std::string describe(int status) {
  if (WIFEXITED(status)) return "ended with exit code " + std::to_string(WEXITSTATUS(status));
  const int number = WTERMSIG(status);
  const char* name = strsignal(number);
  return "was ended by signal " + std::to_string(number) + " (" + (name ? name : "?") + ")";
}

Deadline after_ms(int64_t ms) {
  return std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
}

}  // namespace

Result<std::unique_ptr<CompileWorker>> CompileWorker::start(const std::string& path,
                                                            const NvrtcSearch& search) {
  if (access(path.c_str(), F_OK) != 0) return worker_cannot_start("no such file");
  int owner = -1, other = -1;
  if (!make_pair(&owner, &other)) return worker_cannot_start(errno_text(errno));
  pid_t process = -1;
  const int error = spawn(path, other, &process);
  close(other);
  if (error != 0) {
    close(owner);
    return worker_cannot_start(errno_text(error));
  }
  std::unique_ptr<CompileWorker> worker(new CompileWorker(path, process, owner));
  const Result<Message> reply = worker->ask(to_message(search), kStartTimeoutMs);
  if (!reply.ok()) return worker_cannot_start(reply.message());
  RMSJIT_ASSIGN_OR_RETURN(worker->identity_, to_identity(*reply));
  return worker;
}

CompileWorker::~CompileWorker() { end(); }

Result<Message> CompileWorker::ask(const Message& question, int timeout_ms) {
  const Deadline deadline = after_ms(timeout_ms);
  Transfer transfer = send_message(socket_, question, deadline);
  Message reply;
  if (transfer == Transfer::kDone) transfer = receive_message(socket_, &reply, deadline);
  if (transfer != Transfer::kDone) return fail(transfer, timeout_ms);
  return {std::move(reply)};
}

Status CompileWorker::fail(Transfer transfer, int timeout_ms) {
  const int process = process_;
  const std::string how = end();
  switch (transfer) {
    case Transfer::kTimedOut:
      return worker_timed_out(path_, process, timeout_ms);
    case Transfer::kMalformed:
      return worker_bad_reply(path_, process, "a frame of another protocol");
    default:
      return worker_ended(path_, process, how);
  }
}

Result<CompiledImage> CompileWorker::compile(const CompileJob& job, int timeout_ms) {
  RMSJIT_ASSIGN_OR_RETURN(const Message reply,
                          ask(to_message(CompileOrder{job, timeout_ms + kGraceMs}), timeout_ms));
  Result<CompiledImage> image = to_image(reply);
  if (image.ok() || reply.kind == MessageKind::kError) return image;
  const int process = process_;
  end();
  return worker_bad_reply(path_, process, image.message());
}

bool CompileWorker::usable() const {
  if (process_ < 0) return false;
  pollfd entry{socket_, POLLIN, 0};
  return poll(&entry, 1, 0) == 0;
}

std::string CompileWorker::end() {
  if (socket_ >= 0) {
    shutdown(socket_, SHUT_RDWR);  // also ends a worker whose socket a forked host still holds
    close(socket_);
    socket_ = -1;
  }
  if (process_ < 0) return {};
  int status = 0;
  pid_t waited = wait_for_process(process_, &status, WNOHANG);
  if (waited == 0) {
    kill(process_, SIGKILL);
    waited = wait_for_process(process_, &status, 0);
  }
  const pid_t process = process_;
  process_ = -1;
  return waited == process ? describe(status) : "has ended, and its host has already waited for it";
}

}  // namespace rmsjit
