// SPDX-License-Identifier: Apache-2.0
// The row body, one for every variant:
//   h = f32(x) [+ f32(r)]          s = fixed sum of h*h       m = fma(s, RN(1/hidden), eps)
//   rstd = m == 0 ? 0 : 1/sqrt(m)  y = rn(h * rstd * w')      w' = w, 1 + w, or absent
// (Zhang and Sennrich 2019.) AddRound and MulRound say where h and h * rstd are rounded on the way.
//
// Map: block = (kThreads, rows of a block); thread t of a row holds the leaves slot*kThreads + t.
// A row moves x and residual once (slots that fit neither registers nor shared memory: twice, the
// second time from L2), residual_out and y once, the weight once from L2. Limits: hidden 1 ..
// 262144, 64-bit strides, rows < 2^31 blocks.
#ifndef RMSJIT_RMSNORM_CUH
#define RMSJIT_RMSNORM_CUH

#include "numeric.cuh"
#include "realign.cuh"
#include "reduce.cuh"
#include "rmsnorm_params.h"

namespace rmsjit {

template <class Spec>
struct Shape {
  static constexpr int kFullLeaves = Spec::kHidden / kLeafElements;
  static constexpr int kTail = Spec::kHidden % kLeafElements;
  static constexpr int kLeaves = kFullLeaves + (kTail != 0);
  static constexpr int kSlots = (kLeaves + Spec::kThreads - 1) / Spec::kThreads;
  // Leaves whose loads are in flight together: all of a short row, and never more registers than
  // the widest block leaves a thread.
  static constexpr int kChunk = kSlots < Spec::kChunk ? kSlots : Spec::kChunk;
  // Where h waits for the sum, by slot: registers, then shared memory; what is left is read again.
  static constexpr int kRegisterSlots = Spec::kRegisterSlots;
  static constexpr int kHeldSlots = kRegisterSlots + Spec::kSharedSlots;
  static constexpr bool kReread = kHeldSlots < kSlots;
  static_assert(kHeldSlots <= kSlots && (!Spec::kWeightEarly || kRegisterSlots == kSlots),
                "a plan holds more than the row: see launch_plan.cc");
  // The unpacked entry realigns long rows whose size is no multiple of a leaf: contiguous, they are
  // unaligned all but always. Elsewhere it serves the odd view, and the code is not worth its
  // compile time.
  static constexpr bool kRealign = kTail != 0 && Spec::kThreads >= kWarpThreads;
  static_assert(kSlots == 1 || (Spec::kThreads & (Spec::kThreads - 1)) == 0,
                "a row of several slots needs a power-of-two number of threads");
  static_assert(Spec::kThreads % kWarpThreads == 0 || kWarpThreads % Spec::kThreads == 0,
                "the threads of a row are whole warps or divide one");
};

// Calls f(leaf, elements of it) if this thread has a leaf in `slot`. With a constant slot the
// comparisons fold away except in the row's last slot. (A plain int: NVRTC takes a lambda with an
// auto parameter for host code.)
template <class Spec, class F>
RMSJIT_DEVICE void with_leaf(int slot, const F& f) {
  using S = Shape<Spec>;
  const int leaf = slot * Spec::kThreads + static_cast<int>(thread_x());
  if ((slot + 1) * Spec::kThreads <= S::kFullLeaves || leaf < S::kFullLeaves) {
    f(leaf, kLeafElements);
  } else if constexpr (S::kTail != 0) {
    if (leaf == S::kFullLeaves) f(leaf, S::kTail);
  }
}

template <class Spec, class T, Load kLoad, bool kPacked>
RMSJIT_DEVICE void load_row_leaf(Leaf<T>& leaf, const typename T::Storage* row, int index,
                                 int count) {
  if (!kPacked && Shape<Spec>::kRealign && index > 0 && index + 1 < Shape<Spec>::kFullLeaves) {
    load_realigned<T, kLoad>(leaf, row + index * kLeafElements);
  } else {
    load_leaf<T, kLoad, kPacked>(leaf, row, index, count);
  }
}

// Stores a slot's leaves; every thread of the row calls it, with or without a leaf.
template <class Spec, class T, bool kPacked>
RMSJIT_DEVICE void store_slot(const Leaf<T>& leaf, typename T::Storage* row, int slot) {
  if constexpr (kPacked || !Shape<Spec>::kRealign) {
    with_leaf<Spec>(slot,
                    [&](int index, int count) { store_leaf<T, kPacked>(leaf, row, index, count); });
  } else {
    const Words<4> before = last_words_of_lane_below(leaf);
    with_leaf<Spec>(slot, [&](int index, int count) {
      if (count < kLeafElements) {
        store_leaf<T, false>(leaf, row, index, count);
      } else {
        const u32 lane = thread_x() % kWarpThreads;
        const bool last = lane == kWarpThreads - 1 || index + 1 >= Shape<Spec>::kFullLeaves;
        store_realigned<T>(leaf, before, row + index * kLeafElements, lane == 0, last);
      }
    });
  }
}

// The five tensors at one row. PDL keeps x and residual off the read-only path (another kernel may
// still be writing them when this one starts), and so does a row that is overwritten in place.
template <class Spec, bool kPacked>
struct RowTensors {
  using X = typename Spec::X;
  using W = typename Spec::W;
  using R = typename Spec::R;
  using Y = typename Spec::Y;
  static constexpr Load kXLoad =
      Spec::kPdl || Spec::kYInPlace || Shape<Spec>::kReread ? Load::kCoherent : Load::kReadOnly;
  static constexpr Load kRLoad = Spec::kPdl || Spec::kResidualInPlace || Shape<Spec>::kReread
                                     ? Load::kCoherent
                                     : Load::kReadOnly;
  static constexpr Load kWLoad =
      Spec::kPdl && !Spec::kConstantWeight ? Load::kCoherent : Load::kReadOnly;

