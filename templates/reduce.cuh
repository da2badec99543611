// SPDX-License-Identifier: Apache-2.0
// The one fixed sum of squares of a row. Term c is the sum of eight squares; with n the next power
// of two of their count, terms join by halving: v[c] + v[c + n/2], then n/4, ... down to 1. A leaf
// is a term, or, with four elements, half of one: two neighbouring lanes then have a term together,
// and join it before everything else.
//
// Why every plan gives exactly this: thread t of T holds the leaves slot*T + t, so the bits of a
// leaf's index are [slot | warp of t | lane of t]; where a cluster has the row, its blocks take
// turns warp by warp: [slot | warp in the block | block | lane]. Halving joins the highest bit
// first: first the slots inside a thread, then the warps lane by lane (through shared memory), then
// the blocks lane by lane, then the lanes by shuffle 16, 8, 4, 2, 1. T is a power of two, or there
// is one slot and T is any number of whole warps: both keep the bits apart. An absent leaf is +0,
// which changes no sum of squares, so a larger T or n than needed gives the same bits; a + b = b +
// a makes a butterfly the same as a tree.
#ifndef RMSJIT_REDUCE_CUH
#define RMSJIT_REDUCE_CUH

#include "numeric.cuh"

namespace rmsjit {

// What a block of a cluster gets from the others: a sum for each lane of each of them.
template <int kBlocks>
struct Mailbox {
  enum : int { kBytes = kBlocks * kWarpThreads * 4 };
  float lanes[kBlocks * kWarpThreads];
  u64 gate[2];  // the first; two keep what follows at 16 bytes
};
template <>
struct Mailbox<1> {};

// Shared memory of a block: the slots of h that a plan keeps here, a partial sum for each thread
// (rows of at most a warp need none), and a cluster's mail.
template <class Spec>
struct Scratch : Mailbox<Spec::kCluster> {
  enum : int {
    kStash = Spec::kSharedSlots * Spec::kThreads * (HeldLeaf<Spec>::kWords / 4),
    kPartial = Spec::kThreads > kWarpThreads ? Spec::kThreads* Spec::kMaxRows : 4
  };
  Words<4> stash[kStash > 0 ? kStash : 1];
  float partial[kPartial];
  static_assert(kStash == 0 || Spec::kMaxRows == 1, "only one long row fits a block");
};

RMSJIT_DEVICE float sum_of_four(const float* h) {
  return fused_multiply_add(
      h[3], h[3], fused_multiply_add(h[2], h[2], fused_multiply_add(h[1], h[1], h[0] * h[0])));
}
// The term of this thread's leaf. Where lanes have one together, every thread of the block calls
// it.
template <class Spec>
RMSJIT_DEVICE float term_of_leaf(const float (&h)[Spec::kLeaf]) {
  const float low = sum_of_four(h);
  if constexpr (Spec::kLeaf == 8) {
    return low + sum_of_four(h + 4);
  } else if constexpr (Spec::kThreads > 1) {
    return low + shuffle_xor(low, 1);
  } else {
    return low;  // the row has no more
  }
}

// The halving order over v: the terms of equal index modulo kStep, from kFirst on. Compile-time
// recursion, because a loop over an array of partial sums lands in local memory.
template <int kFirst = 0, int kStep = 1, int kCount>
RMSJIT_DEVICE float halving_sum(const float (&v)[kCount]) {
  if constexpr (kFirst + kStep >= kCount) {
    return v[kFirst];
  } else {
    return halving_sum<kFirst, 2 * kStep>(v) + halving_sum<kFirst + kStep, 2 * kStep>(v);
  }
}

// The blocks of a cluster, joined lane by lane: each sends its lanes' sums to all, itself included.
// begin at the kernel's start: no block may send to one that does not run yet.
template <int kBlocks>
RMSJIT_DEVICE void begin_cluster(Mailbox<kBlocks>& mail) {
  if (thread_x() == 0) make_gate(mail.gate, Mailbox<kBlocks>::kBytes);
  cluster_arrive();
}
template <int kThreads, int kBlocks>
RMSJIT_DEVICE float cluster_sum(float v, Mailbox<kBlocks>& mail) {
  enum : int { kWarps = kThreads / kWarpThreads };
  const int warp = static_cast<int>(thread_x() / kWarpThreads);
  const int lane = static_cast<int>(thread_x() % kWarpThreads);
  float* mine = mail.lanes + static_cast<int>(block_x() % kBlocks) * kWarpThreads + lane;
  cluster_wait();
  RMSJIT_UNROLL
  for (int first = 0; first < kBlocks; first += kWarps) {
    if (first + warp < kBlocks) {
      send_to_block(static_cast<u32>(first + warp), mine, mail.gate, v);
    }
  }
  wait_at_gate(mail.gate);
  float sums[kBlocks];
  RMSJIT_UNROLL
  for (int i = 0; i < kBlocks; ++i) sums[i] = shared_load(mail.lanes + i * kWarpThreads + lane);
  return halving_sum(sums);
}

// The lanes of each warp; called by whole warps.
template <class Spec>
RMSJIT_DEVICE float lanes_sum(float v) {
  enum : int { kLanes = Spec::kThreads < kWarpThreads ? Spec::kThreads : kWarpThreads };
  RMSJIT_UNROLL
  for (int mask = kLanes / 2; mask >= 8 / Spec::kLeaf; mask /= 2) v += shuffle_xor(v, mask);
  return v;
}
// The warps of a row, lane by lane, from where they left their sums.
template <int kWarps>
RMSJIT_DEVICE float warps_sum(const float* row) {
  const float* lane = row + thread_x() % kWarpThreads;
  float warps[kWarps];
  RMSJIT_UNROLL
  for (int i = 0; i < kWarps; ++i) warps[i] = shared_load(lane + i * kWarpThreads);
  return halving_sum(warps);
}

// Joins the threads of a row; every thread of the block calls it and gets its row's sum.
template <class Spec>
RMSJIT_DEVICE float row_sum(float v, Scratch<Spec>& scratch) {
  enum : int { kWarps = Spec::kThreads / kWarpThreads };
  if constexpr (kWarps > 1) {
    float* row = scratch.partial + (Spec::kMaxRows == 1 ? 0 : thread_y() * Spec::kThreads);
    shared_store(row + thread_x(), v);
    block_barrier();  // every warp's partial sums are there before any warp reads them
    // Each warp reads what all have left, so that the block's accesses grow with their square: of
    // many the first one reads alone, and another barrier costs less.
    if constexpr (kWarps > 8 && Spec::kCluster == 1) {
      if (thread_x() < kWarpThreads) {
        v = lanes_sum<Spec>(warps_sum<kWarps>(row));
        if (thread_x() == 0) shared_store(row, v);  // nobody else has read this cell
      }
      block_barrier();
      return shared_load(row);
    }
    v = warps_sum<kWarps>(row);
  }
  if constexpr (Spec::kCluster > 1) v = cluster_sum<Spec::kThreads>(v, scratch);
  return lanes_sum<Spec>(v);
}

}  // namespace rmsjit

#endif  // RMSJIT_REDUCE_CUH
