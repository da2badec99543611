// SPDX-License-Identifier: Apache-2.0
#include "tests/soak/swarm.h"

#include <dirent.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <random>
#include <thread>

#include "rmsjit/spec_c.h"
#include "rmsjit/spec_text.h"
#include "runtime/runtime.h"
#include "tests/runtime/fake_compiler.h"
#include "tests/runtime/stub_driver/stub_driver.h"

namespace rmsjit::soak {
namespace {

constexpr int kLaunchesInARound = 40;  // of a thread; then the runtime is closed and made anew
constexpr int kLongestFakeCompile_us = 20000;
constexpr double kAllowedGrowthMiB = 24;

rmsjit_args args_for(const NormSpec& spec) {
  const auto address = [](int64_t n) { return reinterpret_cast<void*>(n << 40); };
  rmsjit_args args{};
  args.struct_size = sizeof args;
  args.x = address(1);
  args.weight = address(2);
  args.y = address(3);
  args.residual = spec.residual == Residual::kAdd ? address(4) : nullptr;
  args.x_token_stride = args.y_token_stride = args.residual_token_stride = spec.hidden;
  args.tokens = 3;
  args.heads = 1;
  args.eps = 1e-6f;
  return args;
}

// A damaged or untrusted cache never fails a launch; a killed worker may fail one compile.
void launch_one(RuntimeCore& runtime, const Swarm& swarm, size_t which, Counts& counts) {
  const NormSpec& spec = swarm.work.kernels[which].spec;
  const Status status = runtime.launch(to_c(spec), 0, args_for(spec), nullptr);
  if (status.code() == StatusCode::kWorkerFailed && swarm.real_compiler) {
    ++counts.workers_lost;
  } else if (!status.ok()) {
    ++counts.failed;
    fmt::print(stderr, "launch of {} failed: {}\n", spec_text(spec), status.message());
  } else if (stub::control().launched_image() != swarm.work.images[which]) {
    ++counts.wrong;
    fmt::print(stderr, "launch of {}{} ran the image of another key\n", spec_text(spec),
               swarm.real_compiler ? " (NVRTC)" : "");
  } else {
    ++counts.launches;
  }
}

void one_round(const Swarm& swarm, unsigned seed, Member& member, Counts& counts) {
  RuntimeOptions options;
  options.store.cache_dir = swarm.cache_dir;
  options.store.bundle_paths = {swarm.bundle_dir};
  options.store.lock_wait_ms = 2000;
  options.store.retry_ms = 20;
  options.store.cache_max_bytes = 64 << 10;  // so that pruning has work
  RuntimeCore runtime(std::move(options), make_compiler(swarm.real_compiler, counts));
  std::vector<std::thread> threads;
  for (int t = 0; t < swarm.threads; ++t) {
    threads.emplace_back([&, t] {
      std::minstd_rand random(seed * 31 + static_cast<unsigned>(t) + 1);
      for (int i = 0; i < kLaunchesInARound && !counts.stop; ++i) {
        member.beat[t] = counts.ticks.load();
        launch_one(runtime, swarm, random() % swarm.work.kernels.size(), counts);
      }
      member.beat[t] = INT64_MAX;  // done; the others may take longer
    });
  }
  for (std::thread& thread : threads) thread.join();
}

int count_descriptors() {
  int count = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (folder != nullptr && readdir(folder) != nullptr) ++count;
  if (folder != nullptr) closedir(folder);
  return count;
}

double resident_mib() {
  std::ifstream in("/proc/self/statm");
  double pages = 0, resident = 0;
  in >> pages >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

void leak(Counts& counts, const std::string& what) {
  ++counts.leaks;
  fmt::print(stderr, "leak: {}\n", what);
}

// What a process holds between two rounds, when it has no runtime.
class Watch {
 public:
  void look(Counts& counts) {
    const int modules = stub::control().driver->modules;
    if (modules != 0) leak(counts, fmt::format("{} modules stay loaded", modules));
    const int descriptors = count_descriptors();
    if (++looks_ == 3) descriptors_ = descriptors;
    if (looks_ > 3 && descriptors > descriptors_) {
      leak(counts, fmt::format("{} descriptors are open, were {}", descriptors, descriptors_));
      descriptors_ = descriptors;
    }
    if (looks_ == 20) settled_mib_ = resident_mib();
  }
  void look_at_memory(Counts& counts) const {
    if (looks_ <= 20) return;
    const double grown = resident_mib() - settled_mib_;
    fmt::print(stderr, "steady process: {} rounds, {:.1f} MiB more than after 20\n", looks_, grown);
    if (grown > kAllowedGrowthMiB) leak(counts, fmt::format("{:.1f} MiB of memory", grown));
  }

 private:
  int looks_ = 0, descriptors_ = 0;
  double settled_mib_ = 0;
};

class SlowCompiler : public FakeCompiler {
 public:
  SlowCompiler(FakeCompiler::Log& log, Counts& counts)
      : FakeCompiler(log, [&counts](const CompileRequest&) -> Status {
          ++counts.compiles;
          thread_local std::minstd_rand random(static_cast<unsigned>(now_ms()) ^
                                               static_cast<unsigned>(getpid()));
          std::this_thread::sleep_for(std::chrono::microseconds(random() % kLongestFakeCompile_us));
          return {};
        }) {}
};

class CountedCompiler : public Compiler {
 public:
  CountedCompiler(std::unique_ptr<Compiler> compiler, Counts& counts)
      : compiler_(std::move(compiler)), counts_(counts) {}
  Result<CompilerIdentity> identity() override { return compiler_->identity(); }
  Result<CompiledImage> compile(const CompileRequest& request) override {
    ++counts_.compiles;
    return compiler_->compile(request);
  }

 private:
  std::unique_ptr<Compiler> compiler_;
  Counts& counts_;
};

}  // namespace

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::unique_ptr<Compiler> make_compiler(bool real, Counts& counts) {
  static FakeCompiler::Log log;
  if (!real) return std::make_unique<SlowCompiler>(log, counts);
  return std::make_unique<CountedCompiler>(make_worker_compiler({.timeout_ms = 600000, .jobs = 2}),
                                           counts);
}

int live(const Swarm& swarm, unsigned seed, Member& member, Counts& counts) {
  Watch watch;
  for (unsigned round = 0; !counts.stop; ++round) {
    one_round(swarm, seed * 7919 + round, member, counts);
    ++counts.rounds;
    watch.look(counts);
  }
  if (swarm.steady) watch.look_at_memory(counts);
  return 0;
}

}  // namespace rmsjit::soak
