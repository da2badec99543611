// SPDX-License-Identifier: Apache-2.0
// The row body, one for every variant:
//   h = f32(x) [+ f32(r)]          s = fixed sum of h*h       m = fma(s, RN(1/hidden), eps)
//   rstd = m == 0 ? 0 : 1/sqrt(m)  y = rn(h * rstd * w')      w' = w, 1 + w, or absent
// (Zhang and Sennrich 2019.) kSumRounded, kOutputRounded and kRoundTwice say where h and h * rstd
// are rounded on the way.
//
// Map: block = (kThreads, rows of a block); thread t of a row holds the leaves slot*T + t, T being
// the threads of a row. A long row may have a cluster of kCluster blocks, which share its warps.
// A row moves x and residual once (slots that fit neither registers nor shared memory: twice, the
// second time from L2), residual_out and y once, the weight once from L2. Limits: hidden 1 ..
// 262144, 64-bit strides (32-bit ones in bytes where packed), and the blocks of a grid
// (runtime/launch_grid.h).
#ifndef RMSJIT_RMSNORM_CUH
#define RMSJIT_RMSNORM_CUH

#include "numeric.cuh"
#include "reduce.cuh"
#include "rmsnorm_params.h"

namespace rmsjit {

// In realign.cuh, which spec.cuh includes where the kernel needs it (Spec::kRealign).
template <class L>
struct Pieces;
template <class L>
RMSJIT_DEVICE Words<4> last_words_of_lane_below(const L& leaf);
template <class L>
RMSJIT_DEVICE void store_realigned(const L& leaf, const Words<4>& before,
                                   typename L::Type::Storage* at, bool first, bool last);

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

// The row of this thread. With heads the grid has two dimensions, so that nothing is divided: a
// block has 2^heads_shift neighbouring heads (which divides heads and the rows of a block) of as
// many tokens as it has rows for.
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
    at.token = block_y() * p.block_tokens + (row >> p.heads_shift);
    at.head = (block << p.heads_shift) + (row & ((1u << p.heads_shift) - 1));
  } else if constexpr (Spec::kHeads) {
    at = {block_y(), block, true};
  } else if constexpr (Spec::kMaxRows > 1) {
    at.token = block * rows_per_block() + row;
  }
  if constexpr (Spec::kMaxRows > 1) at.there = at.token < whole<kPacked>(p.tokens, p.upper.tokens);
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
  return S::kEven || (slot + 1) * S::kRowThreads <= S::kFullLeaves ||
         leaf_index<Spec>(slot) < S::kFullLeaves;
}
template <class Spec>
RMSJIT_DEVICE bool is_tail(int slot) {
  return Shape<Spec>::kTail != 0 && leaf_index<Spec>(slot) == Shape<Spec>::kFullLeaves;
}

template <class Spec>
RMSJIT_DEVICE int slot_offset(int slot) {
  return slot * (Shape<Spec>::kRowThreads * Spec::kLeaf);
}

// Loads a slot's leaf; row is at the leaf of slot 0. What the row does not have is +0, and all of a
// row that is not there.
template <class Spec, bool kPacked, class T>
RMSJIT_DEVICE void load_slot(Leaf<T, Spec::kLeaf>& leaf, const typename T::Storage* row, int slot,
                             bool there) {
  using S = Shape<Spec>;
  if (!S::kEven || !there) leaf.clear();
  if (there && is_whole<Spec>(slot)) {
    load_leaf<kPacked, Spec::kLeaf>(leaf, row + slot_offset<Spec>(slot));
  } else if constexpr (S::kTail != 0) {
    if (there && is_tail<Spec>(slot)) {
      load_leaf<kPacked, S::kTail>(leaf, row + slot_offset<Spec>(slot));
    }
  }
}

