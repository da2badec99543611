// SPDX-License-Identifier: Apache-2.0
// Which row of the launch a thread works on, and which of its leaves are the thread's. A block is
// (kThreads, kMaxRows), with heads perhaps of fewer rows; thread t of a row holds the leaves
// slot*T + t, T being the threads of a row. A long row may have a cluster of kCluster blocks, which
// share its warps. runtime/launch_grid.h makes the grid that this reads back.
#ifndef RMSJIT_ROW_MAP_CUH
#define RMSJIT_ROW_MAP_CUH

#include "numeric.cuh"
#include "rmsnorm_params.h"

namespace rmsjit {

template <class Spec>
struct Shape {
  enum : int {
    kFullLeaves = Spec::kHidden / Spec::kLeaf,
    kTail = Spec::kHidden % Spec::kLeaf,
    kLeaves = kFullLeaves + (kTail != 0),
    kRowThreads = Spec::kThreads * Spec::kCluster,
    kSlots = (kLeaves + kRowThreads - 1) / kRowThreads,
    // Leaves whose loads are in flight together: all of a short row, and never more registers than
    // the widest block leaves a thread.
    kChunk = kSlots < Spec::kChunk ? kSlots : Spec::kChunk,
    // Where h waits for the sum, by slot: registers, then shared memory; what is left is read
    // again.
    kRegisterSlots = Spec::kRegisterSlots,
    kHeldSlots = kRegisterSlots + Spec::kSharedSlots
  };
  enum : bool {
    kReread = kHeldSlots < kSlots,
    // Every thread has a whole leaf in every slot.
    kEven = kTail == 0 && kLeaves % kRowThreads == 0
  };
  enum : bool {
    // A row that is not there is read as the last one is, and not written: under PDL with a
    // residual a branch around its work costs 2 to 5 %.
    kStandIn = Spec::kPdl && Spec::kResidual && Spec::kMaxRows > 1
  };
  static_assert(kHeldSlots <= kSlots && (!Spec::kWeightEarly || kRegisterSlots == kSlots),
                "a plan holds more than the row: see launch_plan.cc");
  static_assert(kSlots == 1 || (kRowThreads & (kRowThreads - 1)) == 0,
                "a row of several slots needs a power-of-two number of threads");
  static_assert(Spec::kLeaf == 8 || kRowThreads > 1 || kLeaves == 1,
                "two lanes have a term of the sum together");
  static_assert(Spec::kCluster == 1 || Spec::kMaxRows == 1, "a cluster has one row");
  static_assert(Spec::kThreads % kWarpThreads == 0 || kWarpThreads % Spec::kThreads == 0,
                "the threads of a row are whole warps or divide one");
};

// The lower and the upper half of an argument: the packed entries have no upper ones.
template <bool kPacked>
RMSJIT_DEVICE u64 whole(u32 lower, u32 upper) {
  return kPacked ? lower : (u64{upper} << 32) | lower;
}

// The row of this thread. Without heads a block always has kMaxRows rows: blockDim is on a line of
// constants of its own, and to wait for it and multiply costs short rows 2 to 5 %. With heads the
// grid has two dimensions, so that nothing is divided: a block has 2^heads.shift neighbouring heads
// (which divides heads and the rows of a block) of as many tokens as it has rows for.
template <bool kPacked>
struct Place {
  using Count = typename PickType<kPacked, u32, u64>::type;
  Count token;
  Count head;
  bool there;  // beyond p.tokens there is no row
};
template <class Spec, bool kPacked>
RMSJIT_DEVICE Place<kPacked> place_of_row(const RmsNormParams& p) {
  using Count = typename Place<kPacked>::Count;
  const Count block = block_x() / Spec::kCluster;
  const u32 row = Spec::kMaxRows == 1 ? 0 : thread_y();
  Place<kPacked> at{block, 0, true};
  if constexpr (Spec::kHeads && Spec::kMaxRows > 1) {
    at.token = block_y() * p.heads.block_tokens + (row >> p.heads.shift);
    at.head = (block << p.heads.shift) + (row & ((1u << p.heads.shift) - 1));
  } else if constexpr (Spec::kHeads) {
    at = {block_y(), block, true};
  } else if constexpr (Spec::kMaxRows > 1) {
    at.token = block * Count{Spec::kMaxRows} + row;
  }
  if constexpr (Spec::kMaxRows > 1) {
    const Count tokens = whole<kPacked>(p.tokens, p.upper.tokens);
    at.there = at.token < tokens;
    if constexpr (Shape<Spec>::kStandIn) at.token = at.token < tokens - 1 ? at.token : tokens - 1;
  }
  return at;
}

// Where this thread is among those of its row: a cluster's blocks take turns, warp by warp.
template <class Spec>
RMSJIT_DEVICE int row_thread() {
  const int t = static_cast<int>(thread_x());
  if constexpr (Spec::kCluster == 1) return t;
  const int block = static_cast<int>(block_x() % Spec::kCluster);
  return (t / kWarpThreads * Spec::kCluster + block) * kWarpThreads + t % kWarpThreads;
}

// This thread's leaf in a slot; with a constant slot the comparisons fold away except in the row's
// last slot.
template <class Spec>
RMSJIT_DEVICE int leaf_index(int slot) {
  return slot * Shape<Spec>::kRowThreads + row_thread<Spec>();
}
template <class Spec>
RMSJIT_DEVICE bool is_whole(int slot) {
  using S = Shape<Spec>;
  // A row shorter than a leaf has no whole one, which NVRTC does not see.
  return S::kEven || (slot + 1) * S::kRowThreads <= S::kFullLeaves ||
         (S::kFullLeaves > 0 && leaf_index<Spec>(slot) < S::kFullLeaves);
}
template <class Spec>
RMSJIT_DEVICE bool is_tail(int slot) {
  return Shape<Spec>::kTail != 0 && leaf_index<Spec>(slot) == Shape<Spec>::kFullLeaves;
}

template <class Spec>
RMSJIT_DEVICE int slot_offset(int slot) {
  return slot * (Shape<Spec>::kRowThreads * Spec::kLeaf);
}

// It has a whole leaf on both sides.
template <class Spec>
RMSJIT_DEVICE bool is_inner(int slot) {
  const int index = leaf_index<Spec>(slot);
  return index > 0 && index + 1 < Shape<Spec>::kFullLeaves;
}

}  // namespace rmsjit

#endif  // RMSJIT_ROW_MAP_CUH
