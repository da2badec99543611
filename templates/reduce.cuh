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
// the blocks lane by lane, then the lanes, 16 apart, 8, 4, 2, 1. T is a power of two, or there
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

// The lanes of a row that one thread reads from shared memory, kLaneStride apart (render_spec.cc
// says when that pays); what is left is joined by shuffles.
template <class Spec>
struct LaneReads {
  enum : int {
    kLanes = Spec::kThreads < kWarpThreads ? Spec::kThreads : kWarpThreads,
    kWarps = Spec::kThreads < kWarpThreads ? 1 : Spec::kThreads / kWarpThreads,
    kCount = kLanes / Spec::kLaneStride
  };
  static_assert(kCount == 1 || (kCount % 4 == 0 && Spec::kCluster == 1), "read four at a time");
};

// Shared memory of a block: the slots of h that a plan keeps here, a partial sum for each thread if
// others read it, and a cluster's mail.
template <class Spec>
struct Scratch : Mailbox<Spec::kCluster> {
  enum : bool { kOthersRead = Spec::kLaneStride < Spec::kThreads };
  enum : int {
    kStash = Spec::kSharedSlots * Spec::kThreads * (HeldLeaf<Spec>::kWords / 4),
    kPartial = kOthersRead ? Spec::kThreads * Spec::kMaxRows : 4
  };
  Words<4> stash[kStash > 0 ? kStash : 1];
  alignas(16) float partial[kPartial];  // read four at a time
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

// The lanes of each warp that no thread has read; called by whole warps.
template <class Spec>
RMSJIT_DEVICE float lanes_sum(float v) {
  RMSJIT_UNROLL
  for (int mask = Spec::kLaneStride / 2; mask >= 8 / Spec::kLeaf; mask /= 2) {
    v += shuffle_xor(v, mask);
  }
  return v;
}

// Where a thread leaves its sum in its row's: lanes that one thread reads lie side by side.
template <class Spec>
RMSJIT_DEVICE u32 partial_of_thread() {
  using Reads = LaneReads<Spec>;
  if constexpr (Reads::kCount == 1) return thread_x();
  const u32 lane = thread_x() % Reads::kLanes;
  return thread_x() - lane + lane % Spec::kLaneStride * Reads::kCount + lane / Spec::kLaneStride;
}
// The warps of a row, lane by lane, from where they left their sums; then the lanes that this
// thread reads.
template <class Spec>
RMSJIT_DEVICE float warps_sum(const float* row) {
  using Reads = LaneReads<Spec>;
  const float* mine = row + thread_x() % Spec::kLaneStride * Reads::kCount;
  float sums[Reads::kCount][Reads::kWarps];
  RMSJIT_UNROLL
  for (int warp = 0; warp < Reads::kWarps; ++warp) {
    const float* of_warp = mine + warp * Reads::kLanes;
    if constexpr (Reads::kCount == 1) {
      sums[0][warp] = shared_load(of_warp);
    } else {
      RMSJIT_UNROLL
      for (int i = 0; i < Reads::kCount; i += 4) {
        const Words<4> four = shared_load(reinterpret_cast<const Words<4>*>(of_warp + i));
        RMSJIT_UNROLL
        for (int k = 0; k < 4; ++k) sums[i + k][warp] = float_from_bits(four.w[k]);
      }
    }
  }
  float lanes[Reads::kCount];
  RMSJIT_UNROLL
  for (int i = 0; i < Reads::kCount; ++i) lanes[i] = halving_sum(sums[i]);
  return halving_sum(lanes);
}

// The partial sums of this thread's row in shared memory and its own among them, where others read
// those. kHere: the addresses are computed where this is called, not next to their use.
struct RowPartials {
  float* row;
  float* own;
};
template <class Spec, bool kHere>
RMSJIT_DEVICE RowPartials row_partials(Scratch<Spec>& scratch) {
  if constexpr (Scratch<Spec>::kOthersRead) {
    float* all = scratch.partial;
    if constexpr (kHere) all = computed(all);
    float* row = all + (Spec::kMaxRows == 1 ? 0 : thread_y() * Spec::kThreads);
    return {row, row + partial_of_thread<Spec>()};
  } else {
    return {};
  }
}

// Joins the threads of a row; every thread of the block calls it and gets its row's sum.
template <class Spec>
RMSJIT_DEVICE float row_sum(float v, const RowPartials& partials, Scratch<Spec>& scratch) {
  using Reads = LaneReads<Spec>;
  if constexpr (Scratch<Spec>::kOthersRead) {
    shared_store(partials.own, v);
    if constexpr (Reads::kWarps > 1) {
      block_barrier();  // every warp's partial sums are there before any warp reads them
    } else {
      warp_barrier();
    }
    // Each warp reads what all have left, so that the block's accesses grow with their square: of
    // many the first one reads alone, and another barrier costs less.
    if constexpr (Reads::kWarps > 8 && Spec::kCluster == 1) {
      if (thread_x() < kWarpThreads) {
        v = lanes_sum<Spec>(warps_sum<Spec>(partials.row));
        if (thread_x() == 0) shared_store(partials.row, v);  // nobody else has read this cell
      }
      block_barrier();
      return shared_load(partials.row);
    }
    v = warps_sum<Spec>(partials.row);
  }
  if constexpr (Spec::kCluster > 1) v = cluster_sum<Spec::kThreads>(v, scratch);
  return lanes_sum<Spec>(v);
}

}  // namespace rmsjit

#endif  // RMSJIT_REDUCE_CUH
