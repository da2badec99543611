// SPDX-License-Identifier: Apache-2.0
// NormSpec as the C ABI's plain struct, and back. Values are carried over, not checked.
#ifndef RMSJIT_SPEC_C_H_
#define RMSJIT_SPEC_C_H_

#include "rmsjit/rmsjit_c.h"
#include "rmsjit/spec.h"

namespace rmsjit {

inline rmsjit_spec to_c(const NormSpec& spec) {
  rmsjit_spec c{};
  c.struct_size = sizeof c;
  c.hidden = spec.hidden;
  c.layout = static_cast<int32_t>(spec.layout);
  c.x = static_cast<int32_t>(spec.x);
  c.weight = static_cast<int32_t>(spec.weight);
  c.y = static_cast<int32_t>(spec.y);
  c.residual = static_cast<int32_t>(spec.residual);
  c.residual_dtype = static_cast<int32_t>(spec.residual_dtype);
  c.weight_form = static_cast<int32_t>(spec.weight_form);
  c.y_placement = static_cast<int32_t>(spec.y_placement);
  c.residual_placement = static_cast<int32_t>(spec.residual_placement);
  c.add_round = static_cast<int32_t>(spec.add_round);
  c.mul_round = static_cast<int32_t>(spec.mul_round);
  c.root = static_cast<int32_t>(spec.root);
  c.pdl = static_cast<int32_t>(spec.pdl);
  c.constant_weight = static_cast<int32_t>(spec.constant_weight);
  return c;
}

inline NormSpec from_c(const rmsjit_spec& c) {
  NormSpec spec;
  spec.hidden = c.hidden;
  spec.layout = static_cast<Layout>(c.layout);
  spec.x = static_cast<DType>(c.x);
  spec.weight = static_cast<DType>(c.weight);
  spec.y = static_cast<DType>(c.y);
  spec.residual = static_cast<Residual>(c.residual);
  spec.residual_dtype = static_cast<DType>(c.residual_dtype);
  spec.weight_form = static_cast<WeightForm>(c.weight_form);
  spec.y_placement = static_cast<YPlacement>(c.y_placement);
  spec.residual_placement = static_cast<ResidualPlacement>(c.residual_placement);
  spec.add_round = static_cast<AddRound>(c.add_round);
  spec.mul_round = static_cast<MulRound>(c.mul_round);
  spec.root = static_cast<Root>(c.root);
  spec.pdl = static_cast<Pdl>(c.pdl);
  spec.constant_weight = static_cast<ConstantWeight>(c.constant_weight);
  return spec;
}

}  // namespace rmsjit

#endif  // RMSJIT_SPEC_C_H_
