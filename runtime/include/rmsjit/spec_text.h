// SPDX-License-Identifier: Apache-2.0
// NormSpec as text: one table of fields, from which validation, canonical form, spec text
// ("hidden=4096,x=bf16,residual=add") and the JSON object of the command line all follow.
// Pure functions, no state; errors are kInvalidArgument and name field, value and what is allowed.
#ifndef RMSJIT_SPEC_TEXT_H_
#define RMSJIT_SPEC_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "rmsjit/spec.h"
#include "rmsjit/status.h"
#include "rmsjit/target.h"

namespace rmsjit {

// A field other than hidden: its name and its values, the number being the index in `values`.
// An empty value name is not accepted in text (it stands for "same as x").
struct SpecField {
  static constexpr int kMaxValues = 5;
  const char* name;
  const char* values[kMaxValues];  // nullptr-terminated unless full
  int32_t (*get)(const NormSpec&);
  void (*set)(NormSpec&, int32_t);

  int value_count() const {
    int n = 0;
    while (n < kMaxValues && values[n] != nullptr) ++n;
    return n;
  }
};

namespace spec_detail {
template <auto kMember>
int32_t get(const NormSpec& spec) {
  return static_cast<int32_t>(spec.*kMember);
}
template <auto kMember>
void set(NormSpec& spec, int32_t value) {
  using Field = std::remove_reference_t<decltype(spec.*kMember)>;
  spec.*kMember = static_cast<Field>(value);
}
template <auto kMember>
constexpr SpecField field(const char* name, const char* v0, const char* v1,
                          const char* v2 = nullptr, const char* v3 = nullptr,
                          const char* v4 = nullptr) {
  return {name, {v0, v1, v2, v3, v4}, &get<kMember>, &set<kMember>};
}
}  // namespace spec_detail

// In the order of the text. Append new fields at the end: old key texts must not change.
inline constexpr SpecField kSpecFields[] = {
    spec_detail::field<&NormSpec::layout>("layout", "rows", "heads"),
    spec_detail::field<&NormSpec::x>("x", "", "bf16", "f16", "f32"),
    spec_detail::field<&NormSpec::weight>("weight", "", "bf16", "f16", "f32", "none"),
    spec_detail::field<&NormSpec::y>("y", "", "bf16", "f16", "f32"),
    spec_detail::field<&NormSpec::residual>("residual", "none", "add"),
    spec_detail::field<&NormSpec::residual_dtype>("residual_dtype", "", "bf16", "f16", "f32"),
    spec_detail::field<&NormSpec::weight_form>("weight_form", "plain", "one_plus"),
    spec_detail::field<&NormSpec::y_placement>("y_placement", "out_of_place", "in_place"),
    spec_detail::field<&NormSpec::residual_placement>("residual_placement", "in_place",
                                                      "out_of_place"),
    spec_detail::field<&NormSpec::add_round>("add_round", "rounded", "unrounded",
                                             "stats_unrounded"),
    spec_detail::field<&NormSpec::mul_round>("mul_round", "once", "twice"),
    spec_detail::field<&NormSpec::root>("root", "fast", "exact"),
    spec_detail::field<&NormSpec::pdl>("pdl", "off", "on", "auto"),
    spec_detail::field<&NormSpec::constant_weight>("constant_weight", "off", "on"),
};

inline std::string allowed_values(const SpecField& field) {
  std::string text;
  for (int i = 0; i < field.value_count(); ++i) {
    if (field.values[i][0] == '\0') continue;
    text += (text.empty() ? "" : ", ") + std::string(field.values[i]);
  }
  return text;
}

inline std::string known_field_names() {
  std::string text = "hidden";
  for (const SpecField& field : kSpecFields) text += std::string(", ") + field.name;
  return text;
}

namespace spec_detail {

inline Status bad(std::string message) {
  return Status(StatusCode::kInvalidArgument, std::move(message));
}

inline std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text.substr(0, 60)) out += c >= ' ' && c <= '~' ? c : '?';
  return out + (text.size() > 60 ? "...\"" : "\"");
}