// The same in two steps for rows that are realigned: the loads, and what makes them a leaf.
template <class Spec>
RMSJIT_DEVICE bool is_inner(int slot) {
  const int index = leaf_index<Spec>(slot);
  return index > 0 && index + 1 < Shape<Spec>::kFullLeaves;
}
template <class Spec, bool kPacked, class L>
RMSJIT_DEVICE void load_slot(Pieces<L>& pieces, const typename L::Type::Storage* row, int slot,
                             bool there) {
  using S = Shape<Spec>;
  const typename L::Type::Storage* at = row + slot_offset<Spec>(slot);
  pieces.clear();
  if (!there) return;
  if (is_inner<Spec>(slot)) {
    pieces.load_around(at);
  } else if (is_whole<Spec>(slot)) {
    pieces.template load_elements<Spec::kLeaf>(at);
  } else if constexpr (S::kTail != 0) {
    if (is_tail<Spec>(slot)) pieces.template load_elements<S::kTail>(at);
  }
}
template <class Spec, class T>
RMSJIT_DEVICE const LeafOf<Spec, T>& settle(const Leaf<T, Spec::kLeaf>& leaf,
                                            const typename T::Storage*, int) {
  return leaf;
}
template <class Spec, class L>
RMSJIT_DEVICE L settle(Pieces<L>& pieces, const typename L::Type::Storage* row, int slot) {
  return pieces.leaf(row + slot_offset<Spec>(slot), is_inner<Spec>(slot));
}

// Stores a slot's leaf; every thread of the row calls it, with or without one.
template <class Spec, bool kPacked, class T>
RMSJIT_DEVICE void store_slot(const Leaf<T, Spec::kLeaf>& leaf, typename T::Storage* row, int slot,
                              bool there) {
  using S = Shape<Spec>;
  const int index = leaf_index<Spec>(slot);
  typename T::Storage* at = row + slot_offset<Spec>(slot);
  if constexpr (!kPacked && Spec::kRealign) {
    const Words<4> before = last_words_of_lane_below(leaf);
    if (there && is_whole<Spec>(slot)) {
      const u32 lane = thread_x() % kWarpThreads;
      const bool last = lane == kWarpThreads - 1 || index + 1 >= S::kFullLeaves;
      store_realigned(leaf, before, at, lane == 0, last);
    }
  } else {
    if (there && is_whole<Spec>(slot)) store_leaf<kPacked, Spec::kLeaf>(leaf, at);
  }
  if constexpr (S::kTail != 0) {
    if (there && is_tail<Spec>(slot)) store_leaf<kPacked, S::kTail>(leaf, at);
  }
}

// h of a leaf: what the statistics take (h), what the output takes (the result), and, with a
// residual, what residual_out receives (r_leaf, rounded).
template <class Spec>
RMSJIT_DEVICE HeldLeaf<Spec> add_residual(const LeafOf<Spec, typename Spec::X>& x_leaf,
                                          LeafOf<Spec, typename Spec::R>& r_leaf,
                                          float (&h)[Spec::kLeaf]) {
  HeldLeaf<Spec> held;
  if constexpr (!Spec::kResidual) held = x_leaf;
  RMSJIT_UNROLL
  for (int i = 0; i < held.kPairs; ++i) {
    Pair v = x_leaf.pair(i);
    if constexpr (Spec::kResidual) {
      const Pair r = r_leaf.pair(i);
      v = {v.low + r.low, v.high + r.high};
      r_leaf.set_pair(i, v);
      if constexpr (!Spec::kOutputRounded) held.set_pair(i, v);
      if constexpr (Spec::kSumRounded) v = r_leaf.pair(i);
    }
    h[2 * i] = v.low;
    h[2 * i + 1] = v.high;
  }
  if constexpr (Spec::kResidual && Spec::kOutputRounded) held = r_leaf;
  return held;
}

template <class Spec>
RMSJIT_DEVICE float reciprocal_rms(float sum, float eps) {
  const float m = fused_multiply_add(sum, Spec::inv_hidden(), eps);
  const float root = Spec::kExactRoot ? rsqrt_exact(m) : rsqrt_fast(m);
  return m == 0.0f ? 0.0f : root;
}

template <class Spec>
RMSJIT_DEVICE LeafOf<Spec, typename Spec::Y> normalise(const HeldLeaf<Spec>& held,
                                                       const LeafOf<Spec, typename Spec::W>& w_leaf,
                                                       float rstd) {
  LeafOf<Spec, typename Spec::Y> y_leaf;
  RMSJIT_UNROLL
  for (int i = 0; i < held.kPairs; ++i) {
    Pair v = held.pair(i);
    v = {v.low * rstd, v.high * rstd};
    if constexpr (Spec::kHasWeight) {
      if constexpr (Spec::kRoundTwice) {
        LeafOf<Spec, typename Spec::X> rounded;
        rounded.set_pair(i, v);
        v = rounded.pair(i);
      }
      Pair w = w_leaf.pair(i);
      if constexpr (Spec::kOnePlus) w = {1.0f + w.low, 1.0f + w.high};
      v = {v.low * w.low, v.high * w.high};
    }
    y_leaf.set_pair(i, v);
  }
  return y_leaf;
}

