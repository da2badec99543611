// SPDX-License-Identifier: Apache-2.0
// The order in which the lanes of a row join, read or shuffled, by sums of which every bit depends
// on it: in a norm another order changes the last bit of one row in ten.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "tests/emulate/device_host.h"
// After the twin of device.cuh.
#include "templates/reduce.cuh"
#include "tests/emulate/emulator.h"

namespace rmsjit::emulate {
namespace {

template <int kT, int kRows, int kL, int kS>
struct SumSpec {
  using X = bf16_t;
  using R = bf16_t;
  enum : int {
    kThreads = kT,
    kMaxRows = kRows,
    kCluster = 1,
    kLeaf = kL,
    kSharedSlots = 0,
    kLaneStride = kS
  };
  enum : bool { kResidual = false, kOutputRounded = true };
};

struct SumParams {
  const float* of_thread;
  float* sums;
};

template <class Spec>
void sum_body(const void* params, void* scratch) {
  const auto& p = *static_cast<const SumParams*>(params);
  auto& cells = *static_cast<Scratch<Spec>*>(scratch);
  const u32 t = thread_y() * Spec::kThreads + thread_x();
  p.sums[t] = row_sum<Spec>(p.of_thread[t], row_partials<Spec, false>(cells), cells);
}

// Of magnitudes so far apart that each addition rounds.
std::vector<float> telling_terms(size_t count, std::mt19937& random) {
  std::vector<float> terms;
  for (size_t i = 0; i < count; ++i) {
    terms.push_back(std::ldexp(1.0f + static_cast<float>(random() >> 9) * 0x1p-23f,
                               static_cast<int>(random() % 24)));
  }
  return terms;
}

float halved(std::vector<float> v) {
  for (size_t n = v.size() / 2; n > 0; n /= 2) {
    for (size_t i = 0; i < n; ++i) v[i] += v[i + n];
  }
  return v[0];
}

template <class Spec>
void expect_halving() {
  constexpr size_t kLanesOfATerm = 8 / Spec::kLeaf, kRows = Spec::kMaxRows;
  std::mt19937 random(7);
  for (int round = 0; round < 8; ++round) {
    std::vector<float> of_thread, wanted, sums(Spec::kThreads * kRows);
    for (size_t row = 0; row < kRows; ++row) {
      const std::vector<float> terms = telling_terms(Spec::kThreads / kLanesOfATerm, random);
      for (int t = 0; t < Spec::kThreads; ++t) {
        of_thread.push_back(terms[static_cast<size_t>(t) / kLanesOfATerm]);
        wanted.push_back(halved(terms));
      }
    }
    SumParams params{of_thread.data(), sums.data()};
    MemoryMap memory;
    Launch launch;
    launch.body = &sum_body<Spec>;
    launch.params = &params;
    launch.scratch_bytes = sizeof(Scratch<Spec>);
    launch.scratch_align = alignof(Scratch<Spec>);
    launch.threads_per_row = Spec::kThreads;
    launch.rows_per_block = Spec::kMaxRows;
    launch.schedule = kSchedules[static_cast<size_t>(round) % std::size(kSchedules)];
    launch.memory = &memory;
    ASSERT_EQ(run(launch), "");
    EXPECT_EQ(sums, wanted) << round;
  }
}

TEST(LaneSum, JoinsByHalvingHoweverManyLanesAThreadReads) {
  expect_halving<SumSpec<32, 1, 8, 32>>();
  expect_halving<SumSpec<32, 1, 8, 1>>();
  expect_halving<SumSpec<32, 1, 8, 4>>();
  expect_halving<SumSpec<64, 1, 8, 32>>();
  expect_halving<SumSpec<64, 1, 8, 2>>();
  expect_halving<SumSpec<256, 1, 8, 8>>();
  expect_halving<SumSpec<1024, 1, 8, 32>>();
  expect_halving<SumSpec<8, 16, 8, 8>>();
  expect_halving<SumSpec<8, 16, 8, 1>>();
  expect_halving<SumSpec<16, 8, 8, 1>>();
  expect_halving<SumSpec<4, 8, 8, 1>>();
}

TEST(LaneSum, DoesNotAddTwiceWhatTwoLanesHaveTogether) {
  expect_halving<SumSpec<32, 1, 4, 32>>();
  expect_halving<SumSpec<32, 1, 4, 2>>();
  expect_halving<SumSpec<64, 1, 4, 2>>();
  expect_halving<SumSpec<8, 16, 4, 2>>();
}

}  // namespace
}  // namespace rmsjit::emulate
