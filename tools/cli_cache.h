// SPDX-License-Identifier: Apache-2.0
// Which directory a command looks into, and how an entry is named on the command line.
#ifndef RMSJIT_TOOLS_CLI_CACHE_H_
#define RMSJIT_TOOLS_CLI_CACHE_H_

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/disk_cache.h"
#include "runtime/kernel_key.h"
#include "runtime/options.h"

namespace rmsjit::cli {

// What a runtime of this user would take from the RMSJIT_* variables. Errors: kInvalidArgument,
// kUnsupported (a variable with a value that is not allowed).
Result<RuntimeOptions> user_options();

// --bundle DIR; without it the user's cache.
struct CacheChoice {
  std::string directory;

  void add_to(CLI::App& command);
  // Errors: kNotFound, kIo, kUntrusted; those of user_options().
  Result<std::unique_ptr<DiskCache>> open(DiskCache::Mode mode) const;
};

// An entry by the beginning of its digest, four digits or more. Errors: kInvalidArgument (not hex,
// too short, several entries begin so), kNotFound, kDamaged.
Result<Entry> find_entry(DiskCache& cache, const std::string& digest_prefix);

// CUDA majors whose images may serve: those of this machine's driver, else every one.
std::vector<int> loadable_majors();

// The entry of any of the majors, the first that is there; else the look-up of the first major.
struct Found {
  CacheKey key;
  Lookup lookup;
};
Found find_kernel(DiskCache& cache, const KernelId& id, const std::vector<int>& majors);

}  // namespace rmsjit::cli

#endif  // RMSJIT_TOOLS_CLI_CACHE_H_