// One thread's part of a row: read for the sum, held, written. All loads of a chunk come before its
// first store, so that they are in flight together.
template <class Spec, bool kPacked>
struct RowWork {
  using S = Shape<Spec>;
  using X = typename Spec::X;
  using W = typename Spec::W;
  using R = typename Spec::R;
  using Y = typename Spec::Y;
  using Held = HeldLeaf<Spec>;
  template <class T>
  using Leaf = LeafOf<Spec, T>;
  enum : bool {
    kRealign = Spec::kRealign && !kPacked,
    // A row that is not there branches around its work instead of predicating each load and store:
    // with a residual, or several slots, ptxas moved predicated accesses behind the sum (fused add
    // of 256 elements: 1.51 -> 1.70 us). Not where lanes of other rows take part in the work.
    kBranches = kPacked && Spec::kMaxRows > 1 && Spec::kLeaf == 8 &&
                (Spec::kResidual || S::kSlots > 1),
    // Addresses before the loads instead of after the sum, y's at least: 1 to 3 % of short rows.
    kSoonY = Spec::kMaxRows > 1 && !(Spec::kPdl && Spec::kResidual),
    kSoonAll = kSoonY && !Spec::kResidual,
    // The other entry's loads take more registers: with four slots and the weight ptxas spills.
    kWeightEarly = Spec::kWeightEarly && (kPacked || S::kSlots < 4)
  };
  template <class T>
  using Loaded = typename PickType<kRealign, Pieces<Leaf<T>>, Leaf<T>>::type;
  // Weights in flight together where they are not loaded before the sum.
  enum : int { kWriteChunk = 2 };

  const typename X::Storage* x;
  const typename W::Storage* weight;
  const typename R::Storage* residual = nullptr;
  typename R::Storage* residual_out = nullptr;
  typename Y::Storage* y;
  Scratch<Spec>& scratch;
  const bool there;
  Held held[S::kRegisterSlots > 0 ? S::kRegisterSlots : 1];
  Leaf<W> early_weight[kWeightEarly ? S::kSlots : 1];

  // Done before the PDL wait: the addresses come from the arguments alone.
  RMSJIT_DEVICE RowWork(const RmsNormParams& p, Scratch<Spec>& shared, const Place<kPacked>& at)
      : scratch(shared), there(kBranches || at.there) {
    const int first = row_thread<Spec>() * Spec::kLeaf;
    // Of a row that is not there nothing is loaded or stored, wherever it would be.
    const auto offset = [&](u64 token_stride, u64 head_stride) {
      return at.token * token_stride + (Spec::kHeads ? at.head * head_stride : 0);
    };
    x = leaf_at<X, kSoonAll>(p.x, first,
                   offset(whole<kPacked>(p.x_token_stride, p.upper.x_token_stride),
                          whole<kPacked>(p.x_head_stride, p.upper.x_head_stride)));
    y = leaf_at<Y, kSoonY>(p.y, first,
                   offset(whole<kPacked>(p.y_token_stride, p.upper.y_token_stride),
                          whole<kPacked>(p.y_head_stride, p.upper.y_head_stride)));
    weight = leaf_at<W, kSoonAll>(p.weight, first, 0);
    if constexpr (Spec::kResidual) {
      residual = leaf_at<R>(
          p.residual, first,
          offset(whole<kPacked>(p.residual_token_stride, p.upper.residual_token_stride),
                 whole<kPacked>(p.residual_head_stride, p.upper.residual_head_stride)));
      residual_out = leaf_at<R>(
          p.residual_out, first,
          offset(whole<kPacked>(p.residual_out_token_stride, p.upper.residual_out_token_stride),
                 whole<kPacked>(p.residual_out_head_stride, p.upper.residual_out_head_stride)));
    }
  }

