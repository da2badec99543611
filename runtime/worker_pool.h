// SPDX-License-Identifier: Apache-2.0
// WorkerPool: a bounded number of worker processes, reused, and ended after some idle time. A
// keeper thread lives while there are idle workers; it ends them in time and leaves no zombie.
// Thread-safe, except that a child forked from its owner must not use it (owner()).
#ifndef RMSJIT_WORKER_POOL_H_
#define RMSJIT_WORKER_POOL_H_

#include <pthread.h>
#include <sys/types.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "rmsjit/status.h"
#include "runtime/compile_worker.h"
#include "runtime/nvrtc_search.h"

namespace rmsjit {

class WorkerPool {
 public:
  struct Options {
    std::vector<std::string> worker_places;  // the first that can be started is used
    NvrtcSearch nvrtc;
    int jobs = 1;
    int idle_ms = 10000;
  };
  explicit WorkerPool(Options options);
  ~WorkerPool();  // requires: no worker is taken
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // The process that made it.
  pid_t owner() const { return owner_; }

  // Of the first worker that was started; asks for none after that. Errors: those of take().
  Result<CompilerIdentity> identity();
  // A worker for the caller alone, to be given back; waits while `jobs` of them are taken.
  // Errors: kWorkerFailed, none can be started, with every place tried; kCompilerUnavailable.
  Result<std::unique_ptr<CompileWorker>> take();
  void give_back(std::unique_ptr<CompileWorker> worker);

 private:
  struct Idle {
    std::unique_ptr<CompileWorker> worker;
    Deadline until;
  };
  std::unique_ptr<CompileWorker> take_idle();
  Result<std::unique_ptr<CompileWorker>> start() const;
  void keep();
  bool start_keeper();

  const Options options_;
  const pid_t owner_;
  std::mutex mutex_;
  std::condition_variable slot_free_, keeper_wakes_;
  std::optional<CompilerIdentity> identity_;
  int taken_ = 0;
  bool closing_ = false;
  bool keeper_running_ = false, keeper_joinable_ = false;
  pthread_t keeper_{};
  std::vector<Idle> idle_;  // oldest first
};

}  // namespace rmsjit

#endif  // RMSJIT_WORKER_POOL_H_
