// SPDX-License-Identifier: Apache-2.0
// The row body, one for every variant:
//   h = f32(x) [+ f32(r)]          s = fixed sum of h*h       m = fma(s, RN(1/hidden), eps)
//   rstd = m == 0 ? 0 : 1/sqrt(m)  y = rn(h * rstd * w')      w' = w, 1 + w, or absent
// (Zhang and Sennrich 2019.) AddRound and MulRound say where h and h * rstd are rounded on the way.
//
// Map: block = (kThreads, rows of a block); thread t of a row holds the leaves slot*kThreads + t.
// A row moves x once (kReread: twice, the second time from L2), residual in and out, y once, the
// weight once a row from L2. Limits: hidden 1 .. 262144, 64-bit strides, rows < 2^31 blocks.
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
  // The unpacked entry realigns long rows whose size is no multiple of a leaf: contiguous, they are
  // unaligned all but always. Elsewhere it serves the odd view, and the code is not worth its
  // compile time.
  static constexpr bool kRealign = kTail != 0 && Spec::kThreads >= kWarpThreads;
  static_assert(kSlots == 1 || (Spec::kThreads & (Spec::kThreads - 1)) == 0,
                "a row of several slots needs a power-of-two number of threads");
  static_assert(Spec::kThreads % kWarpThreads == 0 || kWarpThreads % Spec::kThreads == 0,
                "the threads of a row are whole warps or divide one");
};

// What a thread keeps of h between the sum and the output.
template <class Spec>
using HeldType = typename PickType<
    Spec::kResidual,
    typename PickType<Spec::kAddRound == AddRound::kUnrounded, f32_t, typename Spec::R>::type,
    typename Spec::X>::type;

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
      Spec::kPdl || Spec::kYInPlace || Spec::kReread ? Load::kCoherent : Load::kReadOnly;
  static constexpr Load kRLoad =
      Spec::kPdl || Spec::kResidualInPlace || Spec::kReread ? Load::kCoherent : Load::kReadOnly;
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

template <class Spec, bool kPacked>
RMSJIT_DEVICE void load_weight(const RmsNormParams& p, int leaf, int count,
                               Leaf<typename Spec::W>& w_leaf) {
  if constexpr (Spec::kHasWeight) {
    using W = typename Spec::W;
    load_row_leaf<Spec, W, RowTensors<Spec, kPacked>::kWLoad, kPacked>(
        w_leaf, static_cast<const typename W::Storage*>(p.weight), leaf, count);
  }
}

// A row kept in registers between the sum and the output: read once.
template <class Spec, bool kPacked>
struct HeldRow {
  using S = Shape<Spec>;
  using Tensors = RowTensors<Spec, kPacked>;
  Leaf<HeldType<Spec>> held[S::kSlots];
  Leaf<typename Spec::W> weight[Spec::kWeightEarly ? S::kSlots : S::kChunk];

  RMSJIT_DEVICE void load_weights(const RmsNormParams& p, int first, int slots) {
    RMSJIT_UNROLL
    for (int i = 0; i < slots; ++i) {
      weight[i].clear();
      with_leaf<Spec>(first + i, [&](int leaf, int count) {
        load_weight<Spec, kPacked>(p, leaf, count, weight[i]);
      });
    }
  }

  // The sum of this thread's leaves. All loads of a chunk come before its first store.
  RMSJIT_DEVICE float read(const Tensors& row) {
    float sums[S::kSlots];
    RMSJIT_UNROLL
    for (int first = 0; first < S::kSlots; first += S::kChunk) {
      Leaf<typename Spec::X> x[S::kChunk];
      Leaf<typename Spec::R> r[S::kChunk];
      RMSJIT_UNROLL
      for (int i = 0; i < S::kChunk && first + i < S::kSlots; ++i) {
        x[i].clear();
        r[i].clear();
        with_leaf<Spec>(first + i,
                        [&](int leaf, int count) { row.load_inputs(leaf, count, x[i], r[i]); });
      }
      RMSJIT_UNROLL
      for (int i = 0; i < S::kChunk && first + i < S::kSlots; ++i) {
        float h[kLeafElements];
        add_residual<Spec>(x[i], r[i], h, held[first + i]);
        sums[first + i] = leaf_sum(h);
        if constexpr (Spec::kResidual) {
          store_slot<Spec, typename Spec::R, kPacked>(r[i], row.residual_out, first + i);
        }
      }
    }
    return halving_sum<S::kSlots>([&](int slot) { return sums[slot]; });
  }

