// SPDX-License-Identifier: Apache-2.0
// The two data files behind the model keys, tools/models/families.json and
// tools/profiles/profiles.json, as they were embedded into the library.
#ifndef RMSJIT_MODEL_DATA_H_
#define RMSJIT_MODEL_DATA_H_

#include <nlohmann/json.hpp>
#include <string_view>

#include "rmsjit/status.h"

namespace rmsjit {

// "families.json" or "profiles.json". Errors: kInternal (the build embedded something else).
Result<nlohmann::json> model_data(std::string_view name);

}  // namespace rmsjit

#endif  // RMSJIT_MODEL_DATA_H_
