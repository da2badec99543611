// SPDX-License-Identifier: Apache-2.0
#include "tests/soak/siege.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "rmsjit/spec_text.h"
#include "runtime/kernel_store.h"
#include "tests/runtime/stub_driver/stub_driver.h"

namespace rmsjit::soak {
namespace {

constexpr int kTick_ms = 10;
constexpr int64_t kHang_ticks = 12000;  // far beyond a lock wait, a compile and a stop together
constexpr int64_t kEnd_ms = 120000;

// No key is both a real compiler's and a made one's: a key does not say who compiled it, so an
// entry that the saboteur carries from one cache to the other would rightly serve, with the other
// image.
std::vector<KernelId> kernels(bool real) {
  std::vector<KernelId> ids;
  for (int i = 0; i < (real ? 8 : 64); ++i) {
    const char* extra[] = {"", ",residual=add", ",x=f16", ",weight=f32"};
    const int hidden = (real ? 72 : 64) + 40 * (i / 4);
    const std::string text = fmt::format("hidden={}{}", hidden, extra[i % 4]);
    ids.push_back(*KernelId::make(*parse_spec(text), {90, false}));
  }
  return ids;
}

// What is right, from a compiler asked directly; empty where there is none.
Work make_work(bool real, Counts& counts) {
  Work work{kernels(real), {}};
  const auto compiler = make_compiler(real, counts);
  for (const KernelId& id : work.kernels) {
    if (!real) {
      const std::string image = fake_image(make_compile_request(id));
      work.images.push_back(stub::image_hash(image.c_str()));
      continue;
    }
    const Result<CompiledImage> compiled = compiler->compile(make_compile_request(id));
    if (!compiled.ok()) return {};
    work.images.push_back(stub::image_hash(compiled->image.c_str()));
  }
  return work;
}

std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> children;
  const std::string folder = fmt::format("/proc/{}/task", parent);
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator(folder, error)) {
    std::ifstream in(task.path() / "children");
    for (pid_t child = 0; in >> child;) children.push_back(child);
  }
  return children;
}

}  // namespace

Siege::Siege(const Plan& plan, Shared& shared, const std::string& root)
    : plan_(plan), shared_(shared), root_(root), random_(plan.seed) {
  for (int i = 0; i < plan.processes; ++i) {
    swarms_.push_back({root + "/cache", root + "/bundle", {}, plan.threads, false, i == 0});
    swarms_.back().work = make_work(false, shared.counts);
  }
  Swarm real{root + "/nvrtc", root + "/bundle13", make_work(true, shared.counts), 2, true, false};
  if (real.work.kernels.empty()) {
    fmt::print(stderr, "no NVRTC: every compile is a made one\n");
  } else {
    swarms_.push_back(std::move(real));
  }
  pids_.resize(swarms_.size());
  stopped_until_.resize(swarms_.size());
  shared.counts.compiles = 0;
}

int Siege::run() {
  Saboteur saboteur({root_ + "/cache", root_ + "/bundle", root_ + "/nvrtc"}, plan_.seed);
  const int64_t end = now_ms() + plan_.seconds * int64_t{1000};
  for (size_t i = 0; i < swarms_.size(); ++i) start(i);
  while (now_ms() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(kTick_ms));
    ++shared_.counts.ticks;
    if (random_() % 5 == 0) saboteur.act();
    if (random_() % 50 == 0) refill();
    if (random_() % 40 == 0) strike();
    look_after();
  }
  finish();
  return report(saboteur.done());
}

void Siege::start(size_t i) {
  for (std::atomic<int64_t>& beat : shared_.members[i].beat) beat = INT64_MAX;
  const unsigned seed = static_cast<unsigned>(random_());
  const pid_t siege = getpid();
  pids_[i] = fork();
  if (pids_[i] != 0) return;
  // Whoever ends the siege, a test's time limit say, ends the swarm with it, stopped or not.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != siege) _exit(1);
  _exit(live(swarms_[i], seed, shared_.members[i], shared_.counts));
}