// A field that says something which the rest of the spec makes void, or nullptr.
inline const char* void_reason(const NormSpec& spec, std::string_view field) {
  const bool add_field =
      field == "residual_dtype" || field == "residual_placement" || field == "add_round";
  if (add_field && !spec.has_residual()) return "without residual=add";
  const bool weight_field =
      field == "weight_form" || field == "mul_round" || field == "constant_weight";
  if (weight_field && !spec.has_weight()) return "with weight=none";
  return nullptr;
}

}  // namespace spec_detail

inline Status validate(const NormSpec& spec) {
  using spec_detail::bad;
  if (spec.hidden < 1 || spec.hidden > kMaxHidden) {
    return bad("hidden=" + std::to_string(spec.hidden) + " is out of range: 1 .. " +
               std::to_string(kMaxHidden));
  }
  for (const SpecField& field : kSpecFields) {
    const int32_t value = field.get(spec);
    if (value < 0 || value >= field.value_count()) {
      return bad(std::string(field.name) + "=#" + std::to_string(value) +
                 " is not a value of this field: use " + allowed_values(field));
    }
  }
  if (spec.residual_dtype != DType::kDefault && spec.residual_dtype != spec.x_dtype() &&
      spec.residual_dtype != DType::kF32) {
    return bad("residual_dtype=" + std::string(kSpecFields[1].values[int(spec.residual_dtype)]) +
               " does not go with x=" + kSpecFields[1].values[int(spec.x_dtype())] +
               ": use the dtype of x, or f32");
  }
  if (spec.y_placement == YPlacement::kInPlace && spec.y_dtype() != spec.x_dtype()) {
    return bad("y_placement=in_place needs y to have the dtype of x, given y=" +
               std::string(kSpecFields[1].values[int(spec.y_dtype())]) +
               " and x=" + kSpecFields[1].values[int(spec.x_dtype())] +
               ": use y_placement=out_of_place or equal dtypes");
  }
  return {};
}

// The same maths with every field that has no effect at its default and pdl=auto resolved, so that
// equal maths is one key. Requires validate(spec).ok().
inline NormSpec canonical(NormSpec spec, const Target& target) {
  spec.x = spec.x_dtype();
  if (spec.weight == spec.x) spec.weight = DType::kDefault;
  if (spec.y == spec.x) spec.y = DType::kDefault;
  if (spec.residual_dtype == spec.x) spec.residual_dtype = DType::kDefault;
  if (!spec.has_residual()) {
    spec.residual_dtype = DType::kDefault;
    spec.residual_placement = ResidualPlacement::kInPlace;
  }
  // Rounding to f32 is the identity, so the three orders are one.
  if (!spec.has_residual() || spec.residual_dtype_resolved() == DType::kF32) {
    spec.add_round = AddRound::kRounded;
  }
  if (!spec.has_weight()) spec.weight_form = WeightForm::kPlain;
  if (!spec.has_weight() || spec.x == DType::kF32) spec.mul_round = MulRound::kOnce;
  if (spec.pdl == Pdl::kAuto) spec.pdl = target.has_pdl() ? Pdl::kOn : Pdl::kOff;
  if (!spec.has_weight() || spec.pdl == Pdl::kOff) spec.constant_weight = ConstantWeight::kOff;
  return spec;
}

// validate(), the checks that need the target, then canonical(): the only way to a key.
// Errors: kInvalidArgument; kUnsupported for pdl=on below sm_90.
inline Result<NormSpec> resolve(const NormSpec& spec, const Target& target) {
  RMSJIT_RETURN_IF_ERROR(validate(spec));
  if (spec.pdl == Pdl::kOn && !target.has_pdl()) {
    return Status(StatusCode::kUnsupported, "pdl=on needs sm_90 or newer, given target=" +
                                                target.name() + ": use pdl=off or pdl=auto");
  }
  return canonical(spec, target);
}

