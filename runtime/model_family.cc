// SPDX-License-Identifier: Apache-2.0
#include "runtime/model_family.h"

#include <algorithm>
#include <utility>

#include "rmsjit/spec_text.h"
#include "runtime/model_data.h"
#include "runtime/model_errors.h"

namespace rmsjit {
namespace {

using nlohmann::json;

constexpr int64_t kMaxLayers = 4096;
constexpr int64_t kMaxHeads = 65536;

const json& member(const json& object, std::string_view name) {
  static const json kAbsent;
  const auto it = object.find(std::string(name));
  return it == object.end() ? kAbsent : *it;
}

std::string text_of(const json& object, std::string_view name) {
  const json& value = member(object, name);
  return value.is_string() ? value.get<std::string>() : std::string();
}

// Reads the numbers of one model: the config's, else the family's documented default.
class FamilyReader {
 public:
  FamilyReader(const ModelConfig& config, const json& family, int tensor_parallel)
      : config_(config), family_(family), tensor_parallel_(tensor_parallel) {}

  Result<std::vector<ModelNorm>> read(const json& norm_sets);

 private:
  Result<std::optional<int64_t>> number(std::string_view field, int64_t max) const;
  Result<int64_t> required(std::string_view field, int64_t max) const;
  Result<int64_t> head_dim() const;
  Result<int64_t> local_heads(const std::string& field) const;
  Result<std::optional<int64_t>> width(const json& row) const;
  Result<bool> wanted(const json& row) const;
  Status read_layer_kinds();
  Result<int64_t> kind_interval(const json& rule) const;
  std::vector<bool> layers_of(const json& row) const;
  Result<NormSpec> base_spec(const json& row, int64_t hidden) const;
  Status add_norms(const json& row, std::vector<ModelNorm>& norms) const;

