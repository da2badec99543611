// SPDX-License-Identifier: Apache-2.0
// build_items: compiles a list of kernels into one directory on several threads. Every item is
// tried; a failure belongs to its item.
#ifndef RMSJIT_TOOLS_BUILD_ITEMS_H_
#define RMSJIT_TOOLS_BUILD_ITEMS_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cache/disk_cache.h"
#include "runtime/kernel_store.h"

namespace rmsjit::cli {

struct BuildItem {
  KernelId id;
  CacheKey key;
  Status status;
  int stopped_by = 0;                // the signal that came before its turn; status says so too
  std::optional<Acquired> acquired;  // unset when failed, or not tried by --dry-run
};

struct BuildPlan {
  KernelStore* store = nullptr;
  DiskCache* cache = nullptr;  // where the store publishes: read back to see that it did
  int jobs = 1;
  std::function<void(const BuildItem&)> on_done;  // from any worker thread
};

// Fills status and acquired of each item. SIGINT and SIGTERM let the running compiles finish and
// fail the rest, so that no partial file is left; a second one ends the process.
void build_items(const BuildPlan& plan, std::vector<BuildItem>& items);

}  // namespace rmsjit::cli

#endif  // RMSJIT_TOOLS_BUILD_ITEMS_H_
