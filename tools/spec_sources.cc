// SPDX-License-Identifier: Apache-2.0
#include "tools/spec_sources.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "rmsjit/spec_text.h"
#include "runtime/spec_json.h"

namespace rmsjit::cli {
namespace {

constexpr size_t kMaxFileBytes = size_t{16} << 20;

Status invalid(std::string message) {
  return Status(StatusCode::kInvalidArgument, std::move(message));
}

Status in_source(const std::string& source, const Status& why) {
  return Status(why.code(), source + ": " + why.message());
}

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

Status apply(const std::vector<SpecOverride>& overrides, NormSpec& spec) {
  for (const auto& [name, value] : overrides) {
    RMSJIT_RETURN_IF_ERROR(set_spec_field(spec, name, value));
  }
  RMSJIT_RETURN_IF_ERROR(validate(spec));
  spec = canonical_any_target(spec);
  return {};
}

// The output of `keys --json`.
Status read_json_specs(const std::string& text, std::vector<NormSpec>& specs) {
  const nlohmann::json root = nlohmann::json::parse(text, nullptr, false);
  if (!root.is_object() || !root.contains("keys") || !root["keys"].is_array()) {
    return invalid("is neither the output of keys --json (an object with keys) nor spec texts");
  }
  for (size_t i = 0; i < root["keys"].size(); ++i) {
    const nlohmann::json& key = root["keys"][i];
    Result<NormSpec> spec = key.is_object() && key.contains("spec")
                                ? spec_from_json(key["spec"])
                                : Result<NormSpec>(invalid("has no \"spec\" object"));
    if (!spec.ok()) return in_source(fmt::format("keys[{}]", i), spec.status());
    specs.push_back(*spec);
  }
  return {};
}

// One spec text a line; # begins a comment.
Status read_text_specs(const std::string& text, std::vector<NormSpec>& specs) {
  std::istringstream lines(text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const std::string_view spec_part = trimmed(std::string_view(line).substr(0, line.find('#')));
    if (spec_part.empty()) continue;
    Result<NormSpec> spec = parse_spec(spec_part);
    if (!spec.ok()) return in_source(fmt::format("line {}", number), spec.status());
    specs.push_back(*spec);
  }
  return {};
}

}  // namespace

Result<std::string> read_text(const std::string& path) {
  std::ifstream file;
  if (path != "-") file.open(path, std::ios::binary);
  std::error_code error;
  if (path != "-" && (!file || std::filesystem::is_directory(path, error))) {
    return Status(StatusCode::kIo, fmt::format("cannot be read: {}",
                                               file ? "it is a folder" : std::strerror(errno)));
  }
  std::istream& in = path == "-" ? std::cin : file;
  std::string text(kMaxFileBytes + 1, '\0');
  in.read(text.data(), std::streamsize(text.size()));
  text.resize(size_t(in.gcount()));
  if (text.size() > kMaxFileBytes) {
    return Status(StatusCode::kIo, fmt::format("is larger than {} bytes", kMaxFileBytes));
  }
  return text;
}

void ModelOptions::add_to(CLI::App& command) {
  command.add_option("--like", like, "Engine profile whose rounding, placement and PDL to take")
      ->check(CLI::IsMember(profile_names()));
  command.add_option("--tp", tensor_parallel, "Tensor parallel size, divides sharded widths")
      ->type_name("N");
  command.add_option("--set", sets, "Sets a spec field everywhere: --set x=f16")
      ->type_name("FIELD=VALUE")
      ->allow_extra_args(false);
}

Result<std::vector<SpecOverride>> ModelOptions::overrides() const {
  std::vector<SpecOverride> overrides;
  for (const std::string& set : sets) {
    const size_t equals = set.find('=');
    if (equals == std::string::npos || equals == 0) {
      return invalid(fmt::format("--set {}: use --set field=value, as in --set x=f16", set));
    }
    NormSpec scratch;
    overrides.emplace_back(set.substr(0, equals), set.substr(equals + 1));
    const Status known = set_spec_field(scratch, overrides.back().first, overrides.back().second);
    if (!known.ok()) return in_source("--set " + set, known);
  }
  return overrides;
}

Result<ModelKeys> ModelOptions::load(const std::string& path) const {
  if (tensor_parallel < 1) {
    return invalid(
        fmt::format("--tp {} is out of range: 1 .. {}", tensor_parallel, kMaxTensorParallel));
  }
  RMSJIT_ASSIGN_OR_RETURN(const auto sets_to_apply, overrides());
  std::error_code error;
  const bool folder = std::filesystem::is_directory(path, error);
  const std::string file = folder ? path + "/config.json" : path;
  Result<std::string> text = read_text(file);
  if (!text.ok()) return in_source("--model " + file, text.status());
  Result<ModelKeys> keys = keys_for_model(*text, like, tensor_parallel, sets_to_apply);
  if (!keys.ok()) return in_source("--model " + file, keys.status());
  return keys;
}

void SpecSources::add_to(CLI::App& command) {
  const auto repeatable = [&command](const char* name, std::vector<std::string>& values,
                                     const char* help, const char* type) {
    return command.add_option(name, values, help)->type_name(type)->allow_extra_args(false);
  };
  repeatable("--model", models, "Hugging Face config.json, or its folder", "FILE");
  repeatable("--specs", files, "Output of keys --json, or one spec text a line (# comments)",
             "FILE");
  repeatable("--spec", texts, "A spec text: \"hidden=4096,residual=add\"", "TEXT");
  repeatable("--arch", arches, "Targets: sm_80,sm_90,sm_100,sm_120, compute_90", "LIST")
      ->delimiter(',');
  model_options.add_to(command);
}

Status SpecSources::load_file(const std::string& path, std::vector<NormSpec>& specs) const {
  RMSJIT_ASSIGN_OR_RETURN(const std::string text, read_text(path));
  const size_t first = text.find_first_not_of(" \t\r\n");
  const size_t before = specs.size();
  const bool is_json = first != std::string::npos && (text[first] == '{' || text[first] == '[');
  RMSJIT_RETURN_IF_ERROR(is_json ? read_json_specs(text, specs) : read_text_specs(text, specs));
  if (specs.size() == before) return invalid("has no spec in it");
  return {};
}

Result<std::vector<NormSpec>> SpecSources::load() const {
  std::vector<NormSpec> specs;
  RMSJIT_ASSIGN_OR_RETURN(const auto overrides, model_options.overrides());
  for (const std::string& path : models) {
    RMSJIT_ASSIGN_OR_RETURN(const ModelKeys keys, model_options.load(path));
    for (const ModelKey& key : keys.keys) specs.push_back(key.spec);
  }
  const size_t from_models = specs.size();
  for (const std::string& path : files) {
    const Status status = load_file(path, specs);
    if (!status.ok()) return in_source("--specs " + path, status);
  }
  for (const std::string& text : texts) {
    Result<NormSpec> spec = parse_spec(text);
    if (!spec.ok()) return in_source("--spec", spec.status());
    specs.push_back(*spec);
  }
  for (size_t i = from_models; i < specs.size(); ++i) {
    RMSJIT_RETURN_IF_ERROR(apply(overrides, specs[i]));
  }
  return specs;
}

Result<std::vector<Target>> SpecSources::targets() const {
  std::vector<Target> targets;
  for (const std::string& name : arches) {
    Result<Target> target = parse_target(trimmed(name));
    if (!target.ok()) return in_source("--arch", target.status());
    targets.push_back(*target);
  }
  if (targets.empty()) return invalid("no --arch is given: use " + allowed_targets());
  return targets;
}

Result<std::vector<KernelId>> SpecSources::load_kernels() const {
  if (!any()) return invalid("no source of specs is given: use --model, --specs or --spec");
  RMSJIT_ASSIGN_OR_RETURN(const std::vector<Target> wanted_targets, targets());
  RMSJIT_ASSIGN_OR_RETURN(const std::vector<NormSpec> specs, load());
  std::vector<KernelId> kernels;
  std::set<std::string> seen;
  for (const Target& target : wanted_targets) {
    for (const NormSpec& spec : specs) {
      Result<KernelId> id = KernelId::make(spec, target);
      if (!id.ok()) return in_source("spec \"" + spec_text(spec) + "\"", id.status());
      // The CUDA major is one for all, so that it cannot tell two keys apart.
      if (seen.insert(id->cache_key(0).text()).second) kernels.push_back(std::move(*id));
    }
  }
  return kernels;
}

}  // namespace rmsjit::cli
