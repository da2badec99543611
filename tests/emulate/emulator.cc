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
    fault_ = fmt::format("block {} thread ({}, {}): {}", block_in_grid(), position_.thread_x,
                         position_.thread_y, what);
  }
  for (;;) fibers_.yield();
}

void Machine::thread_main() {
  launch_->body(launch_->params, block().scratch);
  if (launch_->pdl && !current().waited) fault("ends without the PDL wait");
  if (current().arrived) fault("ends between the two halves of the cluster's barrier");
  current().state = State::kDone;
  ready_.erase(current_);
  ++done_;
  ++block().done;
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
  if (++block().at_barrier == block_threads_) {
    block().at_barrier = 0;
    release(current_ - thread_in_block(), block_threads_, State::kAtBarrier, "barriers");
    block().shared.next_epoch();
  }
  fibers_.yield();
}

// Lets the threads from `first` on run that wait in `state`, all of them at one place.
void Machine::release(int first, int count, State state, const char* what) {
  const Site site = current().site;
  for (int i = first; i < first + count; ++i) {
    Thread& thread = threads_[static_cast<size_t>(i)];
    if (thread.state != state) continue;
    if (!(thread.site == site)) {
      fault(fmt::format("threads {} and {} are at different {}: {} and {}", current_, i, what,
                        text(site), text(thread.site)));
    }
    thread.state = State::kReady;
    ready_.insert(i);
  }
}

void Machine::cluster_arrive(Site site) {
  if (launch_->cluster == 1) fault("the barrier of a cluster in a kernel without one");
  if (current().arrived) fault("arrives twice at the cluster's barrier");
  current().arrived = true;
  current().site = site;
  if (++at_cluster_ < thread_count_) return;
  at_cluster_ = 0;
  ++cluster_phase_;
  for (int i = 0; i < thread_count_; ++i) {
    Thread& thread = threads_[static_cast<size_t>(i)];
    if (thread.state != State::kAtCluster) continue;
    thread.state = State::kReady;
    ready_.insert(i);
  }
}

void Machine::cluster_wait(Site site) {
  if (!current().arrived) fault("waits at the cluster's barrier without having arrived");
  if (cluster_phase_ == current().cluster_waits) {
    block_until_ready(State::kAtCluster, site);
    fibers_.yield();
  }
  current().arrived = false;
  ++current().cluster_waits;
}

void Machine::send(unsigned rank, const void* cell, const void* gate, uint32_t bits) {
  if (rank >= launch_->cluster) fault(fmt::format("mail to block {} of the cluster", rank));
  if (current().cluster_waits == 0) fault("mail to a block that may not run yet");
  Block& to = blocks_[rank];
  if (to.done == block_threads_) fault(fmt::format("mail to block {}, which has ended", rank));
  const auto there = [&](const void* here) {
    const auto at = static_cast<const char*>(here) - static_cast<char*>(block().scratch);
    return static_cast<char*>(to.scratch) + at;
  };
  const std::string wrong = to.shared.receive(there(cell), there(gate));
  if (!wrong.empty()) fault(wrong);
  std::memcpy(there(cell), &bits, sizeof bits);
  if (!to.shared.is_open(there(gate))) return;
  const int first = static_cast<int>(rank) * block_threads_;
  for (int i = first; i < first + block_threads_; ++i) {
    Thread& thread = threads_[static_cast<size_t>(i)];
    if (thread.state != State::kAtGate) continue;
    thread.state = State::kReady;
    ready_.insert(i);
  }
}

void Machine::wait_at_gate(const void* gate, Site site) {
  if (!block().shared.is_open(gate)) {
    block_until_ready(State::kAtGate, site);
    fibers_.yield();
  }
  current().passed_gate = true;
}

void Machine::release_shuffle(int warp) {
  const int first = warp * kWarp;
  Thread* lanes = &threads_[static_cast<size_t>(first)];
  const int mask = current().shuffle_mask;
  if (mask == kNoLane) {
    block().shared.next_epoch_of_warp(thread_in_block() / kWarp);
  } else if (mask != kUp && (mask <= 0 || mask >= kWarp)) {
    fault(fmt::format("shuffle over lane mask {}", mask));
  }
  for (int lane = 0; lane < kWarp; ++lane) {
    if (!(lanes[lane].site == current().site) || lanes[lane].shuffle_mask != mask) {
      fault(fmt::format("lanes of warp {} are at different shuffles: {} and {}", warp,
                        text(lanes[lane].site), text(current().site)));
    }
    const int source = mask == kUp ? std::max(lane - 1, 0) : mask == kNoLane ? lane : lane ^ mask;
    lanes[lane].shuffle_result = lanes[source].shuffle_value;
    lanes[lane].state = State::kReady;
    ready_.insert(first + lane);
  }
}

