// SPDX-License-Identifier: Apache-2.0
// The order in which a cluster's blocks join, by sums that show it: in a norm it changes the last
// bit of one row in ten.
#include <gtest/gtest.h>

#include "tests/emulate/device_host.h"
// After the twin of device.cuh.
#include "templates/reduce.cuh"
#include "tests/emulate/emulator.h"

namespace rmsjit::emulate {
namespace {

constexpr int kBlocks = 8;

struct SumParams {
  float of_block[kBlocks];
  float* sums;
};

void sum_body(const void* params, void* scratch) {
  const auto& p = *static_cast<const SumParams*>(params);
  auto& mail = *static_cast<Mailbox<kBlocks>*>(scratch);
  begin_cluster(mail);
  const float sum = cluster_sum<64>(p.of_block[block_x()], mail);
  if (thread_x() == 0) p.sums[block_x()] = sum;
}

TEST(ClusterSum, JoinsTheBlocksByHalvingAndGivesAllTheSame) {
  // 2^24 swallows a 1 but not a 2: in sequence nothing would be left of the ones.
  for (int large = 0; large < kBlocks; ++large) {
    for (Schedule schedule : kSchedules) {
      float sums[kBlocks] = {};
      SumParams params{{1, 1, 1, 1, 1, 1, 1, 1}, sums};
      params.of_block[large] = 0x1p24f;
      MemoryMap memory;
      Launch launch;
      launch.body = &sum_body;
      launch.params = &params;
      launch.scratch_bytes = sizeof(Mailbox<kBlocks>);
      launch.scratch_align = alignof(Mailbox<kBlocks>);
      launch.threads_per_row = 64;
      launch.cluster = launch.blocks = kBlocks;
      launch.schedule = schedule;
      launch.memory = &memory;
      EXPECT_EQ(run(launch), "");
      for (float sum : sums) EXPECT_EQ(sum, 0x1p24f + 6) << large;
    }
  }
}

}  // namespace
}  // namespace rmsjit::emulate
