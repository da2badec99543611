// SPDX-License-Identifier: Apache-2.0
#include "runtime/model_config.h"

#include <algorithm>

#include "runtime/model_errors.h"

namespace rmsjit {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 64;
constexpr const char* kTextKeys[] = {"text_config", "language_config", "llm_config"};

// The parser's own tree is freed by recursion, so depth is bounded before it is built.
int nesting_depth(std::string_view text) {
  int depth = 0, deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '[' || c == '{') deepest = std::max(deepest, ++depth);
    if (c == ']' || c == '}') --depth;
  }
  return deepest;
}

// Builds the tree and keeps what json::parse without exceptions throws away: where it stopped.
class TreeBuilder : public nlohmann::detail::json_sax_dom_parser<json> {
 public:
  explicit TreeBuilder(json& tree) : json_sax_dom_parser(tree, false) {}

  bool key(std::string& name) {
    last_key_ = printable(name);  // it is shown in messages
    return json_sax_dom_parser::key(name);
  }
  bool parse_error(size_t byte, const std::string& token, const nlohmann::detail::exception& why) {
    constexpr int kNumberOverflow = 406;  // the library's documented number
    status_ =
        why.id == kNumberOverflow
            ? model_errors::field_bad(last_key_, printable(token), "a number that fits 64 bits")
            : model_errors::config_not_json(
                  byte, last_key_,
                  token.empty() ? "the text ends" : "cannot read " + printable(token));
    return false;
  }
  const Status& status() const { return status_; }

  static std::string printable(std::string_view text) {
    std::string out;
    for (char c : text.substr(0, 40)) out += c >= ' ' && c <= '~' ? c : '?';
    return text.size() > 40 ? out + "..." : out;
  }

 private:
  std::string last_key_;
  Status status_;
};

std::string shown(const json& value) {
  return TreeBuilder::printable(
      value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
}

std::string string_or_empty(const json& object, const char* field) {
  const auto it = object.find(field);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

}  // namespace

Result<ModelConfig> ModelConfig::parse(std::string_view text) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    return model_errors::config_empty();
  }
  const int depth = nesting_depth(text);
  if (depth > kMaxDepth) return model_errors::config_too_deep(depth, kMaxDepth);
  ModelConfig config;
  TreeBuilder builder(config.root_);
  if (!json::sax_parse(text, &builder)) return builder.status();
  if (!config.root_.is_object())
    return model_errors::config_not_an_object(config.root_.type_name());
  config.text_ = config.root_;
  for (const char* key : kTextKeys) {
    const auto it = config.root_.find(key);
    if (it == config.root_.end() || it->is_null()) continue;
    if (!it->is_object()) return model_errors::field_bad(key, shown(*it), "an object");
    config.text_ = *it;
    config.prefix_ = std::string(key) + ".";
    break;
  }
  config.collect_family_names();
  return config;
}

void ModelConfig::collect_family_names() {
  for (const json* level : {&text_, &root_}) {
    const std::string type = string_or_empty(*level, "model_type");
    if (!type.empty()) family_names_.push_back(type);
    const auto list = level->find("architectures");
    if (list == level->end() || !list->is_array()) continue;
    for (const json& name : *list) {
      if (name.is_string()) family_names_.push_back(name.get<std::string>());
    }
  }
}

std::string ModelConfig::describe_family() const {
  std::string text;
  for (const json* level : {&text_, &root_}) {
    if (level == &root_ && prefix_.empty()) break;
    for (const char* field : {"model_type", "architectures"}) {
      const auto it = level->find(field);
      text +=
          (text.empty() ? "" : ", ") + (level == &text_ ? prefix_ : std::string()) + field + "=";
      text += it == level->end() ? "(absent)" : shown(*it);
    }
  }
  return text;
}

std::string ModelConfig::model_name() const {
  const std::string name = string_or_empty(root_, "_name_or_path");
  return name.empty() ? string_or_empty(root_, "model_type") : name;
}

const json* ModelConfig::find(std::string_view field) const {
  const auto it = text_.find(std::string(field));
  return it == text_.end() ? nullptr : &*it;
}

bool ModelConfig::has(std::string_view field) const {
  const json* value = find(field);
  return value != nullptr && !value->is_null();
}

bool ModelConfig::is_null(std::string_view field) const {
  const json* value = find(field);
  return value != nullptr && value->is_null();
}

std::string ModelConfig::path(std::string_view field) const { return prefix_ + std::string(field); }

Result<std::optional<int64_t>> ModelConfig::whole_number(std::string_view field, int64_t min,
                                                         int64_t max) const {
  if (!has(field)) return std::optional<int64_t>();
  const json& value = *find(field);
  // Numbers beyond 64 bits are read as floating point and refused here too.
  const bool fits = value.is_number_unsigned() ? value.get<uint64_t>() <= uint64_t(max)
                                               : value.is_number_integer();
  if (fits && value.get<int64_t>() >= min && value.get<int64_t>() <= max) {
    return std::optional<int64_t>(value.get<int64_t>());
  }
  return model_errors::field_bad(
      path(field), shown(value),
      "a whole number, " + std::to_string(min) + " .. " + std::to_string(max));
}

Status ModelConfig::check_eps() const {
  constexpr const char* kField = "rms_norm_eps";
  if (!has(kField)) return {};
  const json& value = *find(kField);
  if (value.is_number() && value.get<double>() >= 0) return {};
  return model_errors::field_bad(path(kField), shown(value), "a number, 0 or more");
}

Result<std::optional<bool>> ModelConfig::flag(std::string_view field) const {
  if (!has(field)) return std::optional<bool>();
  const json& value = *find(field);
  if (!value.is_boolean())
    return model_errors::field_bad(path(field), shown(value), "true or false");
  return std::optional<bool>(value.get<bool>());
}

Result<std::optional<std::vector<std::string>>> ModelConfig::kinds(
    std::string_view field, const std::vector<std::string>& values) const {
  std::optional<std::vector<std::string>> none;
  if (!has(field)) return none;
  const json& list = *find(field);
  if (!list.is_array()) {
    return model_errors::field_bad(path(field), shown(list), "a list with one element a layer");
  }
  std::vector<std::string> kinds;
  for (const json& element : list) {
    if (element.is_string()) {
      kinds.push_back(element.get<std::string>());
    } else if (element.is_number_unsigned() && element.get<uint64_t>() < values.size()) {
      kinds.push_back(values[element.get<uint64_t>()]);
    } else {
      return model_errors::field_bad(path(field), shown(element), "the names of layer kinds");
    }
  }
  if (kinds.empty()) return none;
  return std::optional<std::vector<std::string>>(std::move(kinds));
}

Result<DType> ModelConfig::dtype() const {
  for (const json* level : {&text_, &root_}) {
    for (const char* field : {"torch_dtype", "dtype"}) {
      const auto it = level->find(field);
      if (it == level->end() || it->is_null()) continue;
      const std::string name = it->is_string() ? it->get<std::string>() : std::string();
      if (name == "bfloat16") return DType::kBf16;
      if (name == "float16") return DType::kF16;
      if (name == "float32") return DType::kF32;
      const std::string where = (level == &text_ ? prefix_ : std::string()) + field;
      return model_errors::field_bad(where, shown(*it), "bfloat16, float16 or float32");
    }
  }
  return DType::kBf16;
}

}  // namespace rmsjit