uint32_t Machine::shuffle(uint32_t value, int mask, Site site) {
  current().shuffle_value = value;
  current().shuffle_mask = mask;
  block_until_ready(State::kAtShuffle, site);
  const int warp = current_ / kWarp;
  int& arrived = at_shuffle_[static_cast<size_t>(warp)];
  if (++arrived == kWarp) {
    arrived = 0;
    release_shuffle(warp);
  }
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
  return ready_.next(static_cast<int>((random_ >> 8) % static_cast<uint32_t>(thread_count_)));
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
                       : thread.state == State::kAtShuffle ? "waits with its warp at "
                       : thread.state == State::kAtGate    ? "waits at gate "
                                                           : "waits for the cluster at ";
    where += fmt::format("{}thread {} {}{}", where.empty() ? "" : "; ", i, what,
                         thread.state == State::kDone ? "" : text(thread.site));
  }
  fault_ = fmt::format("block {}: no thread can run: {}", first_block_, where);
}

void Machine::run_cluster() {
  ready_.reset(thread_count_);
  at_shuffle_.assign(kMaxThreads / kWarp, 0);
  at_cluster_ = cluster_phase_ = done_ = 0;
  for (int i = 0; i < thread_count_; ++i) {
    threads_[static_cast<size_t>(i)] = Thread{};
    ready_.insert(i);
    fibers_.start(i, &thread_entry);
  }
  while (fault_.empty()) {
    current_ = pick();
    if (current_ < 0) break;
    const auto thread = static_cast<unsigned>(thread_in_block());
    const unsigned block = block_in_grid();
    const unsigned x = launch_->grid_x == 0 ? block : block % launch_->grid_x;
    const unsigned y = launch_->grid_x == 0 ? 0 : block / launch_->grid_x;
    position_ = {thread % launch_->threads_per_row, thread / launch_->threads_per_row, x, y};
    fibers_.resume(current_);
  }
  if (fault_.empty()) check_idle();
  if (!fault_.empty()) fibers_.drop_frames();
}

std::string Machine::run(const Launch& launch) {
  launch_ = &launch;
  fault_.clear();
  random_ = launch.seed;
  block_threads_ = static_cast<int>(launch.threads_per_row * launch.rows_per_block);
  thread_count_ = block_threads_ * static_cast<int>(launch.cluster);
  if (block_threads_ <= 0 || block_threads_ > kMaxBlock || block_threads_ % kWarp != 0 ||
      thread_count_ > kMaxThreads) {
    return fmt::format("{} blocks of {} x {} threads are not whole warps up to 1024 and 8192",
                       launch.cluster, launch.threads_per_row, launch.rows_per_block);
  }
  launch.memory->begin_launch();
  for (unsigned b = 0; b < launch.blocks && fault_.empty(); b += launch.cluster) {
    first_block_ = launch.first_block + b;
    blocks_.assign(launch.cluster, Block{});
    for (Block& block : blocks_) {
      // Its own allocation a block, so that AddressSanitizer has a red zone at its exact end.
      const size_t align = std::max<size_t>(launch.scratch_align, sizeof(void*));
      const size_t bytes = std::max<size_t>(launch.scratch_bytes, 1);
      if (posix_memalign(&block.scratch, align, bytes) != 0) return "out of memory";
      std::memset(block.scratch, 0xff, bytes);
      block.shared.begin_block(block.scratch, launch.scratch_bytes);
    }
    run_cluster();
    for (Block& block : blocks_) std::free(block.scratch);
  }
  return fault_;
}

const char* schedule_name(Schedule schedule) {
  constexpr const char* kNames[] = {"ascending", "descending", "random_run_ahead", "random_step"};
  return kNames[static_cast<int>(schedule)];
}

std::string run(const Launch& launch) { return machine().run(launch); }

}  // namespace rmsjit::emulate
