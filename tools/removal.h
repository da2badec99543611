// SPDX-License-Identifier: Apache-2.0
// What prune and clear say when they are done.
#ifndef RMSJIT_TOOLS_REMOVAL_H_
#define RMSJIT_TOOLS_REMOVAL_H_

#include <fmt/format.h>

#include <string>

#include "cache/disk_cache.h"
#include "tools/cli.h"
#include "tools/console.h"

namespace rmsjit::cli {

struct RemovalReport {
  std::string directory;
  bool dry_run = false, json = false;
  Talk talk = Talk::kNormal;
};

inline int report_removal(const Result<PruneResult>& result, const RemovalReport& report) {
  if (!result.ok()) return fail(kNotTried, result.message());
  if (report.json) {
    print_json({{"schema_version", 1},
                {"directory", report.directory},
                {"dry_run", report.dry_run},
                {"summary",
                 {{"entries_before", result->entries_before},
                  {"bytes_before", result->bytes_before},
                  {"entries_removed", result->entries_removed},
                  {"bytes_removed", result->bytes_removed},
                  {"entries_failed", result->entries_failed},
                  {"stale_temporaries_removed", result->stale_temporaries_removed}}}});
  }
  if (result->another_pruner) {
    return fail(kSomeFailed, report.directory + ": another process is removing entries, try again");
  }
  say(report.talk, fmt::format("{} {} of {} entries, {} of {} bytes in {}",
                               report.dry_run ? "would remove" : "removed", result->entries_removed,
                               result->entries_before, result->bytes_removed, result->bytes_before,
                               report.directory));
  if (result->entries_failed == 0) return kDone;
  return fail(kSomeFailed, fmt::format("{} entries of {} could not be removed",
                                       result->entries_failed, report.directory));
}

}  // namespace rmsjit::cli

#endif  // RMSJIT_TOOLS_REMOVAL_H_