  // The address of element `first` of the row that begins so many bytes into a tensor.
  template <class T, bool kSoon = false>
  static RMSJIT_DEVICE typename T::Storage* leaf_at(const void* tensor, int first, u64 bytes) {
    using Storage = typename T::Storage;
    const u64 base = reinterpret_cast<u64>(tensor);
    if constexpr (kSoon) {
      bytes = computed(bytes + static_cast<u64>(first) * sizeof(Storage));
      return reinterpret_cast<Storage*>(base + bytes);
    }
    return reinterpret_cast<Storage*>(base + bytes) + first;
  }

  RMSJIT_DEVICE void load_weight(int slot, Leaf<W>& w) const {
    if constexpr (Spec::kHasWeight) {
      if constexpr (kRealign) {
        if (bytes_past_16(weight) != 0) {
          Pieces<Leaf<W>> pieces;
          load_slot<Spec, kPacked>(pieces, weight, slot, true);
          w = settle<Spec>(pieces, weight, slot);
          return;
        }
      }
      load_slot<Spec, kPacked || kRealign>(w, weight, slot, true);
    }
  }

  RMSJIT_DEVICE void load_early_weights() {
    RMSJIT_UNROLL
    for (int slot = 0; slot < S::kSlots; ++slot) load_weight(slot, early_weight[slot]);
  }

  RMSJIT_DEVICE void load_inputs(int slot, Loaded<X>& x_in, Loaded<R>& r_in) const {
    load_slot<Spec, kPacked>(x_in, x, slot, there);
    if constexpr (Spec::kResidual) load_slot<Spec, kPacked>(r_in, residual, slot, there);
  }

  // h of a slot for the sum and the output; residual_out gets its part where `store` says so.
  RMSJIT_DEVICE Held take(int slot, Loaded<X>& x_in, Loaded<R>& r_in, float (&h)[Spec::kLeaf],
                          bool store) {
    Leaf<R> r_leaf;
    if constexpr (Spec::kResidual) r_leaf = settle<Spec>(r_in, residual, slot);
    const Held keep = add_residual<Spec>(settle<Spec>(x_in, x, slot), r_leaf, h);
    if constexpr (Spec::kResidual) {
      if (store) store_slot<Spec, kPacked>(r_leaf, residual_out, slot, there);
    }
    return keep;
  }

  // The sum of this thread's leaves kFirst, kFirst + kStep, ...: the halving order of the fixed
  // sum, cut into chunks.
  template <int kFirst = 0, int kStep = 1>
  RMSJIT_DEVICE float read() {
    enum : int { kTerms = (S::kSlots - kFirst + kStep - 1) / kStep };
    if constexpr (kTerms > S::kChunk) {
      const float even = read<kFirst, 2 * kStep>();
      return even + read<kFirst + kStep, 2 * kStep>();
    } else {
      Loaded<X> x_in[kTerms];
      Loaded<R> r_in[kTerms];
      float sums[kTerms];
      RMSJIT_UNROLL
      for (int i = 0; i < kTerms; ++i) load_inputs(kFirst + i * kStep, x_in[i], r_in[i]);
      if constexpr (kFirst == 0) {
        if constexpr (kWeightEarly && !Spec::kConstantWeight) load_early_weights();
        if constexpr (Spec::kTriggerAtLoads) pdl_trigger();
      }
      RMSJIT_UNROLL
      for (int i = 0; i < kTerms; ++i) {
        const int slot = kFirst + i * kStep;
        float h[Spec::kLeaf];
        // A slot that is read again stores with its second read: in place, it is its own input.
        hold(slot, take(slot, x_in[i], r_in[i], h, slot < S::kHeldSlots));
        sums[i] = term_of_leaf<Spec>(h);
      }
      return halving_sum(sums);
    }
  }

  RMSJIT_DEVICE void hold(int slot, const Held& keep) {
    if (slot < S::kRegisterSlots) {
      held[slot] = keep;
    } else if constexpr (Spec::kSharedSlots > 0) {
      if (slot >= S::kHeldSlots) return;
      RMSJIT_UNROLL
      for (int i = 0; i < Held::kWords; i += 4) shared_store(stash(slot, i), keep.quad(i));
    }
  }

  RMSJIT_DEVICE Held recall(int slot) const {
    Held keep;
    RMSJIT_UNROLL
    for (int i = 0; i < Held::kWords; i += 4) keep.set_quad(i, shared_load(stash(slot, i)));
    return keep;
  }

