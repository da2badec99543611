// SPDX-License-Identifier: Apache-2.0
// NormSpec: the maths that a caller asks for. Everything in it changes the compiled kernel or what
// launch accepts; rows, strides, eps, pointers and streams are run-time arguments and not here.
// A plain value; spec_text.h validates it, writes it as text and reads it back.
#ifndef RMSJIT_SPEC_H_
#define RMSJIT_SPEC_H_

#include <cstdint>

namespace rmsjit {

inline constexpr int64_t kMaxHidden = 262144;

// The numbers are part of the C ABI; 0 is each field's default.
enum class Layout : int32_t {
  kRows = 0,   // [tokens, hidden]
  kHeads = 1,  // [tokens, heads, hidden], a token and a head stride for each tensor
};
enum class DType : int32_t {
  kDefault = 0,  // bf16 for x; the same as x for the others
  kBf16 = 1,
  kF16 = 2,
  kF32 = 3,
  kNone = 4,  // weight only: weightless
};
enum class Residual : int32_t { kNone = 0, kAdd = 1 };
enum class WeightForm : int32_t { kPlain = 0, kOnePlus = 1 };
enum class YPlacement : int32_t { kOutOfPlace = 0, kInPlace = 1 };
enum class ResidualPlacement : int32_t { kInPlace = 0, kOutOfPlace = 1 };
enum class AddRound : int32_t { kRounded = 0, kUnrounded = 1, kStatsUnrounded = 2 };
enum class MulRound : int32_t { kOnce = 0, kTwice = 1 };
enum class Root : int32_t { kFast = 0, kExact = 1 };
enum class Pdl : int32_t { kOff = 0, kOn = 1, kAuto = 2 };
enum class ConstantWeight : int32_t { kOff = 0, kOn = 1 };

struct NormSpec {
  int64_t hidden = 0;  // elements a row, 1 .. kMaxHidden; any value, odd and prime included
  Layout layout = Layout::kRows;
  DType x = DType::kDefault;                    // activation: bf16, f16 or f32
  DType weight = DType::kDefault;               // bf16, f16, f32 or none
  DType y = DType::kDefault;                    // output: bf16, f16 or f32
  Residual residual = Residual::kNone;          // add: h = x + residual, stored to residual_out
  DType residual_dtype = DType::kDefault;       // same as x, or f32
  WeightForm weight_form = WeightForm::kPlain;  // one_plus: 1 + w, added in fp32 (Gemma)
  YPlacement y_placement = YPlacement::kOutOfPlace;  // in_place: y is x, of the same dtype
  ResidualPlacement residual_placement = ResidualPlacement::kInPlace;
  // Where h is rounded to the residual's dtype. rounded: before everything (vLLM, HF, Liger).
  // unrounded: only when stored (FlashInfer, quack). stats_unrounded: after the statistics.
  AddRound add_round = AddRound::kRounded;
  // once: fp32 product, one rounding. twice: x*rstd is rounded to x's dtype first (HF Llama).
  MulRound mul_round = MulRound::kOnce;
  // exact: correctly rounded 1/sqrt, the same bits on every GPU and in the emulator.
  Root root = Root::kFast;
  Pdl pdl = Pdl::kOff;  // programmatic dependent launch; auto: on for sm_90 and newer
  // on: a promise that no kernel still in flight writes the weight, so that it may be loaded
  // before the PDL wait.
  ConstantWeight constant_weight = ConstantWeight::kOff;

  friend bool operator==(const NormSpec&, const NormSpec&) = default;

  // The dtypes with kDefault resolved.
  DType x_dtype() const { return x == DType::kDefault ? DType::kBf16 : x; }
  DType weight_dtype() const { return weight == DType::kDefault ? x_dtype() : weight; }
  DType y_dtype() const { return y == DType::kDefault ? x_dtype() : y; }
  DType residual_dtype_resolved() const {
    return residual_dtype == DType::kDefault ? x_dtype() : residual_dtype;
  }
  bool has_residual() const { return residual == Residual::kAdd; }
  bool has_weight() const { return weight != DType::kNone; }
};

inline int64_t dtype_bytes(DType dtype) {
  return dtype == DType::kF32 ? 4 : dtype == DType::kNone ? 0 : 2;
}

}  // namespace rmsjit

#endif  // RMSJIT_SPEC_H_
