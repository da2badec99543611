// SPDX-License-Identifier: Apache-2.0
// The emulator itself, on a toy body: a sum of a row over two warps that is right, and one way to
// break it for each thing that the emulator has to find.
#include "tests/emulate/emulator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/emulate/device_host.h"

namespace rmsjit::emulate {
namespace {

constexpr int kThreads = 64;

enum class Bug {
  kNone,
  kMissingBarrier,
  kBarrierForOneWarp,
  kBarriersAtTwoPlaces,
  kEarlyReturn,
  kDivergentShuffle,
  kShuffleMasksDiffer,
  kLoadPastTheRow,
  kStorePastTheRow,
  kLoadOutside,
  kMisalignedLoad,
  kStoreToInput,
  kStoreTwice,
  kReadAfterOthersWrite,
  kSharedRace,
  kMissingWarpBarrier,
  kReadOfAnotherWarp,
  kSharedOutside,
  kSharedNeverWritten,
  kWaitForgotten,
  kLoadBeforeWait,
  kStoreBeforeWait,
  kTriggerBeforeWait,
};

struct ToyParams {
  const float* x;
  float* y;
  float* in_place;
  bool pdl;
  Bug bug;
};

struct ToyScratch {
  float warp_sums[2];
  float lanes[kThreads];
  float spare;
};

bool is(const ToyParams& p, Bug bug) { return p.bug == bug; }

float load(const float* p) {
  return float_from_bits(load_element(reinterpret_cast<const u32*>(p)));
}
void store(float* p, float v) { store_element(reinterpret_cast<u32*>(p), bits_from_float(v)); }

void before_sum(const ToyParams& p, u32 t) {
  if (p.pdl) {
    if (is(p, Bug::kLoadBeforeWait) && t == 40) load(p.x);
    if (is(p, Bug::kStoreBeforeWait) && t == 40) store(p.y + t, 1.0f);
    if (is(p, Bug::kTriggerBeforeWait) && t == 40) pdl_trigger();
    if (!(is(p, Bug::kWaitForgotten) && t == 5)) pdl_wait();
  }
  if (is(p, Bug::kLoadPastTheRow) && t == 63) load(p.x + kThreads);
  if (is(p, Bug::kStorePastTheRow) && t == 63) store(p.y + kThreads, 0);
  if (is(p, Bug::kLoadOutside) && t == 0) load(p.x + 100000);
  if (is(p, Bug::kMisalignedLoad) && t == 0) {
    load_words(reinterpret_cast<const Words<4>*>(p.x + 1));
  }
  if (is(p, Bug::kStoreToInput) && t == 0) store(const_cast<float*>(p.x), 0);
}

// The sum of a thread and its neighbour, through shared memory.
float with_neighbour(const ToyParams& p, ToyScratch& scratch, float v) {
  const u32 t = thread_x();
  shared_store(&scratch.lanes[t], v);
  if (!is(p, Bug::kMissingWarpBarrier)) warp_barrier();
  return v + shared_load(&scratch.lanes[is(p, Bug::kReadOfAnotherWarp) ? t ^ 32 : t ^ 1]);
}

void after_sum(const ToyParams& p, u32 t, float total) {
  const u32 neighbour = is(p, Bug::kReadAfterOthersWrite) ? (t + 1) % kThreads : t;
  const float old = load(p.in_place + neighbour);
  store(p.in_place + t, old + 1);
  store(p.y + t, total);
  if (is(p, Bug::kStoreTwice) && t == 7) store(p.y + t, total);
  if (p.pdl) pdl_trigger();
}

void toy(const ToyParams& p, ToyScratch& scratch) {
  const u32 t = thread_x();
  if (t < 2) shared_store(&scratch.warp_sums[t], 0.0f);
  shared_store(&scratch.lanes[t], 0.0f);
  block_barrier();
  before_sum(p, t);
  float sum = load(p.x + t);
  if (is(p, Bug::kEarlyReturn) && t >= 32) return;
  if (is(p, Bug::kDivergentShuffle) && t == 3) {
    sum += shuffle_xor(sum, 16);
  } else {
    sum += shuffle_xor(sum, is(p, Bug::kShuffleMasksDiffer) && t == 3 ? 8 : 16);
  }
  for (int mask = 8; mask > 1; mask /= 2) sum += shuffle_xor(sum, mask);
  sum = with_neighbour(p, scratch, sum);
  if (t % 32 == 0) shared_store(&scratch.warp_sums[t / 32], sum);
  if (is(p, Bug::kSharedRace)) shared_store(&scratch.spare, 1.0f);
  if (is(p, Bug::kSharedOutside) && t == 0) shared_store(&scratch.spare + 1, 1.0f);
  if (is(p, Bug::kBarriersAtTwoPlaces) && t < 32) {
    block_barrier();
  } else if (!is(p, Bug::kMissingBarrier) && !(is(p, Bug::kBarrierForOneWarp) && t < 32)) {
    block_barrier();
  }
  if (is(p, Bug::kSharedNeverWritten) && t == 0) shared_load(&scratch.spare);
  after_sum(p, t, shared_load(&scratch.warp_sums[0]) + shared_load(&scratch.warp_sums[1]));
}

void toy_body(const void* params, void* scratch) {
  toy(*static_cast<const ToyParams*>(params), *static_cast<ToyScratch*>(scratch));
}

struct Toy {
  alignas(16) float x[kThreads + 8] = {};
  alignas(16) float y[kThreads + 8] = {};
  alignas(16) float in_place[kThreads] = {};