  const ModelConfig& config_;
  const json& family_;
  int tensor_parallel_;
  int64_t layers_ = 0;
  DType dtype_ = DType::kBf16;
  std::vector<std::string> kinds_;  // of each layer; empty when the family has one kind
};

Result<std::optional<int64_t>> FamilyReader::number(std::string_view field, int64_t max) const {
  RMSJIT_ASSIGN_OR_RETURN(std::optional<int64_t> value, config_.whole_number(field, 1, max));
  const json& fallback = member(member(family_, "defaults"), field);
  if (!value && !config_.is_null(field) && fallback.is_number_integer()) {
    value = fallback.get<int64_t>();
  }
  return value;
}

Result<int64_t> FamilyReader::required(std::string_view field, int64_t max) const {
  RMSJIT_ASSIGN_OR_RETURN(const std::optional<int64_t> value, number(field, max));
  if (value) return *value;
  return model_errors::field_missing(config_.path(field),
                                     "a whole number, 1 .. " + std::to_string(max));
}

// Where a config leaves head_dim out, the heads share the hidden size.
Result<int64_t> FamilyReader::head_dim() const {
  RMSJIT_ASSIGN_OR_RETURN(const std::optional<int64_t> given, number("head_dim", kMaxHidden));
  if (given) return *given;
  RMSJIT_ASSIGN_OR_RETURN(const int64_t hidden, required("hidden_size", kMaxHidden));
  RMSJIT_ASSIGN_OR_RETURN(const int64_t heads, required("num_attention_heads", kMaxHeads));
  if (hidden % heads == 0) return hidden / heads;
  return model_errors::not_divisible(config_.path("hidden_size"), hidden, "num_attention_heads",
                                     heads);
}

// Heads on one device. Fewer key heads than devices are replicated, as the engines do.
Result<int64_t> FamilyReader::local_heads(const std::string& field) const {
  RMSJIT_ASSIGN_OR_RETURN(std::optional<int64_t> heads, number(field, kMaxHeads));
  if (!heads && field == "num_key_value_heads") {
    RMSJIT_ASSIGN_OR_RETURN(heads, number("num_attention_heads", kMaxHeads));
  }
  if (!heads) return required(field, kMaxHeads);
  if (*heads % tensor_parallel_ == 0) return *heads / tensor_parallel_;
  if (field == "num_key_value_heads" && tensor_parallel_ % *heads == 0) return int64_t{1};
  return model_errors::not_divisible(config_.path(field), *heads, "tensor_parallel",
                                     tensor_parallel_);
}

// nullopt: this model does without (q_lora_rank is null).
Result<std::optional<int64_t>> FamilyReader::width(const json& row) const {
  const std::string field = text_of(row, "width");
  if (member(row, "optional") == true) return number(field, kMaxHidden);
  if (field != "head_dim") {
    RMSJIT_ASSIGN_OR_RETURN(const int64_t value, required(field, kMaxHidden));
    return std::optional<int64_t>(value);
  }
  RMSJIT_ASSIGN_OR_RETURN(int64_t value, head_dim());
  if (member(row, "heads").is_string()) {
    RMSJIT_ASSIGN_OR_RETURN(const int64_t heads, local_heads(text_of(row, "heads")));
    value *= heads;
  }
  return std::optional<int64_t>(value);
}

Result<bool> FamilyReader::wanted(const json& row) const {
  const std::string field = text_of(row, "when");
  if (field.empty()) return true;
  RMSJIT_ASSIGN_OR_RETURN(const std::optional<bool> given, config_.flag(field));
  return given.value_or(member(member(family_, "defaults"), field) == true);
}

Result<int64_t> FamilyReader::kind_interval(const json& rule) const {
  const json& interval = member(rule, "interval");
  if (interval.is_number_integer()) return interval.get<int64_t>();
  return required(text_of(rule, "interval"), kMaxLayers);
}

Status FamilyReader::read_layer_kinds() {
  const json& rule = member(family_, "layer_kinds");
  if (rule.is_null()) return {};
  for (const json& list : member(rule, "lists")) {
    std::vector<std::string> values;
    for (const json& value : member(list, "values")) values.push_back(value.get<std::string>());
    const std::string field = text_of(list, "field");
    RMSJIT_ASSIGN_OR_RETURN(auto kinds, config_.kinds(field, values));
    if (!kinds) continue;
    if (int64_t(kinds->size()) != layers_) {
      return model_errors::list_length(config_.path(field), kinds->size(), layers_);
    }
    kinds_ = std::move(*kinds);
    return {};
  }
  RMSJIT_ASSIGN_OR_RETURN(const int64_t interval, kind_interval(rule));
  for (int64_t i = 0; i < layers_; ++i) {
    kinds_.push_back(text_of(rule, (i + 1) % interval == 0 ? "at_interval" : "between"));
  }
  return {};
}

std::vector<bool> FamilyReader::layers_of(const json& row) const {
  const std::string kind = text_of(row, "layers");
  std::vector<bool> layers(size_t(layers_), kind.empty());
  for (size_t i = 0; i < kinds_.size() && !kind.empty(); ++i) layers[i] = kinds_[i] == kind;
  return layers;
}

Result<NormSpec> FamilyReader::base_spec(const json& row, int64_t hidden) const {
  NormSpec spec;
  spec.hidden = hidden;
  spec.x = dtype_;
  for (const json* source : {&family_, &row}) {
    for (const char* field : {"layout", "weight", "weight_form"}) {
      const std::string value = text_of(*source, field);
      if (!value.empty()) RMSJIT_RETURN_IF_ERROR(set_spec_field(spec, field, value));
    }
  }
  RMSJIT_RETURN_IF_ERROR(validate(spec));
  return spec;
}

Status FamilyReader::add_norms(const json& row, std::vector<ModelNorm>& norms) const {
  RMSJIT_ASSIGN_OR_RETURN(const bool is_wanted, wanted(row));
  if (!is_wanted) return {};
  RMSJIT_ASSIGN_OR_RETURN(const std::optional<int64_t> hidden, width(row));
  if (!hidden) return {};
  const std::string role = text_of(row, "role");
  Result<NormSpec> spec = base_spec(row, *hidden);
  if (!spec.ok()) return model_errors::role_spec(role, spec.status());
  ModelNorm norm{role, *spec, layers_of(row)};
  const std::string add = text_of(row, "add");
  if (text_of(row, "layers") != "once" && !std::ranges::count(norm.layers, true)) return {};
  if (add == "after_first") {
    // The first layer reads the embedding, to which nothing has been added yet.
    ModelNorm first = norm;
    first.layers.assign(norm.layers.size(), false);
    first.layers[0] = true;
    norms.push_back(std::move(first));
    if (layers_ == 1) return {};
    norm.layers[0] = false;
  }
  if (!add.empty()) norm.spec.residual = Residual::kAdd;
  norms.push_back(std::move(norm));
  return {};
}

Result<std::vector<ModelNorm>> FamilyReader::read(const json& norm_sets) {
  RMSJIT_RETURN_IF_ERROR(required("hidden_size", kMaxHidden).status());
  RMSJIT_ASSIGN_OR_RETURN(layers_, required("num_hidden_layers", kMaxLayers));
  RMSJIT_ASSIGN_OR_RETURN(dtype_, config_.dtype());
  RMSJIT_RETURN_IF_ERROR(config_.check_eps());
  RMSJIT_RETURN_IF_ERROR(read_layer_kinds());
  std::vector<ModelNorm> norms;
  for (const json& name : member(family_, "norms")) {
    for (const json& row : member(norm_sets, name.get<std::string>())) {
      RMSJIT_RETURN_IF_ERROR(add_norms(row, norms));
    }
  }
  return norms;
}

bool lists(const json& family, const char* field, const std::string& name) {
  const json& names = member(family, field);
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Result<std::vector<ModelNorm>> norms_of_model(const ModelConfig& config, int tensor_parallel) {
  RMSJIT_ASSIGN_OR_RETURN(const json data, model_data("families.json"));
  std::string known;
  for (const json& family : member(data, "families")) {
    known += (known.empty() ? "" : ", ") + text_of(family, "name");
  }
  for (const std::string& name : config.family_names()) {
    for (const json& family : member(data, "families")) {
      if (!lists(family, "model_types", name) && !lists(family, "architectures", name)) continue;
      return FamilyReader(config, family, tensor_parallel).read(member(data, "norm_sets"));
    }
  }
  return model_errors::family_unknown(config.describe_family(), known);
}

}  // namespace rmsjit
