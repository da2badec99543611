// SPDX-License-Identifier: Apache-2.0
// rmsnorm-aot prune: the least recently used entries go until the rest fits.
#include <algorithm>

#include "tools/cli.h"
#include "tools/cli_cache.h"
#include "tools/console.h"
#include "tools/removal.h"

namespace rmsjit::cli {
namespace {

struct PruneOptions {
  CacheChoice cache;
  uint64_t max_bytes = 0;
  int64_t min_age_s = 0;
  bool dry_run = false, json = false, quiet = false;
};

int64_t bounded(uint64_t value) { return int64_t(std::min(value, uint64_t{INT64_MAX})); }

std::string not_negative(std::string text) {
  if (text.find('-') == std::string::npos) return text;
  throw CLI::ValidationError("--max-bytes", text + " is negative: use 0 or more");
}

int run(const PruneOptions& options) {
  auto cache = options.cache.open(DiskCache::Mode::kReadWrite);
  if (!cache.ok()) return fail(kNotTried, cache.message());
  const Result<PruneResult> result =
      (*cache)->prune(bounded(options.max_bytes), options.min_age_s, options.dry_run);
  return report_removal(result, {(*cache)->directory(), options.dry_run, options.json,
                                 options.quiet ? Talk::kQuiet : Talk::kNormal});
}

}  // namespace

void add_prune(CLI::App& root, int& exit_code) {
  auto options = std::make_shared<PruneOptions>();
  CLI::App* command = root.add_subcommand("prune", "Remove the least recently used entries");
  options->cache.add_to(*command);
  command->add_option("--max-bytes", options->max_bytes, "What may stay: 100000, 64MB")
      ->required()
      ->transform(CLI::AsSizeValue(false))
      ->transform(not_negative)  // runs first: a minus sign would wrap around
      ->type_name("BYTES");
  command->add_option("--min-age", options->min_age_s, "Keep entries used in the last N seconds")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");
  command->add_flag("--dry-run", options->dry_run, "Say what would go; remove nothing");
  command->add_flag("--json", options->json, "One JSON object on stdout");
  command->add_flag("--quiet,-q", options->quiet, "No summary");
  command->footer("Example:\n  rmsnorm-aot prune --max-bytes 64MB --dry-run");
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace rmsjit::cli