  // This thread's own cell: no other thread reads or writes it.
  RMSJIT_DEVICE Words<4>* stash(int slot, int word) const {
    const int cell = (slot - S::kRegisterSlots) * (Held::kWords / 4) + word / 4;
    return scratch.stash + cell * Spec::kThreads + thread_x();
  }

  RMSJIT_DEVICE void write(float rstd) {
    write_registers(rstd);
    if constexpr (S::kRegisterSlots < S::kSlots) {
      write_rest<false>(rstd, S::kRegisterSlots, S::kHeldSlots);
      if constexpr (S::kReread) write_rest<true>(rstd, S::kHeldSlots, S::kSlots);
    }
  }

  RMSJIT_DEVICE void write_registers(float rstd) {
    RMSJIT_UNROLL
    for (int first = 0; first < S::kRegisterSlots; first += kWriteChunk) {
      Leaf<W> w[kWriteChunk];
      RMSJIT_UNROLL
      for (int i = 0; i < kWriteChunk; ++i) {
        if (first + i >= S::kRegisterSlots) continue;
        if constexpr (kWeightEarly) {
          w[i] = early_weight[first + i];
        } else {
          load_weight(first + i, w[i]);
        }
      }
      RMSJIT_UNROLL
      for (int i = 0; i < kWriteChunk; ++i) {
        if (first + i < S::kRegisterSlots) write_leaf(first + i, held[first + i], w[i], rstd);
      }
    }
  }

  // Slots from shared memory, or read again. Rolled: such rows are long, and unrolled over all
  // slots the loads would need the registers that were missing in the first place.
  template <bool kAgain>
  RMSJIT_DEVICE void write_rest(float rstd, int begin, int end) {
    RMSJIT_NO_UNROLL
    for (int first = begin; first < end; first += kWriteChunk) {
      Loaded<X> x_in[kWriteChunk];
      Loaded<R> r_in[kWriteChunk];
      Leaf<W> w[kWriteChunk];
      RMSJIT_UNROLL
      for (int i = 0; i < kWriteChunk; ++i) {
        if (first + i >= end) continue;
        load_weight(first + i, w[i]);
        if constexpr (kAgain) load_inputs(first + i, x_in[i], r_in[i]);
      }
      RMSJIT_UNROLL
      for (int i = 0; i < kWriteChunk; ++i) {
        const int slot = first + i;
        if (slot >= end) continue;
        if constexpr (kAgain) {
          float h[Spec::kLeaf];
          write_leaf(slot, take(slot, x_in[i], r_in[i], h, true), w[i], rstd);
        } else {
          write_leaf(slot, recall(slot), w[i], rstd);
        }
      }
    }
  }

  RMSJIT_DEVICE void write_leaf(int slot, const Held& keep, const Leaf<W>& w, float rstd) {
    store_slot<Spec, kPacked>(normalise<Spec>(keep, w, rstd), y, slot, there);
  }
};

// The kernel. Every thread of the block runs all of it: one whose row is not there skips its loads
// and stores, never a wait, a barrier or a shuffle. Short rows have no branches around them: ptxas
// then has their loads and addresses in one stretch of code.
template <class Spec, bool kPacked>
RMSJIT_DEVICE void rmsnorm_rows(const RmsNormParams& p, Scratch<Spec>& scratch) {
  static_assert(sizeof(Scratch<Spec>) == Spec::kSharedBytes,
                "host and device disagree on shared memory: see render_spec.cc");
  if constexpr (Spec::kCluster > 1) begin_cluster(scratch);
  using Work = RowWork<Spec, kPacked>;
  const Place<kPacked> at = place_of_row<Spec, kPacked>(p);
  const bool works = !Work::kBranches || at.there;
  Work work(p, scratch, at);
  if constexpr (Work::kWeightEarly && Spec::kConstantWeight) work.load_early_weights();
  if constexpr (Spec::kPdl) {
    // ptxas would move all of that behind the wait, next to its use.
    compute_before(p.y);
    pdl_wait();
  }
  if constexpr (Spec::kTriggerAtWait) pdl_trigger();
  float terms = 0.0f;
  if (works) terms = work.read();
  const float sum = row_sum<Spec>(terms, scratch);
  if (works) work.write(reciprocal_rms<Spec>(sum, p.eps));
  if constexpr (Spec::kTriggerAtEnd) pdl_trigger();
}

}  // namespace rmsjit

#endif  // RMSJIT_RMSNORM_CUH