  RMSJIT_DEVICE void write(const RmsNormParams& p, const Tensors& row, float rstd) {
    RMSJIT_UNROLL
    for (int first = 0; first < S::kSlots; first += S::kChunk) {
      const int slots = S::kSlots - first < S::kChunk ? S::kSlots - first : S::kChunk;
      if constexpr (!Spec::kWeightEarly) load_weights(p, first, slots);
      RMSJIT_UNROLL
      for (int i = 0; i < slots; ++i) {
        Leaf<typename Spec::Y> y;
        normalise<Spec>(held[first + i], weight[Spec::kWeightEarly ? first + i : i], rstd, y);
        store_slot<Spec, typename Spec::Y, kPacked>(y, row.y, first + i);
      }
    }
  }
};

// A row too long for registers: read for the sum, then read again for the output. Nothing is
// stored before the second read, so an output in place is still its input then.
template <class Spec, bool kPacked>
struct RereadRow {
  using S = Shape<Spec>;
  using Tensors = RowTensors<Spec, kPacked>;

  RMSJIT_DEVICE void load_weights(const RmsNormParams&, int, int) {}

  RMSJIT_DEVICE float read(const Tensors& row) {
    return halving_sum<S::kSlots>([&](int slot) {
      Leaf<typename Spec::X> x;
      Leaf<typename Spec::R> r;
      x.clear();
      r.clear();
      with_leaf<Spec>(slot, [&](int leaf, int count) { row.load_inputs(leaf, count, x, r); });
      float h[kLeafElements];
      Leaf<HeldType<Spec>> held;
      add_residual<Spec>(x, r, h, held);
      return leaf_sum(h);
    });
  }

  RMSJIT_DEVICE void write(const RmsNormParams& p, const Tensors& row, float rstd) {
    // Rolled on purpose: unrolled over all slots the loads would need the registers of HeldRow.
    for (int slot = 0; slot < S::kSlots; ++slot) {
      Leaf<typename Spec::X> x;
      Leaf<typename Spec::R> r;
      Leaf<typename Spec::W> w;
      x.clear();
      r.clear();
      w.clear();
      with_leaf<Spec>(slot, [&](int leaf, int count) {
        row.load_inputs(leaf, count, x, r);
        load_weight<Spec, kPacked>(p, leaf, count, w);
      });
      float h[kLeafElements];
      Leaf<HeldType<Spec>> held;
      add_residual<Spec>(x, r, h, held);
      if constexpr (Spec::kResidual) {
        store_slot<Spec, typename Spec::R, kPacked>(r, row.residual_out, slot);
      }
      Leaf<typename Spec::Y> y;
      normalise<Spec>(held, w, rstd, y);
      store_slot<Spec, typename Spec::Y, kPacked>(y, row.y, slot);
    }
  }
};

// The kernel. Every thread of the block runs it to the end: rows beyond p.rows skip their loads and
// stores, never a wait, a barrier or a shuffle.
template <class Spec, bool kPacked>
RMSJIT_DEVICE void rmsnorm_rows(const RmsNormParams& p, Scratch<Spec>& scratch) {
  using Row =
      typename PickType<Spec::kReread, RereadRow<Spec, kPacked>, HeldRow<Spec, kPacked>>::type;
  constexpr int kSlots = Shape<Spec>::kSlots;
  i64 index = block_x();
  if constexpr (Spec::kMaxRows > 1) index = index * rows_per_block() + thread_y();
  const bool active = Spec::kMaxRows == 1 || index < p.rows;

  Row data;
  if constexpr (Spec::kWeightEarly && Spec::kConstantWeight) {
    if (active) data.load_weights(p, 0, kSlots);
  }
  if constexpr (Spec::kPdl) pdl_wait();
  const RowTensors<Spec, kPacked> row(p, active ? index : 0);
  float sum = 0.0f;
  if (active) {
    if constexpr (Spec::kWeightEarly && !Spec::kConstantWeight) data.load_weights(p, 0, kSlots);
    sum = data.read(row);
  }
  if constexpr (Spec::kPdl) pdl_trigger();
  sum = row_sum<Spec>(sum, scratch);
  const float rstd = reciprocal_rms<Spec>(sum, p.eps);
  if (active) data.write(p, row, rstd);
}

}  // namespace rmsjit

#endif  // RMSJIT_RMSNORM_CUH
