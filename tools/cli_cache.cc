// SPDX-License-Identifier: Apache-2.0
#include "tools/cli_cache.h"

#include <fmt/format.h>

#include <cstdlib>

#include "runtime/driver.h"

namespace rmsjit::cli {

Result<RuntimeOptions> user_options() {
  const rmsjit_options nothing_given = {.struct_size = sizeof(rmsjit_options)};
  return resolve_options(nothing_given,
                         [](const char* name) -> const char* { return secure_getenv(name); });
}

void CacheChoice::add_to(CLI::App& command) {
  command.add_option("--bundle,--cache", directory, "Bundle or cache (default: the user's cache)")
      ->type_name("DIR");
}

Result<std::unique_ptr<DiskCache>> CacheChoice::open(DiskCache::Mode mode) const {
  std::string path = directory;
  if (path.empty()) {
    RMSJIT_ASSIGN_OR_RETURN(const RuntimeOptions options, user_options());
    path = options.store.cache_dir;
  }
  if (path.empty()) {
    return Status(StatusCode::kNotFound,
                  "there is no cache directory: HOME is unset or not absolute; use --bundle DIR");
  }
  if (mode == DiskCache::Mode::kReadWrite) {
    // Looked at first, because opening to write would make the directory.
    auto present = DiskCache::open(path, DiskCache::Mode::kReadOnly);
    if (present.code() == StatusCode::kNotFound) return present.status();
  }
  return DiskCache::open(path, mode);
}

Result<Entry> find_entry(DiskCache& cache, const std::string& digest_prefix) {
  constexpr size_t kShortest = 4;
  if (digest_prefix.size() < kShortest || digest_prefix.size() > 64 ||
      digest_prefix.find_first_not_of("0123456789abcdef") != std::string::npos) {
    return Status(
        StatusCode::kInvalidArgument,
        fmt::format("digest {} is not one: use 4 to 64 of the digits 0-9 and a-f", digest_prefix));
  }
  RMSJIT_ASSIGN_OR_RETURN(const std::vector<EntryListing> listings, cache.list(true));
  const EntryListing* match = nullptr;
  for (const EntryListing& listing : listings) {
    if (listing.digest_hex.compare(0, digest_prefix.size(), digest_prefix) != 0) continue;
    if (match != nullptr) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("digest {} is the beginning of several: {}, {}; use more digits",
                                digest_prefix, match->digest_hex, listing.digest_hex));
    }
    match = &listing;
  }
  if (match == nullptr) {
    return Status(StatusCode::kNotFound,
                  fmt::format("no entry of {} begins with {}", cache.directory(), digest_prefix));
  }
  if (match->lookup.kind != Lookup::Kind::kHit) {
    return Status(StatusCode::kDamaged, fmt::format("entry {} cannot be used: {}",
                                                    match->digest_hex, match->lookup.reason));
  }
  return match->lookup.entry;
}

std::vector<int> loadable_majors() {
  const Result<const Driver*> driver = Driver::get();
  return driver.ok() ? (*driver)->loadable_majors() : std::vector<int>{13, 12};
}

Found find_kernel(DiskCache& cache, const KernelId& id, const std::vector<int>& majors) {
  std::optional<Found> first;
  for (const int major : majors) {
    Found found{id.cache_key(major), {}};
    found.lookup = cache.get(found.key);
    if (found.lookup.kind == Lookup::Kind::kHit) return found;
    const bool says_more = found.lookup.kind != Lookup::Kind::kMiss;
    if (!first || (says_more && first->lookup.kind == Lookup::Kind::kMiss)) {
      first = std::move(found);
    }
  }
  return std::move(*first);
}

}  // namespace rmsjit::cli
