// SPDX-License-Identifier: Apache-2.0
#include "runtime/model_data.h"

#include "runtime/model_errors.h"
#include "templates/embedded_templates.h"

namespace rmsjit {

std::span<const EmbeddedFile> embedded_model_data();  // written by rmsjit_embed()

Result<nlohmann::json> model_data(std::string_view name) {
  for (const EmbeddedFile& file : embedded_model_data()) {
    if (name != file.name) continue;
    nlohmann::json data = nlohmann::json::parse(file.text, nullptr, false);
    if (!data.is_object()) return model_errors::data_broken(name, "not a JSON object");
    return data;
  }
  return model_errors::data_broken(name, "not embedded");
}

}  // namespace rmsjit
