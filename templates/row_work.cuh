// SPDX-License-Identifier: Apache-2.0
// What one thread does for its row: reads its leaves for the sum, holds them, writes the output.
#ifndef RMSJIT_ROW_WORK_CUH
#define RMSJIT_ROW_WORK_CUH

#include "reduce.cuh"
#include "row_io.cuh"
#include "row_math.cuh"

namespace rmsjit {

// All loads of a chunk come before its first store, so that they are in flight together.
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
    kStandIn = kPacked && S::kStandIn,
    // A row that is not there branches around its work instead of predicating each load and store:
    // with a residual, or several slots, ptxas moved predicated accesses behind the sum (fused add
    // of 256 elements: 1.51 -> 1.70 us). Not where lanes of other rows take part in the work.
    kBranches = kPacked && !kStandIn && Spec::kMaxRows > 1 && Spec::kLeaf == 8 &&
                (Spec::kResidual || S::kSlots > 1),
    // Addresses before the loads instead of after the sum, y's at least: 1 to 3 % of short rows;
    // and all that a branch around the loads would have between them (2 to 3 %), but of a fused add
    // in a block of more than four warps: up to 3 % more of large batches L2-cold (4 % less
    // L2-warm). In a block of one row it would load later (1 to 2 %), under PDL many rows L2-cold
    // took up to 1.17 times as long, and a thread of 1024 has no register for it.
    kSoonY = Spec::kMaxRows > 1 ? !(Spec::kPdl && Spec::kResidual)
                                : !Spec::kResidual && !Spec::kPdl && Spec::kThreads <= 512,
    kSoonAll = Spec::kMaxRows > 1 &&
               (!Spec::kResidual || (kBranches && Spec::kThreads * Spec::kMaxRows <= 128)),
    // The other entry's loads take more registers: with four slots and the weight ptxas spills.
    kWeightEarly = Spec::kWeightEarly && (kPacked || S::kSlots < 4),
    // Where it is held, ptxas loads the weight when x has arrived. That is right while every
    // multiprocessor reads the same weight at once, and under PDL; in the fused add of a cluster
    // the weight is then what a block waits for (16384 elements: 3 to 10 % from 128 rows on).
    kWeightAtOnce =
        kWeightEarly && Spec::kHasWeight && Spec::kResidual && Spec::kCluster > 1 && !Spec::kPdl,
    // In few rows of several leaves a thread it is loaded when x has arrived, because what comes
    // earlier comes in place of x (2 to 5 %), but is asked for from DRAM at the start: else L2-cold
    // a launch takes 1.15 times as long.
    kWeightAhead = Spec::kWeightAhead && kPacked && S::kTail == 0
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
  const L2Policy l2;  // of x and the residual, where Spec::kInputPolicy
  Held held[S::kRegisterSlots > 0 ? S::kRegisterSlots : 1];
  Leaf<W> early_weight[kWeightEarly ? S::kSlots : 1];

  // Done before the PDL wait: the addresses come from the arguments alone.
  RMSJIT_DEVICE RowWork(const RmsNormParams& p, Scratch<Spec>& shared, const Place<kPacked>& at)
      : scratch(shared), there(kBranches || at.there), l2(l2_policy(p.input_policy)) {
    const int first = row_thread<Spec>() * Spec::kLeaf;
    // Of a row that is not there nothing is stored, and nothing loaded but where another stands in.
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
      residual = leaf_at<R, kSoonAll>(
          p.residual, first,
          offset(whole<kPacked>(p.residual_token_stride, p.upper.residual_token_stride),
                 whole<kPacked>(p.residual_head_stride, p.upper.residual_head_stride)));
      residual_out = leaf_at<R, kSoonAll>(
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
    const bool reads = kStandIn || there;
    if constexpr (Spec::kInputPolicy) {
      load_slot<Spec, kPacked>(x_in, x, slot, reads, l2);
      if constexpr (Spec::kResidual) load_slot<Spec, kPacked>(r_in, residual, slot, reads, l2);
    } else {
      load_slot<Spec, kPacked>(x_in, x, slot, reads);
      if constexpr (Spec::kResidual) load_slot<Spec, kPacked>(r_in, residual, slot, reads);
    }
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
        if constexpr (kWeightAtOnce) compute_before(x);
        if constexpr (kWeightEarly && !Spec::kConstantWeight) load_early_weights();
        if constexpr (kWeightAtOnce) compute_before(weight);
        if constexpr (Spec::kTriggerAtIssue || Spec::kTriggerAtLoads) pdl_trigger();
        // Nothing that reads what the loads bring comes before this.
        if constexpr (Spec::kTriggerAtIssue) compute_before(x);
      }
      RMSJIT_UNROLL
      for (int i = 0; i < kTerms; ++i) {
        const int slot = kFirst + i * kStep;
        float h[Spec::kLeaf];
        // A slot that is read again stores with its second read: in place, it is its own input.
        hold(slot, take(slot, x_in[i], r_in[i], h, slot < S::kHeldSlots));
        sums[i] = term_of_leaf<Spec>(h);
      }
      // ptxas would store residual_out with y, where nothing ends the code before the sum.
      if constexpr (kStandIn) compute_before(residual_out);
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

}  // namespace rmsjit

#endif  // RMSJIT_ROW_WORK_CUH
