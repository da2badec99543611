// SPDX-License-Identifier: Apache-2.0
#include "runtime/worker_pool.h"

#include <unistd.h>

#include <utility>

#include "runtime/compiler_errors.h"
#include "runtime/quiet_thread.h"

namespace rmsjit {

WorkerPool::WorkerPool(Options options) : options_(std::move(options)), owner_(getpid()) {}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
  }
  keeper_wakes_.notify_all();
  if (keeper_joinable_) pthread_join(keeper_, nullptr);
}

Result<CompilerIdentity> WorkerPool::identity() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (identity_) return *identity_;
  }
  RMSJIT_ASSIGN_OR_RETURN(auto worker, take());
  CompilerIdentity identity = worker->identity();
  give_back(std::move(worker));
  const std::lock_guard<std::mutex> lock(mutex_);
  identity_ = identity;
  return identity;
}

Result<std::unique_ptr<CompileWorker>> WorkerPool::take() {
  {
    std::unique_lock<std::mutex> lock(mutex_);
    slot_free_.wait(lock, [this] { return taken_ < options_.jobs; });
    ++taken_;
  }
  if (auto worker = take_idle()) return {std::move(worker)};
  auto started = start();
  if (!started.ok()) give_back(nullptr);
  return started;
}

void WorkerPool::give_back(std::unique_ptr<CompileWorker> worker) {
  if (worker != nullptr && !worker->usable()) worker.reset();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    --taken_;
    if (worker != nullptr && start_keeper()) {
      const auto idle = std::chrono::milliseconds(options_.idle_ms);
      idle_.push_back({std::move(worker), std::chrono::steady_clock::now() + idle});
    }
  }
  slot_free_.notify_one();
}

// The youngest, so that the others age and end. One that died while idle is passed over.
std::unique_ptr<CompileWorker> WorkerPool::take_idle() {
  for (;;) {
    std::unique_ptr<CompileWorker> worker;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (idle_.empty()) return nullptr;
      worker = std::move(idle_.back().worker);
      idle_.pop_back();
    }
    if (worker->usable()) return worker;
  }
}

Result<std::unique_ptr<CompileWorker>> WorkerPool::start() const {
  std::vector<TriedPlace> tried;
  for (const std::string& place : options_.worker_places) {
    auto worker = CompileWorker::start(place, options_.nvrtc);
    if (worker.ok() || worker.code() != StatusCode::kWorkerFailed) return worker;
    tried.push_back({place, worker.message()});
  }
  return worker_not_started(tried);
}

// Requires the lock. Without a keeper no worker may stay idle.
bool WorkerPool::start_keeper() {
  if (keeper_running_) return true;
  if (keeper_joinable_) pthread_join(keeper_, nullptr);  // it has given up the lock for good
  keeper_joinable_ = false;
  const auto run = [](void* pool) -> void* {
    static_cast<WorkerPool*>(pool)->keep();
    return nullptr;
  };
  keeper_running_ = keeper_joinable_ = create_quiet_thread(&keeper_, nullptr, run, this) == 0;
  return keeper_running_;
}

void WorkerPool::keep() {
  std::unique_lock<std::mutex> lock(mutex_);
  bool first = true;  // the worker that it was started for is added under the same lock
  while (!idle_.empty() || first) {
    first = false;
    if (!closing_ && !idle_.empty()) {
      const auto until = idle_.front().until;  // a copy: the list moves while this waits
      keeper_wakes_.wait_until(lock, until);
    }
    std::vector<Idle> spent;
    const auto now = std::chrono::steady_clock::now();
    while (!idle_.empty() && (closing_ || idle_.front().until <= now)) {
      spent.push_back(std::move(idle_.front()));
      idle_.erase(idle_.begin());
    }
    lock.unlock();
    spent.clear();  // waits for the processes
    lock.lock();
  }
  keeper_running_ = false;
}

}  // namespace rmsjit
