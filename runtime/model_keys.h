// SPDX-License-Identifier: Apache-2.0
// Model keys: a config.json and an engine profile in, the distinct specs that serving the model
// needs out. Key set = model x profile; the target joins when the keys are compiled. Pure
// functions.
#ifndef RMSJIT_MODEL_KEYS_H_
#define RMSJIT_MODEL_KEYS_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rmsjit/spec.h"
#include "rmsjit/status.h"

namespace rmsjit {

struct ModelKey {
  std::vector<std::string> roles;  // input, post_attention, final, query, latent_kv, ...
  int layers = 0;                  // layers that run it; 1 for a norm outside the layers (final)
  NormSpec spec;                   // pdl=auto is kept: the target resolves it
};

struct ModelKeys {
  std::string model;  // _name_or_path of the config, else its model_type
  std::vector<ModelKey> keys;
};

// A spec field set for every norm, after the profile: {"x", "f16"}.
using SpecOverride = std::pair<std::string, std::string>;

inline constexpr int kMaxTensorParallel = 1024;

// `like` names a profile of tools/profiles/profiles.json; empty means "rmsjit". tensor_parallel
// divides the widths that engines shard; 0 means 1. An override that a norm makes void is ignored
// for that norm.
// Errors: kInvalidArgument (config, override), kNotFound (family or profile).
Result<ModelKeys> keys_for_model(std::string_view config_json, const std::string& like,
                                 int tensor_parallel,
                                 const std::vector<SpecOverride>& overrides = {});

// Sets what profile `like` (empty: "rmsjit") says for a norm of this role, residual and weight
// form. Errors: kNotFound.
Status apply_profile(const std::string& like, const std::string& role, NormSpec& spec);

// {"schema_version":1,"model":...,"keys":[{"roles","layers","spec","spec_text"}]}, one line.
std::string model_keys_json(const ModelKeys& keys);

// The names that `like` accepts, in the order of the data file.
std::vector<std::string> profile_names();

}  // namespace rmsjit

#endif  // RMSJIT_MODEL_KEYS_H_
