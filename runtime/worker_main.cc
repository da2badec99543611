// SPDX-License-Identifier: Apache-2.0
// rmsjit-worker: compiles for the process at the other end of its standard input, a socket, until
// that closes, falls silent or a compile runs past its deadline. It exists because NVRTC takes over
// signals, limits and memory of the process that it runs in.
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

#include "runtime/compiler_errors.h"
#include "runtime/nvrtc_library.h"
#include "runtime/worker_protocol.h"

namespace {

using namespace rmsjit;

constexpr int kSocket = 0;
constexpr int kIdleMs = 60000;  // the owner ends an idle worker sooner
constexpr int kExitUsage = 2, kExitDeadline = 3, kExitOwnerGone = 4, kExitProtocol = 5;

// Whatever the host had open without O_CLOEXEC.
void close_inherited() {
#ifdef SYS_close_range
  if (syscall(SYS_close_range, 3U, ~0U, 0U) == 0) return;
#endif
  rlimit limit{};
  const bool known = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 1 << 20;
  for (int fd = 3; fd < (known ? static_cast<int>(limit.rlim_cur) : 1 << 20); ++fd) close(fd);
}

// When memory runs out this process should go, not its owner; and it leaves no core file.
void become_expendable() {
  const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd >= 0) {
    if (write(fd, "1000", 4) != 4) fprintf(stderr, "oom_score_adj stays as it is\n");
    close(fd);
  }
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  if (chdir("/") != 0) fprintf(stderr, "the folder stays as it is\n");
}

// Ends the process when the owner goes away or the deadline passes while NVRTC is busy.
class Watch {
 public:
  explicit Watch(int deadline_ms) : done_(eventfd(0, EFD_CLOEXEC)) {
    thread_ = std::thread([this, deadline_ms] {
      pollfd entries[] = {{kSocket, POLLRDHUP, 0}, {done_, POLLIN, 0}};
      if (poll(entries, 2, deadline_ms) == 0) _exit(kExitDeadline);
      if (entries[0].revents != 0) _exit(kExitOwnerGone);
    });
  }
  ~Watch() {
    const uint64_t one = 1;
    if (write(done_, &one, sizeof one) != sizeof one) _exit(kExitProtocol);
    thread_.join();
    close(done_);
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  const int done_;
  std::thread thread_;
};

class Session {
 public:
  Message answer(const Message& question) {
    if (question.kind == MessageKind::kOpen) return open(question);
    const Result<CompileOrder> order = to_order(question);
    if (!order.ok()) return to_message(order.status());
    if (library_ == nullptr) return to_message(bad_message("compile before open, kind", 2));
    const Watch watch(order->deadline_ms);
    const Result<CompiledImage> image = library_->compile(order->job);
    return image.ok() ? to_message(*image) : to_message(image.status());
  }

 private:
  Message open(const Message& question) {
    const Result<NvrtcSearch> search = to_search(question);
    if (!search.ok()) return to_message(search.status());
    auto library = NvrtcLibrary::open(*search);
    if (!library.ok()) return to_message(library.status());
    library_ = *library;
    return to_message(library_->identity());
  }

  std::shared_ptr<const NvrtcLibrary> library_;
};

Deadline from_now(int ms) {
  return std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
}

}  // namespace

int main() {
  int type = 0;
  socklen_t length = sizeof type;
  if (getsockopt(kSocket, SOL_SOCKET, SO_TYPE, &type, &length) != 0) {
    fprintf(stderr, "rmsjit-worker is started by librmsjit, which talks to it over a socket\n");
    return kExitUsage;
  }
  close_inherited();
  become_expendable();
  Session session;
  for (;;) {
    Message question;
    const Transfer got = receive_message(kSocket, &question, from_now(kIdleMs));
    if (got == Transfer::kMalformed) _exit(kExitProtocol);
    if (got != Transfer::kDone) _exit(0);
    // _exit: NVRTC's exit handlers have nothing to do and have been seen to hang.
    if (send_message(kSocket, session.answer(question), from_now(kIdleMs)) != Transfer::kDone) {
      _exit(kExitOwnerGone);
    }
  }
}
