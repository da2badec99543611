// SPDX-License-Identifier: Apache-2.0
// rmsnorm-aot show: everything that one entry says of itself.
#include <fmt/format.h>

#include "tools/cli.h"
#include "tools/cli_cache.h"
#include "tools/console.h"
#include "tools/entry_text.h"

namespace rmsjit::cli {
namespace {

struct ShowOptions {
  CacheChoice cache;
  std::string digest;
  bool json = false;
};

int run(const ShowOptions& options) {
  auto cache = options.cache.open(DiskCache::Mode::kReadOnly);
  if (!cache.ok()) return fail(kNotTried, cache.message());
  const Result<Entry> entry = find_entry(**cache, options.digest);
  if (!entry.ok()) {
    const bool usage = entry.code() == StatusCode::kInvalidArgument;
    return fail(usage ? kBadUsage : kSomeFailed, entry.message());
  }
  nlohmann::ordered_json object = entry_json(*entry);
  if (options.json) {
    object["spec_cuh"] = key_field(*entry, "spec.cuh");
    print_json({{"schema_version", 1}, {"entry", object}});
    return kDone;
  }
  for (const auto& [name, value] : object.items()) {
    fmt::print("{:<16} {}\n", name, value.is_string() ? value.get<std::string>() : value.dump());
  }
  fmt::print("\n{}", key_field(*entry, "spec.cuh"));
  return kDone;
}

}  // namespace

void add_show(CLI::App& root, int& exit_code) {
  auto options = std::make_shared<ShowOptions>();
  CLI::App* command = root.add_subcommand("show", "Show everything about one entry");
  command->add_option("digest", options->digest, "The entry's digest, or its beginning")
      ->required()
      ->type_name("DIGEST");
  options->cache.add_to(*command);
  command->add_flag("--json", options->json, "One JSON object on stdout");
  command->footer("Example:\n  rmsnorm-aot show 3fa9c1 --bundle bundle");
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace rmsjit::cli