  std::string run(Bug bug, bool pdl, Schedule schedule) {
    for (int i = 0; i < kThreads; ++i) x[i] = static_cast<float>(i);
    MemoryMap memory;
    memory.add(buffer("x", x, sizeof x));
    memory.add(buffer("y", y, sizeof y));
    memory.add(buffer("in_place", in_place, sizeof in_place));
    ToyParams params{x, y, in_place, pdl, bug};
    Launch launch;
    launch.body = &toy_body;
    launch.params = &params;
    launch.scratch_bytes = sizeof(ToyScratch);
    launch.threads_per_row = kThreads;
    launch.pdl = pdl;
    launch.schedule = schedule;
    launch.memory = &memory;
    return emulate::run(launch);
  }

  static Buffer buffer(const std::string& name, float* data, size_t bytes) {
    Buffer b;
    b.name = name;
    b.begin = reinterpret_cast<const std::byte*>(data);
    b.bytes = static_cast<int64_t>(bytes);
    b.row_starts = {0};
    b.row_bytes = kThreads * 4;
    b.element_bytes = 4;
    b.readable = name != "y";
    b.writable = name != "x";
    return b;
  }
};

// The fault under each schedule, joined; empty parts left out.
std::string faults(Bug bug, bool pdl = false) {
  std::string all;
  for (Schedule schedule : kSchedules) {
    const std::string fault = Toy().run(bug, pdl, schedule);
    if (!fault.empty()) all += fault + "\n";
  }
  return all;
}

TEST(Emulator, RunsARightBodyUnderEverySchedule) {
  for (Schedule schedule : kSchedules) {
    for (bool pdl : {false, true}) {
      Toy toy;
      EXPECT_EQ(toy.run(Bug::kNone, pdl, schedule), "") << schedule_name(schedule);
      for (int i = 0; i < kThreads; ++i) {
        ASSERT_EQ(toy.y[i], 2016.0f) << i;
        ASSERT_EQ(toy.in_place[i], 1.0f) << i;
      }
    }
  }
}

struct Planted {
  Bug bug;
  bool pdl;
  const char* expected;  // a part of the message
};

TEST(Emulator, FindsEveryPlantedBug) {
  const Planted planted[] = {
      {Bug::kMissingBarrier, false, "with no barrier after thread"},
      {Bug::kBarrierForOneWarp, false, "with no barrier after thread"},
      {Bug::kBarriersAtTwoPlaces, false, "different barriers"},
      {Bug::kEarlyReturn, false, "no thread can run"},
      {Bug::kDivergentShuffle, false, "different shuffles"},
      {Bug::kShuffleMasksDiffer, false, "different shuffles"},
      {Bug::kLoadPastTheRow, false, "load of 4 bytes of x at byte 256 of row 0"},
      {Bug::kStorePastTheRow, false, "store of 4 bytes of y at byte 256 of row 0"},
      {Bug::kLoadOutside, false, "outside every tensor"},
      {Bug::kMisalignedLoad, false, "an address that is 4 modulo 16"},
      {Bug::kStoreToInput, false, "x, which is only read"},
      {Bug::kStoreTwice, false, "written twice"},
      {Bug::kSharedRace, false, "with no barrier"},
      {Bug::kMissingWarpBarrier, false, "with no barrier after thread"},
      {Bug::kReadOfAnotherWarp, false, "with no barrier after thread"},
      {Bug::kSharedOutside, false, "outside the shared array"},
      {Bug::kSharedNeverWritten, false, "before anything is written"},
      {Bug::kWaitForgotten, true, "load of x before the PDL wait"},
      {Bug::kLoadBeforeWait, true, "load of x before the PDL wait"},
      {Bug::kStoreBeforeWait, true, "store to y before the PDL wait"},
      {Bug::kTriggerBeforeWait, true, "trigger before the wait"},
  };
  for (const Planted& p : planted) {
    EXPECT_NE(faults(p.bug, p.pdl).find(p.expected), std::string::npos)
        << p.expected << "\nfound: " << faults(p.bug, p.pdl);
  }
}

TEST(Emulator, GivesPoisonForWhatAnotherThreadHasWritten) {
  for (Schedule schedule : kSchedules) {
    Toy toy;
    EXPECT_EQ(toy.run(Bug::kReadAfterOthersWrite, false, schedule), "");
    int poisoned = 0;
    for (float v : toy.in_place) poisoned += std::isnan(v) ? 1 : 0;
    EXPECT_GT(poisoned, 0) << schedule_name(schedule);
  }
}

void ends_without_wait(const void*, void*) {}
void waits(const void*, void*) { pdl_wait(); }

TEST(Emulator, DemandsTheWaitOfIdleThreadsAndOnlyUnderPdl) {
  MemoryMap memory;
  Launch launch;
  launch.memory = &memory;
  launch.body = &ends_without_wait;
  EXPECT_EQ(run(launch), "");
  launch.pdl = true;
  EXPECT_NE(run(launch).find("ends without the PDL wait"), std::string::npos);
  launch.body = &waits;
  EXPECT_EQ(run(launch), "");
  launch.pdl = false;
  EXPECT_NE(run(launch).find("without PDL"), std::string::npos);
}

// A cluster of two blocks of one warp: each sends its rank + 1 to both, and adds what it got.
enum class MailBug {
  kNone,
  kNoWait,
  kNoGate,
  kNoSecondHalf,
  kTwice,
  kTooEarly,
  kWrongCell,
  kMissing,
  kBlockOutside,
  kWaitFirst,
  kMailOverStore,
};
struct MailParams {
  float* y;
  MailBug bug;
};
struct MailScratch {
  float cells[4];
  u64 gate[2];
};
void mail_body(const void* params, void* scratch) {
  const auto& p = *static_cast<const MailParams*>(params);
  auto& s = *static_cast<MailScratch*>(scratch);
  const auto is = [&](MailBug bug) { return p.bug == bug; };
  const u32 rank = block_x() % 2;
  const bool first = thread_x() == 0;
  if (is(MailBug::kMailOverStore) && first) shared_store(&s.cells[0], 1.0f);
  if (first && !is(MailBug::kNoGate)) make_gate(s.gate, 8);
  if (is(MailBug::kWaitFirst)) cluster_wait();
  cluster_arrive();
  if (!is(MailBug::kNoWait)) cluster_wait();
  if (is(MailBug::kNoSecondHalf)) cluster_arrive();
  if (is(MailBug::kTooEarly)) shared_load(&s.cells[0]);
  if (first && !(is(MailBug::kMissing) && rank == 1)) {
    for (u32 to = 0; to < 2; ++to) {
      const u32 cell = is(MailBug::kWrongCell) ? 0 : rank;
      send_to_block(is(MailBug::kBlockOutside) ? to + 1 : to, &s.cells[cell], s.gate,
                    static_cast<float>(rank + 1));
      if (is(MailBug::kTwice)) send_to_block(to, &s.cells[2], s.gate, 0.0f);
    }
  }
  wait_at_gate(s.gate);
  if (first) {
    const float sum = shared_load(&s.cells[0]) + shared_load(&s.cells[1]);
    store_element(reinterpret_cast<u32*>(p.y + rank), bits_from_float(sum));
  }
}

std::string mail_faults(MailBug bug) {
  std::string all;
  for (Schedule schedule : kSchedules) {
    alignas(16) float y[kThreads] = {};
    MemoryMap memory;
    memory.add(Toy::buffer("y", y, sizeof y));
    MailParams params{y, bug};
    Launch launch;
    launch.body = &mail_body;
    launch.params = &params;
    launch.scratch_bytes = sizeof(MailScratch);
    launch.cluster = launch.blocks = 2;
    launch.schedule = schedule;
    launch.memory = &memory;
    const std::string fault = run(launch);
    if (!fault.empty()) all += fault + "\n";
    if (fault.empty() && bug == MailBug::kNone) {
      EXPECT_EQ(y[0], 3.0f);
      EXPECT_EQ(y[1], 3.0f);
    }
  }
  return all;
}

TEST(Emulator, CarriesMailBetweenTheBlocksOfACluster) {
  EXPECT_EQ(mail_faults(MailBug::kNone), "");
}

TEST(Emulator, FindsEveryPlantedBugOfACluster) {
  const std::pair<MailBug, const char*> planted[] = {
      {MailBug::kNoWait, "may not run yet"},
      {MailBug::kNoGate, "has not been made"},
      {MailBug::kNoSecondHalf, "between the two halves"},
      {MailBug::kTwice, "a gate that is open"},
      {MailBug::kTooEarly, "before"},
      {MailBug::kWrongCell, "which is in use"},
      {MailBug::kMissing, "waits at gate"},
      {MailBug::kBlockOutside, "mail to block 2 of the cluster"},
      {MailBug::kWaitFirst, "without having arrived"},
      {MailBug::kMailOverStore, "which is in use"},
  };
  for (const auto& [bug, expected] : planted) {
    const std::string found = mail_faults(bug);
    EXPECT_NE(found.find(expected), std::string::npos) << expected << "\nfound: " << found;
  }
}

TEST(Emulator, RefusesABlockThatIsNotWholeWarps) {
  MemoryMap memory;
  Launch launch;
  launch.memory = &memory;
  launch.body = &ends_without_wait;
  launch.threads_per_row = 8;
  launch.rows_per_block = 3;
  EXPECT_NE(run(launch).find("whole warps"), std::string::npos);
  launch.rows_per_block = 4;
  EXPECT_EQ(run(launch), "");
}

}  // namespace
}  // namespace rmsjit::emulate
