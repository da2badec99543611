// SPDX-License-Identifier: Apache-2.0
#include "runtime/spec_json.h"

#include <string>

#include "rmsjit/spec_text.h"

namespace rmsjit {
namespace {

NormSpec with_dtypes_resolved(NormSpec spec) {
  spec.x = spec.x_dtype();
  spec.weight = spec.weight_dtype();
  spec.y = spec.y_dtype();
  spec.residual_dtype = spec.residual_dtype_resolved();
  return spec;
}

}  // namespace

nlohmann::ordered_json spec_to_json(const NormSpec& spec) {
  const NormSpec resolved = with_dtypes_resolved(spec);
  nlohmann::ordered_json object = {{"hidden", spec.hidden}};
  for (const SpecField& field : kSpecFields) object[field.name] = field.values[field.get(resolved)];
  return object;
}

Result<NormSpec> spec_from_json(const nlohmann::json& object) {
  if (!object.is_object()) {
    return spec_detail::bad(
        "spec is not a JSON object: use {\"hidden\": 4096, \"x\": \"bf16\", ...}");
  }
  NormSpec spec;
  for (const auto& [name, value] : object.items()) {
    if (name == "hidden" && value.is_number_integer()) {
      spec.hidden = value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{1} << 62
                        ? int64_t{1} << 62
                        : value.get<int64_t>();
    } else if (value.is_string()) {
      RMSJIT_RETURN_IF_ERROR(set_spec_field(spec, name, value.get_ref<const std::string&>()));
    } else {
      RMSJIT_RETURN_IF_ERROR(set_spec_field(spec, name, value.dump()));
    }
  }
  RMSJIT_RETURN_IF_ERROR(validate(spec));
  return canonical_any_target(spec);
}

NormSpec canonical_any_target(const NormSpec& spec) {
  NormSpec out = canonical(spec, Target{.sm = 90});
  out.pdl = spec.pdl;
  return out;
}

}  // namespace rmsjit
