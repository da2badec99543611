// SPDX-License-Identifier: Apache-2.0
// ModelConfig: a Hugging Face config.json as published, reduced to its language model. Every read
// checks the type; an error names the field, what was given and what is allowed.
#ifndef RMSJIT_MODEL_CONFIG_H_
#define RMSJIT_MODEL_CONFIG_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rmsjit/spec.h"
#include "rmsjit/status.h"

namespace rmsjit {

class ModelConfig {
 public:
  // The language model is text_config (language_config, llm_config) where there is one, else the
  // whole file. Errors: kInvalidArgument (empty, not JSON, nested too deep, not an object).
  static Result<ModelConfig> parse(std::string_view text);

  // What names the family, most telling first: model_type and architectures of the language model,
  // then of the whole file.
  const std::vector<std::string>& family_names() const { return family_names_; }
  // For messages: model_type="x" and architectures="Y".
  std::string describe_family() const;
  // _name_or_path if the file has one, else its model_type; may be empty.
  std::string model_name() const;

  bool has(std::string_view field) const;  // present and not null
  bool is_null(std::string_view field) const;

  // nullopt when the field is absent or null. Errors: kInvalidArgument.
  Result<std::optional<int64_t>> whole_number(std::string_view field, int64_t min,
                                              int64_t max) const;
  // A number that no launch would take as eps is wrong in a config too. Absent is fine.
  Status check_eps() const;
  Result<std::optional<bool>> flag(std::string_view field) const;
  // A list of names, or of small whole numbers that index `values`. Empty lists count as absent.
  Result<std::optional<std::vector<std::string>>> kinds(
      std::string_view field, const std::vector<std::string>& values) const;
  // torch_dtype or dtype; bf16 when the file names none.
  Result<DType> dtype() const;

  // As it is called in messages: "text_config.hidden_size".
  std::string path(std::string_view field) const;

 private:
  const nlohmann::json* find(std::string_view field) const;
  void collect_family_names();

  nlohmann::json root_;
  nlohmann::json text_;
  std::string prefix_;  // "text_config." or empty
  std::vector<std::string> family_names_;
};

}  // namespace rmsjit

#endif  // RMSJIT_MODEL_CONFIG_H_
