// SPDX-License-Identifier: Apache-2.0
// model_family: which RMSNorms a language model has. Families are rows of
// tools/models/families.json, which is embedded into the library; this file reads the rows and
// knows no family by name.
#ifndef RMSJIT_MODEL_FAMILY_H_
#define RMSJIT_MODEL_FAMILY_H_

#include <string>
#include <vector>

#include "rmsjit/spec.h"
#include "rmsjit/status.h"
#include "runtime/model_config.h"

namespace rmsjit {

// One RMSNorm of the model with the maths that the family fixes; rounding and placement are still
// the profile's.
struct ModelNorm {
  std::string role;
  NormSpec spec;
  std::vector<bool> layers;  // where it runs; none set for a norm outside the layers (final)
};

// In the order of the row. A norm whose residual add can be fused from the second layer on (input)
// comes twice. Errors: kNotFound (unknown family), kInvalidArgument (a field of the config).
Result<std::vector<ModelNorm>> norms_of_model(const ModelConfig& config, int tensor_parallel);

}  // namespace rmsjit

#endif  // RMSJIT_MODEL_FAMILY_H_