// The bundle is filled as an operator would do it, one kernel at a time.
void Siege::refill() {
  StoreOptions options{.cache_dir = root_ + "/bundle", .lock_wait_ms = 0};
  KernelStore store(options, std::make_unique<FakeCompiler>(log_));
  const Work& work = swarms_[0].work;
  (void)store.acquire(work.kernels[random_() % work.kernels.size()], {13, 12}).ok();
}

// Kills or stops a process that is not the steady one, or a compile worker.
void Siege::strike() {
  const size_t i = 1 + random_() % (swarms_.size() - 1);
  if (stopped_until_[i] != 0) return;
  const unsigned dice = random_() % 10;
  if (swarms_[i].real_compiler && dice < 6) {
    for (const pid_t worker : children_of(pids_[i])) workers_killed_ += kill(worker, SIGKILL) == 0;
  } else if (dice < 5) {
    kill(pids_[i], SIGKILL);
    waitpid(pids_[i], nullptr, 0);
    ++killed_;
    start(i);
  } else if (dice < 8) {
    kill(pids_[i], SIGSTOP);
    stopped_until_[i] = now_ms() + static_cast<int64_t>(random_() % 4000);
    ++stopped_;
  }
}

void Siege::look_after() {
  for (size_t i = 0; i < swarms_.size(); ++i) {
    if (stopped_until_[i] != 0 && now_ms() > stopped_until_[i]) {
      kill(pids_[i], SIGCONT);
      stopped_until_[i] = 0;
    }
    int status = 0;
    if (waitpid(pids_[i], &status, WNOHANG) == pids_[i]) {
      fmt::print(stderr, "a process ended by itself, status {}\n", status);
      ++crashes_;
      start(i);
    }
    for (std::atomic<int64_t>& beat : shared_.members[i].beat) {
      const int64_t ticks = shared_.counts.ticks;
      if (ticks - std::min<int64_t>(beat, ticks) < kHang_ticks) continue;
      fmt::print(stderr, "a thread of process {} hangs\n", pids_[i]);
      ++hangs_;
      beat = INT64_MAX;
    }
  }
}

void Siege::finish() {
  shared_.counts.stop = true;
  const int64_t end = now_ms() + kEnd_ms;
  for (size_t i = 0; i < swarms_.size(); ++i) {
    kill(pids_[i], SIGCONT);
    int status = 0;
    while (waitpid(pids_[i], &status, WNOHANG) == 0 && now_ms() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    if (kill(pids_[i], 0) != 0) {
      crashes_ += status != 0;
      continue;
    }
    ++hangs_;
    kill(pids_[i], SIGKILL);
    waitpid(pids_[i], nullptr, 0);
  }
  // Every process of ours is gone; so must every worker of theirs, which end with their owners.
  while (!children_of(getpid()).empty() && now_ms() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }
  shared_.counts.leaks += static_cast<int64_t>(children_of(getpid()).size());
}

int Siege::report(const Misdeeds& misdeeds) {
  const Counts& c = shared_.counts;
  fmt::print(
      "soak: {} s, {} processes x {} threads{}: {} launches in {} runtimes, {} compiles, "
      "{} faults ({} killed, {} stopped, {} workers killed, {} damaged, {} replaced, "
      "{} removed, {} unhinged, {} prunes, {} clears), {} compiles lost with their worker; "
      "{} wrong results, {} failed launches, {} crashes, {} hangs, {} leaks\n",
      plan_.seconds, plan_.processes, plan_.threads,
      static_cast<int>(swarms_.size()) > plan_.processes ? " and one with NVRTC" : "",
      c.launches.load(), c.rounds.load(), c.compiles.load(),
      killed_ + stopped_ + workers_killed_ + misdeeds.total(), killed_, stopped_, workers_killed_,
      misdeeds.damaged, misdeeds.replaced, misdeeds.removed, misdeeds.unhinged, misdeeds.pruned,
      misdeeds.cleared, c.workers_lost.load(), c.wrong.load(), c.failed.load(), crashes_, hangs_,
      c.leaks.load());
  const bool good = c.launches > 0 && c.wrong + c.failed + crashes_ + hangs_ + c.leaks == 0;
  return good ? 0 : 1;
}

}  // namespace rmsjit::soak