  const typename X::Storage* x;
  const typename R::Storage* residual;
  typename R::Storage* residual_out;
  typename Y::Storage* y;

  RMSJIT_DEVICE RowTensors(const RmsNormParams& p, i64 row) {
    i64 token = row;
    i64 head = 0;
    if constexpr (Spec::kHeads) {
      token = row / p.heads;
      head = row - token * p.heads;
    }
    x = static_cast<const typename X::Storage*>(p.x) + offset(p.x_stride, token, head);
    y = static_cast<typename Y::Storage*>(p.y) + offset(p.y_stride, token, head);
    if constexpr (Spec::kResidual) {
      residual = static_cast<const typename R::Storage*>(p.residual) +
                 offset(p.residual_stride, token, head);
      residual_out = static_cast<typename R::Storage*>(p.residual_out) +
                     offset(p.residual_out_stride, token, head);
    }
  }

  static RMSJIT_DEVICE i64 offset(const TensorStrides& stride, i64 token, i64 head) {
    return token * stride.token + (Spec::kHeads ? head * stride.head : 0);
  }

  RMSJIT_DEVICE void load_inputs(int leaf, int count, Leaf<X>& x_leaf, Leaf<R>& r_leaf) const {
    load_row_leaf<Spec, X, kXLoad, kPacked>(x_leaf, x, leaf, count);
    if constexpr (Spec::kResidual) {
      load_row_leaf<Spec, R, kRLoad, kPacked>(r_leaf, residual, leaf, count);
    }
  }
};

// h of one leaf: what the statistics take (h), what the output takes (held), and, with a residual,
// what residual_out receives (r_leaf, rounded).
template <class Spec>
RMSJIT_DEVICE void add_residual(const Leaf<typename Spec::X>& x_leaf,
                                Leaf<typename Spec::R>& r_leaf, float (&h)[kLeafElements],
                                Leaf<HeldType<Spec>>& held) {
  x_leaf.widen(h);
  if constexpr (Spec::kResidual) {
    float r[kLeafElements];
    r_leaf.widen(r);
    RMSJIT_UNROLL
    for (int i = 0; i < kLeafElements; ++i) h[i] = h[i] + r[i];
    r_leaf.narrow(h);
    if constexpr (Spec::kAddRound == AddRound::kRounded) r_leaf.widen(h);
    if constexpr (Spec::kAddRound == AddRound::kUnrounded) {
      held.narrow(h);
    } else {
      held = r_leaf;
    }
  } else {
    held = x_leaf;
  }
}

template <class Spec>
RMSJIT_DEVICE float reciprocal_rms(float sum, float eps) {
  const float m = fused_multiply_add(sum, Spec::kInvHidden, eps);
  const float root = Spec::kExactRoot ? rsqrt_exact(m) : rsqrt_fast(m);
  return m == 0.0f ? 0.0f : root;
}

template <class Spec>
RMSJIT_DEVICE void normalise(const Leaf<HeldType<Spec>>& held, const Leaf<typename Spec::W>& w_leaf,
                             float rstd, Leaf<typename Spec::Y>& y_leaf) {
  float v[kLeafElements];
  held.widen(v);
  RMSJIT_UNROLL
  for (int i = 0; i < kLeafElements; ++i) v[i] = v[i] * rstd;
  if constexpr (Spec::kHasWeight) {
    if constexpr (Spec::kMulRound == MulRound::kTwice) {
      Leaf<typename Spec::X> rounded;
      rounded.narrow(v);
      rounded.widen(v);
    }
    float w[kLeafElements];
    w_leaf.widen(w);
    RMSJIT_UNROLL
    for (int i = 0; i < kLeafElements; ++i) {
      if constexpr (Spec::kOnePlus) w[i] = 1.0f + w[i];
      v[i] = v[i] * w[i];
    }
  }
  y_leaf.narrow(v);
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
  using Held = Leaf<HeldType<Spec>>;
  using Tensors = RowTensors<Spec, kPacked>;
  // Weights in flight together where they are not loaded before the sum.
  static constexpr int kWriteChunk = 2;

  const RmsNormParams& p;
  Scratch<Spec>& scratch;
  Held held[S::kRegisterSlots > 0 ? S::kRegisterSlots : 1];
  Leaf<W> early_weight[Spec::kWeightEarly ? S::kSlots : 1];

  RMSJIT_DEVICE RowWork(const RmsNormParams& params, Scratch<Spec>& shared)
      : p(params), scratch(shared) {}

  RMSJIT_DEVICE void load_weight(int slot, Leaf<W>& w) const {
    w.clear();
    if constexpr (Spec::kHasWeight) {
      with_leaf<Spec>(slot, [&](int leaf, int count) {
        load_row_leaf<Spec, W, Tensors::kWLoad, kPacked>(
            w, static_cast<const typename W::Storage*>(p.weight), leaf, count);
      });
    }
  }

  RMSJIT_DEVICE void load_early_weights() {
    RMSJIT_UNROLL
    for (int slot = 0; slot < S::kSlots; ++slot) load_weight(slot, early_weight[slot]);
  }

  RMSJIT_DEVICE static void load_inputs(const Tensors& row, int slot, Leaf<X>& x, Leaf<R>& r) {
    x.clear();
    r.clear();
    with_leaf<Spec>(slot, [&](int leaf, int count) { row.load_inputs(leaf, count, x, r); });
  }

  // The sum of this thread's leaves kFirst, kFirst + kStep, ...: the halving order of the fixed
  // sum, cut into chunks.
  template <int kFirst = 0, int kStep = 1>
  RMSJIT_DEVICE float read(const Tensors& row) {
    constexpr int kTerms = (S::kSlots - kFirst + kStep - 1) / kStep;
    if constexpr (kTerms > S::kChunk) {
      const float even = read<kFirst, 2 * kStep>(row);
      return even + read<kFirst + kStep, 2 * kStep>(row);
    } else {
      Leaf<X> x[kTerms];
      Leaf<R> r[kTerms];
      float sums[kTerms];
      RMSJIT_UNROLL
      for (int i = 0; i < kTerms; ++i) load_inputs(row, kFirst + i * kStep, x[i], r[i]);
      // The next kernel may start once this one's loads are under way: it waits for the end of this
      // one before it touches memory, and its start-up hides behind them.
      if constexpr (Spec::kPdl && !Spec::kTriggerFirst && kFirst == 0) pdl_trigger();
      RMSJIT_UNROLL
      for (int i = 0; i < kTerms; ++i) {
        const int slot = kFirst + i * kStep;
        float h[kLeafElements];
        Held keep;
        add_residual<Spec>(x[i], r[i], h, keep);
        sums[i] = leaf_sum(h);
        hold(slot, keep);
        // A slot that is read again stores with its second read: in place, it is its own input.
        if (Spec::kResidual && slot < S::kHeldSlots) {
          store_slot<Spec, R, kPacked>(r[i], row.residual_out, slot);
        }
      }
      return halving_sum<kTerms>([&](int i) { return sums[i]; });
    }
  }

  RMSJIT_DEVICE void hold(int slot, const Held& keep) {
    if (slot < S::kRegisterSlots) {
      held[slot < S::kRegisterSlots ? slot : 0] = keep;
    } else if (slot < S::kHeldSlots) {
      RMSJIT_UNROLL
      for (int i = 0; i < Held::kWords; i += 4) {
        shared_store(stash(slot, i),
                     Words<4>{keep.word[i], keep.word[i + 1], keep.word[i + 2], keep.word[i + 3]});
      }
    }
  }

  RMSJIT_DEVICE Held recall(int slot) const {
    Held keep;
    RMSJIT_UNROLL
    for (int i = 0; i < Held::kWords; i += 4) {
      const Words<4> v = shared_load(stash(slot, i));
      RMSJIT_UNROLL
      for (int j = 0; j < 4; ++j) keep.word[i + j] = v.w[j];
    }
    return keep;
  }

  // This thread's own cell: no other thread reads or writes it.
  RMSJIT_DEVICE Words<4>* stash(int slot, int word) const {
    const int cell = (slot - S::kRegisterSlots) * (Held::kWords / 4) + word / 4;
    return scratch.stash + cell * Spec::kThreads + thread_x();
  }

  RMSJIT_DEVICE void write_leaf(const Tensors& row, int slot, const Held& keep, const Leaf<W>& w,
                                float rstd) const {
    Leaf<Y> y;
    normalise<Spec>(keep, w, rstd, y);
    store_slot<Spec, Y, kPacked>(y, row.y, slot);
  }

  // Compile-time recursion, like read: a register array is indexed by constants or it is no
  // register array.
  template <int kFirst = 0>
  RMSJIT_DEVICE void write_registers(const Tensors& row, float rstd) const {
    if constexpr (kFirst < S::kRegisterSlots) {
      constexpr int kLeft = S::kRegisterSlots - kFirst;
      constexpr int kCount = kLeft < kWriteChunk ? kLeft : kWriteChunk;
      Leaf<W> w[kCount];
      RMSJIT_UNROLL
      for (int i = 0; i < kCount; ++i) {
        if constexpr (Spec::kWeightEarly) {
          w[i] = early_weight[kFirst + i];
        } else {
          load_weight(kFirst + i, w[i]);
        }
      }
      RMSJIT_UNROLL
      for (int i = 0; i < kCount; ++i) {
        write_leaf(row, kFirst + i, held[kFirst + i], w[i], rstd);
      }
      write_registers<kFirst + kCount>(row, rstd);
    }
  }

  RMSJIT_DEVICE void write(const Tensors& row, float rstd) const {
    write_registers(row, rstd);
    if constexpr (S::kRegisterSlots < S::kSlots) {
      write_rest<false>(row, rstd, S::kRegisterSlots, S::kHeldSlots);
      if constexpr (S::kReread) write_rest<true>(row, rstd, S::kHeldSlots, S::kSlots);
    }
  }

  // Slots from shared memory, or read again. Rolled: such rows are long, and unrolled over all
  // slots the loads would need the registers that were missing in the first place.
  template <bool kAgain>
  RMSJIT_DEVICE void write_rest(const Tensors& row, float rstd, int begin, int end) const {
    RMSJIT_NO_UNROLL
    for (int first = begin; first < end; first += kWriteChunk) {
      Leaf<X> x[kWriteChunk];
      Leaf<R> r[kWriteChunk];
      Leaf<W> w[kWriteChunk];
      RMSJIT_UNROLL
      for (int i = 0; i < kWriteChunk; ++i) {
        load_weight(first + i, w[i]);
        if constexpr (kAgain) load_inputs(row, first + i, x[i], r[i]);
      }
      RMSJIT_UNROLL
      for (int i = 0; i < kWriteChunk; ++i) {
        if (first + i < end) write_again<kAgain>(row, rstd, first + i, x[i], r[i], w[i]);
      }
    }
  }

  template <bool kAgain>
  RMSJIT_DEVICE void write_again(const Tensors& row, float rstd, int slot, const Leaf<X>& x,
                                 Leaf<R>& r, const Leaf<W>& w) const {
    Held keep;
    if constexpr (kAgain) {
      float h[kLeafElements];
      add_residual<Spec>(x, r, h, keep);
      if constexpr (Spec::kResidual) store_slot<Spec, R, kPacked>(r, row.residual_out, slot);
    } else {
      keep = recall(slot);
    }
    write_leaf(row, slot, keep, w, rstd);
  }
};

// The kernel. Every thread of the block runs it to the end: rows beyond p.rows skip their loads and
// stores, never a wait, a barrier or a shuffle.
template <class Spec, bool kPacked>
RMSJIT_DEVICE void rmsnorm_rows(const RmsNormParams& p, Scratch<Spec>& scratch) {
  i64 index = block_x();
  if constexpr (Spec::kMaxRows > 1) index = index * rows_per_block() + thread_y();
  const bool active = Spec::kMaxRows == 1 || index < p.rows;

  RowWork<Spec, kPacked> work(p, scratch);
  if constexpr (Spec::kWeightEarly && Spec::kConstantWeight) {
    if (active) work.load_early_weights();
  }
  if constexpr (Spec::kPdl) pdl_wait();
  if constexpr (Spec::kPdl && Spec::kTriggerFirst) pdl_trigger();
  const RowTensors<Spec, kPacked> row(p, active ? index : 0);
  float sum = 0.0f;
  if (active) {
    if constexpr (Spec::kWeightEarly && !Spec::kConstantWeight) work.load_early_weights();
    sum = work.read(row);
  }
  sum = row_sum<Spec>(sum, scratch);
  const float rstd = reciprocal_rms<Spec>(sum, p.eps);
  if (active) work.write(row, rstd);
}

}  // namespace rmsjit

#endif  // RMSJIT_RMSNORM_CUH
