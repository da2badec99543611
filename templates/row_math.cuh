// SPDX-License-Identifier: Apache-2.0
// What is computed of a leaf, and the one number that its row shares:
//   h = f32(x) [+ f32(r)]          s = fixed sum of h*h       m = fma(s, RN(1/hidden), eps)
//   rstd = m == 0 ? 0 : 1/sqrt(m)  y = rn(h * rstd * w')      w' = w, 1 + w, or absent
// (Zhang and Sennrich 2019.) kSumRounded, kOutputRounded and kRoundTwice say where h and h * rstd
// are rounded on the way. The sum is in reduce.cuh.
#ifndef RMSJIT_ROW_MATH_CUH
#define RMSJIT_ROW_MATH_CUH

#include "reduce.cuh"
#include "rmsnorm_params.h"

namespace rmsjit {

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
RMSJIT_DEVICE float reciprocal_rms(float sum, const RmsNormParams& p) {
  const float eps = p.eps, m = fused_multiply_add(sum, Spec::inv_hidden(), eps);
  if constexpr (!Spec::kExactRoot) {
    // m is no less, and so neither 0 nor subnormal: one instruction instead of seven that wait for
    // each other, up to 1 % of a short row. eps is known long before.
    if (eps >= 0x1p-126f) return rsqrt_fast_of_normal(m);
    // Where several plain rows join their lanes by shuffles alone, ptxas would compute both roots
    // under predicates instead of branching: 1 to 4 % of 128 and 256 elements.
    if constexpr (Spec::kMaxRows > 1 && !Spec::kResidual && !Scratch<Spec>::kOthersRead) {
      compute_before(p.y);
    }
  }
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

}  // namespace rmsjit

#endif  // RMSJIT_ROW_MATH_CUH
