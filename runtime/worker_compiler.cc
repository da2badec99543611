// SPDX-License-Identifier: Apache-2.0
// WorkerCompiler: compiles in worker processes, and in this process behind the signal shield where
// no worker can be started (noexec, seccomp, not installed). A compile that fails in a worker is
// never repeated inside: what killed a worker would kill the host.
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "runtime/compile_job.h"
#include "runtime/compiler.h"
#include "runtime/compiler_errors.h"
#include "runtime/no_cancel.h"
#include "runtime/nvrtc_search.h"
#include "runtime/worker_pool.h"

namespace rmsjit {
namespace {

int default_jobs() {
  cpu_set_t cores;
  const bool known = sched_getaffinity(0, sizeof cores, &cores) == 0;
  return std::clamp(known ? CPU_COUNT(&cores) : 1, 1, 8);
}

class WorkerCompiler : public Compiler {
 public:
  explicit WorkerCompiler(const CompilerOptions& options)
      : options_(options), inside_(make_inprocess_compiler(options)) {}

  ~WorkerCompiler() override {
    const NoCancel no_cancel;
    WorkerPool* pool = pool_.load();
    if (pool != nullptr && pool->owner() == getpid()) delete pool;
  }

  Result<CompilerIdentity> identity() override {
    const NoCancel no_cancel;
    auto identity = pool().identity();
    if (!identity.ok() && stay_inside(identity.status())) return inside_->identity();
    return identity;
  }

  Result<CompiledImage> compile(const CompileRequest& request) override {
    const NoCancel no_cancel;
    auto worker = pool().take();
    if (!worker.ok()) {
      return stay_inside(worker.status()) ? inside_->compile(request) : worker.status();
    }
    auto image = (*worker)->compile(make_job(request), options_.timeout_ms);
    pool().give_back(std::move(*worker));
    return image;
  }

 private:
  // A child forked from the host gets a pool of its own: the workers are the parent's, and so may
  // be the locks. The parent's pool is left as it is, memory and all.
  WorkerPool& pool() {
    WorkerPool* now = pool_.load();
    while (now == nullptr || now->owner() != getpid()) {
      auto fresh = std::make_unique<WorkerPool>(pool_options());
      if (pool_.compare_exchange_strong(now, fresh.get())) return *fresh.release();
    }
    return *now;
  }

  WorkerPool::Options pool_options() const {
    const std::string folder = own_object_folder();
    return {worker_places(absolute_path(options_.worker), folder),
            NvrtcSearch{absolute_path(options_.nvrtc), false, folder},
            options_.jobs > 0 ? options_.jobs : default_jobs(), options_.worker_idle_ms};
  }

  // Whether `error` of take() leaves the compile to this process.
  bool stay_inside(const Status& error) {
    if (error.code() != StatusCode::kWorkerFailed) return false;
    if (!warned_.exchange(true) && options_.warn) {
      options_.warn(compiles_stay_inside(error.message()));
    }
    return true;
  }

  const CompilerOptions options_;
  const std::unique_ptr<Compiler> inside_;
  std::atomic<WorkerPool*> pool_{nullptr};
  std::atomic<bool> warned_{false};
};

}  // namespace

std::unique_ptr<Compiler> make_worker_compiler(const CompilerOptions& options) {
  return std::make_unique<WorkerCompiler>(options);
}

}  // namespace rmsjit
