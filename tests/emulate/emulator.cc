// SPDX-License-Identifier: Apache-2.0
// A thread that finds a fault yields and is
// never resumed, so nothing here is [[noreturn]]: sanitizers treat the stack of such calls
// specially, and fibers are not what they expect.
#include "tests/emulate/emulator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "tests/emulate/machine.h"

// A thread that stops at a fault leaves its strings on a stack that no leak checker looks at.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }

namespace rmsjit::emulate {
namespace {

std::string text(const Site& site) {
  const char* slash = std::strrchr(site.file, '/');
  return fmt::format("{}:{}", slash == nullptr ? site.file : slash + 1, site.line);
}

void thread_entry() { machine().thread_main(); }

}  // namespace

Machine& machine() {
  static Machine* const kMachine = new Machine;
  return *kMachine;
}

void Machine::fault(std::string what) {
  if (fault_.empty()) {
    fault_ = fmt::format("block {} thread ({}, {}): {}", position_.block_x, position_.thread_x,
                         position_.thread_y, what);
  }
  for (;;) fibers_.yield();
}

void Machine::thread_main() {
  launch_->body(launch_->params, scratch_);
  if (launch_->pdl && !current().waited) fault("ends without the PDL wait");
  current().state = State::kDone;
  ready_.erase(current_);
  ++done_;
  for (;;) fibers_.yield();
}

void Machine::step() {
  if (launch_->schedule == Schedule::kRandomStep) fibers_.yield();
}

void Machine::block_until_ready(State state, Site site) {
  current().state = state;
  current().site = site;
  ready_.erase(current_);
}

void Machine::barrier(Site site) {
  block_until_ready(State::kAtBarrier, site);
  if (++at_barrier_ == thread_count_) release_barrier();
  fibers_.yield();
}

void Machine::release_barrier() {
  for (int i = 0; i < thread_count_; ++i) {
    Thread& thread = threads_[static_cast<size_t>(i)];
    if (!(thread.site == threads_[0].site)) {
      fault(fmt::format("threads 0 and {} are at different barriers: {} and {}", i,
                        text(threads_[0].site), text(thread.site)));
    }
    thread.state = State::kReady;
    ready_.insert(i);
  }
  at_barrier_ = 0;
  shared_.next_epoch();
}

void Machine::release_shuffle(int warp) {
  at_shuffle_[static_cast<size_t>(warp)] = 0;
  Thread* lanes = &threads_[static_cast<size_t>(warp * kWarp)];
  const int mask = current().shuffle_mask;
  if (mask != kUp && (mask <= 0 || mask >= kWarp)) {
    fault(fmt::format("shuffle over lane mask {}", mask));
  }
  for (int lane = 0; lane < kWarp; ++lane) {
    if (!(lanes[lane].site == current().site) || lanes[lane].shuffle_mask != mask) {
      fault(fmt::format("lanes of warp {} are at different shuffles: {} and {}", warp,
                        text(lanes[lane].site), text(current().site)));
    }
    const int source = mask == kUp ? std::max(lane - 1, 0) : lane ^ mask;
    lanes[lane].shuffle_result = lanes[source].shuffle_value;
    lanes[lane].state = State::kReady;
    ready_.insert(warp * kWarp + lane);
  }
}

uint32_t Machine::shuffle(uint32_t value, int mask, Site site) {
  current().shuffle_value = value;
  current().shuffle_mask = mask;
  block_until_ready(State::kAtShuffle, site);
  const int warp = current_ / kWarp;
  if (++at_shuffle_[static_cast<size_t>(warp)] == kWarp) release_shuffle(warp);
  fibers_.yield();
  return current().shuffle_result;
}

int Machine::pick() {
  switch (launch_->schedule) {
    case Schedule::kAscending:
      return ready_.next(0);
    case Schedule::kDescending:
      return ready_.last();
    case Schedule::kRandomRunAhead:
    case Schedule::kRandomStep:
      break;
  }
  random_ = random_ * 1664525u + 1013904223u;
  return ready_.next(static_cast<int>((random_ >> 8) % kMaxThreads));
}

void Machine::check_idle() {
  if (done_ == thread_count_) return;
  std::string where;
  for (int i = 0; i < thread_count_; ++i) {
    const Thread& thread = threads_[static_cast<size_t>(i)];
    const bool first = i == 0 || thread.state != threads_[static_cast<size_t>(i - 1)].state;
    if (!first) continue;
    const char* what = thread.state == State::kDone        ? "has ended"
                       : thread.state == State::kAtBarrier ? "waits at barrier "
                                                           : "waits at shuffle ";
    where += fmt::format("{}thread {} {}{}", where.empty() ? "" : "; ", i, what,
                         thread.state == State::kDone ? "" : text(thread.site));
  }
  fault_ = fmt::format("block {}: no thread can run: {}", position_.block_x, where);
}

void Machine::run_block() {
  shared_.begin_block(scratch_, launch_->scratch_bytes);
  ready_.clear();
  at_shuffle_.assign(kMaxThreads / kWarp, 0);
  at_barrier_ = 0;
  done_ = 0;
  for (int i = 0; i < thread_count_; ++i) {
    threads_[static_cast<size_t>(i)] = Thread{};
    ready_.insert(i);
    fibers_.start(i, &thread_entry);
  }
  while (fault_.empty()) {
    current_ = pick();
    if (current_ < 0) break;
    position_.thread_x = static_cast<unsigned>(current_) % launch_->threads_per_row;
    position_.thread_y = static_cast<unsigned>(current_) / launch_->threads_per_row;
    fibers_.resume(current_);
  }
  if (fault_.empty()) check_idle();
  if (!fault_.empty()) fibers_.drop_frames();
}

std::string Machine::run(const Launch& launch) {
  launch_ = &launch;
  fault_.clear();
  random_ = launch.seed;
  thread_count_ = static_cast<int>(launch.threads_per_row * launch.rows_per_block);
  if (thread_count_ <= 0 || thread_count_ > kMaxThreads || thread_count_ % kWarp != 0) {
    return fmt::format("a block of {} x {} threads is not whole warps up to 1024",
                       launch.threads_per_row, launch.rows_per_block);
  }
  launch.memory->begin_launch();
  for (unsigned b = 0; b < launch.blocks && fault_.empty(); ++b) {
    position_ = {0, 0, launch.first_block + b, launch.rows_per_block};
    // Its own allocation a block, so that AddressSanitizer has a red zone at its exact end.
    const size_t align = std::max<size_t>(launch.scratch_align, sizeof(void*));
    const size_t bytes = std::max<size_t>(launch.scratch_bytes, 1);
    if (posix_memalign(&scratch_, align, bytes) != 0) return "out of memory";
    std::memset(scratch_, 0xff, bytes);
    run_block();
    std::free(scratch_);
  }
  return fault_;
}

const char* schedule_name(Schedule schedule) {
  constexpr const char* kNames[] = {"ascending", "descending", "random_run_ahead", "random_step"};
  return kNames[static_cast<int>(schedule)];
}

std::string run(const Launch& launch) { return machine().run(launch); }

}  // namespace rmsjit::emulate
