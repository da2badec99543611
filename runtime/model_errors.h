// SPDX-License-Identifier: Apache-2.0
// The sentences that model configs, families and profiles can fail with.
#ifndef RMSJIT_MODEL_ERRORS_H_
#define RMSJIT_MODEL_ERRORS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "rmsjit/status.h"

namespace rmsjit::model_errors {

Status config_empty();
Status config_too_deep(int depth, int allowed);
Status config_not_json(size_t byte, std::string_view last_key, std::string_view detail);
Status config_not_an_object(std::string_view given_type);
Status field_missing(std::string_view path, std::string_view allowed);
Status field_bad(std::string_view path, std::string_view given, std::string_view allowed);
Status list_length(std::string_view path, size_t given, int64_t layers);
Status not_divisible(std::string_view path, int64_t given, std::string_view by_name, int64_t by);
Status family_unknown(std::string_view looked_at, std::string_view known);
Status profile_unknown(std::string_view given, std::string_view known);
Status tensor_parallel_range(int given, int max);
Status role_spec(std::string_view role, const Status& why);
Status hidden_override();
Status data_broken(std::string_view file, std::string_view what);

}  // namespace rmsjit::model_errors

#endif  // RMSJIT_MODEL_ERRORS_H_
