// SPDX-License-Identifier: Apache-2.0
// rmsnorm-aot clear: every entry goes, nothing else is touched.
#include "tools/cli.h"
#include "tools/cli_cache.h"
#include "tools/console.h"
#include "tools/removal.h"

namespace rmsjit::cli {
namespace {

struct ClearOptions {
  CacheChoice cache;
  bool dry_run = false, json = false, quiet = false;
};

int run(const ClearOptions& options) {
  auto cache = options.cache.open(DiskCache::Mode::kReadWrite);
  if (!cache.ok()) return fail(kNotTried, cache.message());
  return report_removal((*cache)->clear(options.dry_run),
                        {(*cache)->directory(), options.dry_run, options.json,
                         options.quiet ? Talk::kQuiet : Talk::kNormal});
}

}  // namespace

void add_clear(CLI::App& root, int& exit_code) {
  auto options = std::make_shared<ClearOptions>();
  CLI::App* command = root.add_subcommand("clear", "Remove every entry");
  options->cache.add_to(*command);
  command->add_flag("--dry-run", options->dry_run, "Say what would go; remove nothing");
  command->add_flag("--json", options->json, "One JSON object on stdout");
  command->add_flag("--quiet,-q", options->quiet, "No summary");
  command->footer("Example:\n  rmsnorm-aot clear --dry-run");
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace rmsjit::cli
