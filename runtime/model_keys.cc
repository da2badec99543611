// SPDX-License-Identifier: Apache-2.0
#include "runtime/model_keys.h"

#include <algorithm>

#include "rmsjit/spec_text.h"
#include "runtime/model_data.h"
#include "runtime/model_errors.h"
#include "runtime/model_family.h"
#include "runtime/spec_json.h"

namespace rmsjit {
namespace {

using nlohmann::json;

Result<json> find_profile(const std::string& like) {
  RMSJIT_ASSIGN_OR_RETURN(json data, model_data("profiles.json"));
  std::string known;
  for (json& profile : data["profiles"]) {
    const std::string name = profile.value("name", "");
    if (name == (like.empty() ? "rmsjit" : like)) return std::move(profile);
    known += (known.empty() ? "" : ", ") + name;
  }
  return model_errors::profile_unknown(like, known);
}

Status set_fields(NormSpec& spec, const json& fields) {
  for (const auto& [name, value] : fields.items()) {
    if (!value.is_string()) return model_errors::data_broken("profiles.json", name);
    RMSJIT_RETURN_IF_ERROR(set_spec_field(spec, name, value.get_ref<const std::string&>()));
  }
  return {};
}

// From the general to the particular: all, add, one_plus, then the role's own fields.
Status apply(const json& profile, const std::string& role, NormSpec& spec) {
  RMSJIT_RETURN_IF_ERROR(set_fields(spec, profile.value("all", json::object())));
  if (spec.has_residual()) {
    RMSJIT_RETURN_IF_ERROR(set_fields(spec, profile.value("add", json::object())));
  }
  if (spec.weight_form == WeightForm::kOnePlus) {
    RMSJIT_RETURN_IF_ERROR(set_fields(spec, profile.value("one_plus", json::object())));
  }
  const json roles = profile.value("roles", json::object());
  return set_fields(spec, roles.value(role, json::object()));
}

Result<NormSpec> finish_spec(const ModelNorm& norm, const json& profile,
                             const std::vector<SpecOverride>& overrides) {
  NormSpec spec = norm.spec;
  RMSJIT_RETURN_IF_ERROR(apply(profile, norm.role, spec));
  for (const auto& [name, value] : overrides) {
    if (name == "hidden") return model_errors::hidden_override();
    RMSJIT_RETURN_IF_ERROR(set_spec_field(spec, name, value));
  }
  const Status status = validate(spec);
  if (!status.ok()) return model_errors::role_spec(norm.role, status);
  return canonical_any_target(spec);
}

// One key for equal specs; `layers` is the union of the layers of its norms.
struct MergedKey {
  ModelKey key;
  std::vector<bool> layers;
};

void merge(std::vector<MergedKey>& merged, const ModelNorm& norm, const NormSpec& spec) {
  auto it = std::ranges::find_if(merged, [&](const MergedKey& m) { return m.key.spec == spec; });
  if (it == merged.end()) {
    merged.push_back({{.roles = {}, .layers = 0, .spec = spec}, norm.layers});
    it = merged.end() - 1;
  }
  for (size_t i = 0; i < norm.layers.size(); ++i) it->layers[i] = it->layers[i] || norm.layers[i];
  std::vector<std::string>& roles = it->key.roles;
  if (std::ranges::find(roles, norm.role) == roles.end()) roles.push_back(norm.role);
}

}  // namespace

Result<ModelKeys> keys_for_model(std::string_view config_json, const std::string& like,
                                 int tensor_parallel, const std::vector<SpecOverride>& overrides) {
  if (tensor_parallel < 0 || tensor_parallel > kMaxTensorParallel) {
    return model_errors::tensor_parallel_range(tensor_parallel, kMaxTensorParallel);
  }
  RMSJIT_ASSIGN_OR_RETURN(const json profile, find_profile(like));
  RMSJIT_ASSIGN_OR_RETURN(const ModelConfig config, ModelConfig::parse(config_json));
  RMSJIT_ASSIGN_OR_RETURN(const std::vector<ModelNorm> norms,
                          norms_of_model(config, std::max(tensor_parallel, 1)));
  std::vector<MergedKey> merged;
  for (const ModelNorm& norm : norms) {
    RMSJIT_ASSIGN_OR_RETURN(const NormSpec spec, finish_spec(norm, profile, overrides));
    merge(merged, norm, spec);
  }
  ModelKeys keys{.model = config.model_name(), .keys = {}};
  for (MergedKey& m : merged) {
    m.key.layers = std::max(1, int(std::ranges::count(m.layers, true)));
    keys.keys.push_back(std::move(m.key));
  }
  return keys;
}

Status apply_profile(const std::string& like, const std::string& role, NormSpec& spec) {
  RMSJIT_ASSIGN_OR_RETURN(const json profile, find_profile(like));
  return apply(profile, role, spec);
}

std::string model_keys_json(const ModelKeys& keys) {
  using nlohmann::ordered_json;
  ordered_json list = ordered_json::array();
  for (const ModelKey& key : keys.keys) {
    list.push_back({{"roles", key.roles},
                    {"layers", key.layers},
                    {"spec", spec_to_json(key.spec)},
                    {"spec_text", spec_text(key.spec)}});
  }
  const ordered_json root = {{"schema_version", 1}, {"model", keys.model}, {"keys", list}};
  return root.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::vector<std::string> profile_names() {
  std::vector<std::string> names;
  Result<json> data = model_data("profiles.json");
  if (!data.ok()) return names;
  for (const json& profile : (*data)["profiles"]) names.push_back(profile.value("name", ""));
  return names;
}

}  // namespace rmsjit