// hidden and x, then each field that is not at its default, in the order of kSpecFields.
inline std::string spec_text(const NormSpec& spec) {
  std::string text = "hidden=" + std::to_string(spec.hidden);
  for (const SpecField& field : kSpecFields) {
    int32_t value = field.get(spec);
    if (field.get == &spec_detail::get<&NormSpec::x>) value = static_cast<int32_t>(spec.x_dtype());
    if (value == 0) continue;
    text += std::string(",") + field.name + "=" + field.values[value];
  }
  return text;
}

// Sets one field from its text. Used by spec text, by JSON objects and by --set.
inline Status set_spec_field(NormSpec& spec, std::string_view name, std::string_view value) {
  using spec_detail::bad;
  using spec_detail::quoted;
  if (name == "hidden") {
    int64_t number = 0;
    const bool negative = !value.empty() && value[0] == '-';
    const std::string_view digits = value.substr(negative ? 1 : 0);
    if (digits.empty() || digits.size() > 12) {
      return bad("hidden=" + quoted(value) + " is not a whole number: 1 .. " +
                 std::to_string(kMaxHidden));
    }
    for (char c : digits) {
      if (c < '0' || c > '9') {
        return bad("hidden=" + quoted(value) + " is not a whole number: 1 .. " +
                   std::to_string(kMaxHidden));
      }
      number = number * 10 + (c - '0');
    }
    spec.hidden = negative ? -number : number;
    return {};
  }
  for (const SpecField& field : kSpecFields) {
    if (name != field.name) continue;
    for (int i = 0; i < field.value_count(); ++i) {
      if (!value.empty() && value == field.values[i]) {
        field.set(spec, i);
        return {};
      }
    }
    return bad(std::string(field.name) + "=" + quoted(value) + " is not allowed: use " +
               allowed_values(field));
  }
  return bad("spec field " + quoted(name) + " is not known: use " + known_field_names());
}

// Reads "hidden=4096,x=bf16,...". Unknown and repeated names, empty parts, and a field that the
// rest of the text makes void (add_round=unrounded without residual=add) are errors.
inline Result<NormSpec> parse_spec(std::string_view text) {
  using spec_detail::bad;
  using spec_detail::quoted;
  NormSpec spec;
  std::string_view rest = text;
  std::string_view seen[1 + std::size(kSpecFields)];
  size_t seen_count = 0;
  for (bool more = true; more;) {
    const size_t comma = rest.find(',');
    more = comma != std::string_view::npos;
    const std::string_view part = rest.substr(0, comma);
    rest.remove_prefix(more ? comma + 1 : rest.size());
    const size_t equals = part.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return bad("spec " + quoted(text) + " has the part " + quoted(part) +
                 " where name=value belongs: use names from " + known_field_names());
    }
    const std::string_view name = part.substr(0, equals);
    for (size_t i = 0; i < seen_count; ++i) {
      if (seen[i] == name)
        return bad("spec field " + quoted(name) + " is given twice: give it once");
    }
    RMSJIT_RETURN_IF_ERROR(set_spec_field(spec, name, part.substr(equals + 1)));
    seen[seen_count++] = name;
  }
  bool has_hidden = false;
  for (size_t i = 0; i < seen_count; ++i) has_hidden = has_hidden || seen[i] == "hidden";
  if (!has_hidden) {
    return bad("spec " + quoted(text) + " has no hidden: 1 .. " + std::to_string(kMaxHidden));
  }
  RMSJIT_RETURN_IF_ERROR(validate(spec));
  for (const SpecField& field : kSpecFields) {
    const char* reason = spec_detail::void_reason(spec, field.name);
    if (reason != nullptr && field.get(spec) != field.get(NormSpec{})) {
      return bad(std::string(field.name) + "=" + field.values[field.get(spec)] + " has no effect " +
                 reason + ": leave it out");
    }
  }
  return spec;
}

}  // namespace rmsjit

#endif  // RMSJIT_SPEC_TEXT_H_
