// SPDX-License-Identifier: Apache-2.0
#include "runtime/model_errors.h"

#include <fmt/format.h>

namespace rmsjit::model_errors {
namespace {

template <class... Args>
Status bad(fmt::format_string<Args...> format, Args&&... args) {
  return Status(StatusCode::kInvalidArgument, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace

Status config_empty() {
  return bad("config is empty: give the text of a Hugging Face config.json");
}

Status config_too_deep(int depth, int allowed) {
  return bad("config nests {} levels deep: a config.json nests at most {}", depth, allowed);
}

Status config_not_json(size_t byte, std::string_view last_key, std::string_view detail) {
  return bad("config is not JSON: byte {}{}{}: {}", byte, last_key.empty() ? "" : ", after ",
             last_key, detail);
}

Status config_not_an_object(std::string_view given_type) {
  return bad("config is a JSON {}: a config.json is one object", given_type);
}

Status field_missing(std::string_view path, std::string_view allowed) {
  return bad("config has no {}: give {}", path, allowed);
}

Status field_bad(std::string_view path, std::string_view given, std::string_view allowed) {
  return bad("config field {}={} is not allowed: give {}", path, given, allowed);
}

Status list_length(std::string_view path, size_t given, int64_t layers) {
  return bad("config field {} has {} elements: give one for each of the {} layers", path, given,
             layers);
}

Status not_divisible(std::string_view path, int64_t given, std::string_view by_name, int64_t by) {
  return bad("config field {}={} cannot be divided by {}={}: give a divisor of it", path, given,
             by_name, by);
}

Status family_unknown(std::string_view looked_at, std::string_view known) {
  return Status(StatusCode::kNotFound,
                fmt::format("model family is not known: looked at {}; known are {}; or give the "
                            "specs by hand, as in --spec \"hidden=4096,residual=add\"",
                            looked_at, known));
}

Status profile_unknown(std::string_view given, std::string_view known) {
  return Status(StatusCode::kNotFound,
                fmt::format("profile like=\"{}\" is not known: use {}", given, known));
}

Status tensor_parallel_range(int given, int max) {
  return bad("tensor_parallel={} is out of range: 1 .. {}", given, max);
}

Status role_spec(std::string_view role, const Status& why) {
  return Status(why.code(), fmt::format("norm {}: {}", role, why.message()));
}

Status hidden_override() {
  return bad("hidden cannot be set for a model, whose norms have several: give --spec instead");
}

Status data_broken(std::string_view file, std::string_view what) {
  return Status(StatusCode::kInternal, fmt::format("{} is broken: {}", file, what));
}

}  // namespace rmsjit::model_errors
