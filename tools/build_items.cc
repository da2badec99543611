// SPDX-License-Identifier: Apache-2.0
#include "tools/build_items.h"

#include <fmt/format.h>
#include <signal.h>

#include <atomic>
#include <thread>

namespace rmsjit::cli {
namespace {

std::atomic<int> g_interrupted{0};

void on_signal(int number) {
  g_interrupted.store(number);
  signal(number, SIG_DFL);
}

// Handlers for as long as it lives.
class Interrupts {
 public:
  Interrupts() {
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, &old_int_);
    sigaction(SIGTERM, &action, &old_term_);
  }
  ~Interrupts() {
    sigaction(SIGINT, &old_int_, nullptr);
    sigaction(SIGTERM, &old_term_, nullptr);
  }
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

 private:
  struct sigaction old_int_ {
  }, old_term_{};
};

// The store serves a kernel even when it cannot keep it; for a build, not kept is not built.
Status check_kept(const BuildPlan& plan, const CacheKey& key, const Acquired& acquired) {
  const bool refresh = plan.store->options().refresh;
  const Lookup kept = plan.cache->get(key);
  const bool there = kept.kind == Lookup::Kind::kHit;
  if (there && (!refresh || kept.entry == acquired.entry)) return {};
  return refresh ? plan.cache->replace(acquired.entry) : plan.cache->put(acquired.entry);
}

void build_one(const BuildPlan& plan, BuildItem& item) {
  if (const int number = g_interrupted.load()) {
    item.stopped_by = number;
    item.status =
        Status(StatusCode::kTimeout, fmt::format("not tried: stopped by signal {}", number));
    return;
  }
  Result<Acquired> acquired = plan.store->acquire(item.id, {});
  item.status = acquired.status();
  if (!acquired.ok()) return;
  if (acquired->origin == Origin::kCompiled) item.status = check_kept(plan, item.key, *acquired);
  if (item.status.ok()) item.acquired = std::move(*acquired);
}

}  // namespace

void build_items(const BuildPlan& plan, std::vector<BuildItem>& items) {
  const Interrupts interrupts;
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i = next.fetch_add(1); i < items.size(); i = next.fetch_add(1)) {
      build_one(plan, items[i]);
      if (plan.on_done) plan.on_done(items[i]);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 1; i < plan.jobs && size_t(i) < items.size(); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace rmsjit::cli
