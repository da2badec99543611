// SPDX-License-Identifier: Apache-2.0
// rmsnorm-aot keys: the key set of a model, without compiling anything.
#include <fmt/format.h>

#include "rmsjit/spec_text.h"
#include "tools/cli.h"
#include "tools/console.h"
#include "tools/spec_sources.h"

namespace rmsjit::cli {
namespace {

struct KeysOptions {
  std::string model;
  ModelOptions model_options;
  bool json = false;
};

int run(const KeysOptions& options) {
  Result<ModelKeys> keys = options.model_options.load(options.model);
  if (!keys.ok()) return fail(kBadUsage, keys.message());
  if (options.json) {
    fmt::print("{}\n", model_keys_json(*keys));
    return kDone;
  }
  std::vector<std::vector<std::string>> rows = {{"layers", "spec", "roles"}};
  for (const ModelKey& key : keys->keys) {
    std::string roles;
    for (const std::string& role : key.roles) roles += (roles.empty() ? "" : ", ") + role;
    rows.push_back({std::to_string(key.layers), spec_text(key.spec), roles});
  }
  print_table(rows);
  return kDone;
}

}  // namespace

void add_keys(CLI::App& root, int& exit_code) {
  auto options = std::make_shared<KeysOptions>();
  CLI::App* command = root.add_subcommand("keys", "List the RMSNorm specs that a model needs");
  command->add_option("--model", options->model, "Hugging Face config.json, or its folder")
      ->required()
      ->type_name("FILE");
  options->model_options.add_to(*command);
  command->add_flag("--json", options->json, "One JSON object on stdout; --specs reads it");
  command->footer("Example:\n  rmsnorm-aot keys --model config.json --like flashinfer --json");
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace rmsjit::cli
