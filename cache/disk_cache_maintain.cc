// SPDX-License-Identifier: Apache-2.0
// DiskCache's upkeep: list, prune, clear, remove. The directory itself is the index, so every walk
// meets files that come and go; one that vanished counts as gone, never as an error.
#include <algorithm>
#include <string_view>
#include <tuple>
#include <utility>

#include "cache/disk_cache.h"
#include "cache/disk_layout.h"
#include "cache/errors.h"
#include "cache/file_lock.h"

namespace rmsjit {
namespace {

constexpr int64_t kStaleTemporary_s = 3600;
constexpr int64_t kClockSkew_s = 3600;

// Seconds since the last use. A time far in the future says nothing, so it counts as oldest: else
// nothing would ever remove that file.
int64_t age_s(int64_t modified_s, int64_t now) {
  constexpr int64_t kOldest = int64_t{1} << 40;
  if (modified_s > now + kClockSkew_s) return kOldest;
  return std::max<int64_t>(now - modified_s, 0);
}

struct Found {
  std::string digest_hex;
  struct stat facts {};
};

struct Walk {
  std::vector<Found> entries;
  std::vector<EntryListing> unreadable;
};

void walk_folder(int folder, const std::string& folder_name, Walk* walk) {
  std::vector<std::string> names;
  if (int error = list_names(folder, &names)) {
    EntryListing bad{folder_name};
    bad.lookup = {Lookup::Kind::kUnreadable, Entry(), reason_errno("list the folder", error)};
    walk->unreadable.push_back(std::move(bad));
  }
  for (const std::string& name : names) {
    Found found{EntryName::digest_hex(folder_name, name)};
    if (found.digest_hex.empty()) continue;
    const int error = facts_at(folder, name, &found.facts);
    if (error == 0) {
      walk->entries.push_back(std::move(found));
    } else if (error != ENOENT) {
      EntryListing bad{found.digest_hex};
      bad.lookup = {Lookup::Kind::kUnreadable, Entry(), reason_errno("stat the entry", error)};
      walk->unreadable.push_back(std::move(bad));
    }
  }
}

Result<Walk> walk_entries(int v1, const std::string& directory, const Policy& policy) {
  Walk walk;
  Fd objects;
  Spot spot;
  const std::string path = directory + "/v1/obj";
  if (!enter_folder(v1, "obj", policy, &objects, &spot)) {
    if (spot.lookup.kind == Lookup::Kind::kMiss) return walk;
    if (spot.error == kUntrustedFolder) return cache_untrusted(path, spot.lookup.reason);
    return cache_io_error("list", path, spot.error);
  }
  std::vector<std::string> folders;
  if (int error = list_names(objects.get(), &folders)) return cache_io_error("list", path, error);
  std::sort(folders.begin(), folders.end());
  for (const std::string& name : folders) {
    if (!EntryName::is_folder(name)) continue;
    Fd folder;
    Spot at_folder;
    if (enter_folder(objects.get(), name, policy, &folder, &at_folder)) {
      walk_folder(folder.get(), name, &walk);
    } else if (at_folder.lookup.kind != Lookup::Kind::kMiss) {
      EntryListing bad{name};
      bad.lookup = std::move(at_folder.lookup);
      walk.unreadable.push_back(std::move(bad));
    }
  }
  return walk;
}

// Removes what the walk saw, unless it was used or replaced since. Gone already counts as removed.
int remove_found(int v1, const Policy& policy, const Found& found) {
  const EntryName name(found.digest_hex);
  Fd objects, folder;
  Spot spot;
  if (!enter_folder(v1, "obj", policy, &objects, &spot) ||
      !enter_folder(objects.get(), name.folder, policy, &folder, &spot)) {
    return spot.lookup.kind == Lookup::Kind::kMiss ? 0 : EACCES;
  }
  struct stat now {};
  int error = facts_at(folder.get(), name.file, &now);
  if (error == 0 && !same_file(found.facts, now)) return EBUSY;
  if (error == 0) error = remove_name(folder.get(), name.file, now.st_mode);
  return error == ENOENT ? 0 : error;
}

enum class DryRun { kNo, kYes };

int64_t sweep_temporaries(int v1, const Policy& policy, int64_t min_age_s, DryRun dry_run) {
  constexpr std::string_view kSuffix = ".tmp";
  Fd folder;
  Spot spot;
  std::vector<std::string> names;
  if (!enter_folder(v1, "tmp", policy, &folder, &spot)) return 0;
  (void)list_names(folder.get(), &names);
  int64_t removed = 0;
  for (const std::string& name : names) {
    struct stat facts {};
    const bool ours = name.size() > kSuffix.size() &&
                      std::string_view(name).substr(name.size() - kSuffix.size()) == kSuffix;
    if (!ours || facts_at(folder.get(), name, &facts) != 0 || !S_ISREG(facts.st_mode)) continue;
    if (age_s(facts.st_mtim.tv_sec, now_s()) < min_age_s) continue;
    if (dry_run == DryRun::kYes || remove_name(folder.get(), name, facts.st_mode) == 0) ++removed;
  }
  return removed;
}

void count_removal(int v1, const Policy& policy, const Found& found, DryRun dry_run,
                   PruneResult* result) {
  const int error = dry_run == DryRun::kYes ? 0 : remove_found(v1, policy, found);
  if (error == 0) {
    ++result->entries_removed;
    result->bytes_removed += found.facts.st_size;
  } else if (error != EBUSY) {
    ++result->entries_failed;
  }
}

void count_before(const Walk& walk, PruneResult* result) {
  for (const Found& found : walk.entries) {
    ++result->entries_before;
    result->bytes_before += found.facts.st_size;
  }
}

}  // namespace

Result<std::vector<EntryListing>> DiskCache::list(bool verify) {
  const int v1 = state_->handle(directory_);
  RMSJIT_ASSIGN_OR_RETURN(Walk walk, walk_entries(v1, directory_, state_->policy));
  std::vector<EntryListing> items = std::move(walk.unreadable);
  for (const Found& found : walk.entries) {
    EntryListing item{found.digest_hex, found.facts.st_size, found.facts.st_mtim.tv_sec};
    if (verify) {
      const Result<Digest> digest = Digest::from_hex(found.digest_hex);
      item.lookup = std::move(look_at(v1, *digest, state_->policy).lookup);
      if (item.lookup.kind == Lookup::Kind::kMiss) continue;
    }
    items.push_back(std::move(item));
  }
  std::sort(items.begin(), items.end(), [](const EntryListing& a, const EntryListing& b) {
    return a.digest_hex < b.digest_hex;
  });
  return items;
}

Result<PruneResult> DiskCache::prune(int64_t max_bytes, int64_t min_age_s, bool dry_run) {
  if (!dry_run) RMSJIT_RETURN_IF_ERROR(writable("prune"));
  const int v1 = state_->handle(directory_);
  const DryRun dry = dry_run ? DryRun::kYes : DryRun::kNo;
  PruneResult result;
  KeyLock pruner;
  if (!dry_run) {
    pruner = lock_at(kPrunerLockOffset, 0);
    if (!pruner.held() && pruner.waited()) {
      result.another_pruner = true;
      return result;
    }
  }
  RMSJIT_ASSIGN_OR_RETURN(Walk walk, walk_entries(v1, directory_, state_->policy));
  count_before(walk, &result);
  const int64_t now = now_s();
  auto oldest_first = [now](const Found& a, const Found& b) {
    return std::make_tuple(-age_s(a.facts.st_mtim.tv_sec, now), a.facts.st_mtim.tv_nsec,
                           std::string_view(a.digest_hex)) <
           std::make_tuple(-age_s(b.facts.st_mtim.tv_sec, now), b.facts.st_mtim.tv_nsec,
                           std::string_view(b.digest_hex));
  };
  std::sort(walk.entries.begin(), walk.entries.end(), oldest_first);
  for (const Found& found : walk.entries) {
    if (result.bytes_before - result.bytes_removed <= max_bytes) break;
    if (age_s(found.facts.st_mtim.tv_sec, now) < min_age_s) break;
    count_removal(v1, state_->policy, found, dry, &result);
  }
  result.stale_temporaries_removed = sweep_temporaries(v1, state_->policy, kStaleTemporary_s, dry);
  return result;
}

Result<PruneResult> DiskCache::clear(bool dry_run) {
  if (!dry_run) RMSJIT_RETURN_IF_ERROR(writable("clear"));
  const int v1 = state_->handle(directory_);
  const DryRun dry = dry_run ? DryRun::kYes : DryRun::kNo;
  RMSJIT_ASSIGN_OR_RETURN(Walk walk, walk_entries(v1, directory_, state_->policy));
  PruneResult result;
  count_before(walk, &result);
  for (const Found& found : walk.entries) {
    count_removal(v1, state_->policy, found, dry, &result);
  }
  result.stale_temporaries_removed = sweep_temporaries(v1, state_->policy, 0, dry);
  return result;
}

Status DiskCache::remove(const Digest& digest) {
  RMSJIT_RETURN_IF_ERROR(writable("remove an entry of"));
  const int v1 = state_->handle(directory_);
  const EntryName name(digest.hex());
  Fd objects, folder;
  Spot spot;
  struct stat facts {};
  int error = 0;
  if (!enter_folder(v1, "obj", state_->policy, &objects, &spot) ||
      !enter_folder(objects.get(), name.folder, state_->policy, &folder, &spot)) {
    error = spot.error == kUntrustedFolder ? EACCES : spot.error;
  } else {
    error = facts_at(folder.get(), name.file, &facts);
    if (error == 0) error = remove_name(folder.get(), name.file, facts.st_mode);
  }
  if (error == ENOENT) return entry_not_found(directory_, digest.hex());
  if (error != 0) return cache_io_error("remove entry " + digest.hex() + " of", directory_, error);
  return Status();
}

}  // namespace rmsjit
