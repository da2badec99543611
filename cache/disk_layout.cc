// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_layout.h"

#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "cache/errors.h"

namespace rmsjit {
namespace {

constexpr std::string_view kSuffix = ".rmsk";
constexpr size_t kFolderDigits = 2, kFileDigits = 62;

bool all_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

void found(Spot* spot, Lookup::Kind kind, std::string reason) {
  spot->lookup.kind = kind;
  spot->lookup.reason = std::move(reason);
}

// An open failed. Only a name that really holds something else is damage; a file system that
// answers nonsense is not.
void open_failed(int at, const std::string& name, mode_t expected, int error, Spot* spot) {
  spot->error = error;
  if (error == ENOENT) return found(spot, Lookup::Kind::kMiss, "");
  const bool other_type = error == ENOTDIR || error == ELOOP || error == ENXIO || error == ENODEV;
  if (other_type && facts_at(at, name, &spot->facts) == 0 &&
      (spot->facts.st_mode & S_IFMT) != expected) {
    spot->at = at;
    spot->name = name;
    return found(
        spot, Lookup::Kind::kDamaged,
        expected == S_IFDIR ? reason_not_directory(name) : reason_not_regular(spot->facts.st_mode));
  }
  found(spot, Lookup::Kind::kUnreadable, reason_errno("open " + name, error));
}

// A rewritten or grown file between fstat and read is not judged either: EIO.
void read_entry(const Digest& digest, const Policy& policy, Spot* spot) {
  if (int error = facts_of(spot->file.get(), &spot->facts)) {
    spot->error = error;
    return found(spot, Lookup::Kind::kUnreadable, reason_errno("stat the entry", error));
  }
  constexpr Lookup::Kind kDamaged = Lookup::Kind::kDamaged;
  if (!S_ISREG(spot->facts.st_mode)) {
    return found(spot, kDamaged, reason_not_regular(spot->facts.st_mode));
  }
  std::string why = policy.why_untrusted(spot->facts, spot->file.get());
  if (!why.empty()) return found(spot, kDamaged, "entry " + why);
  if (spot->facts.st_size > kMaxEntryBytes) {
    return found(spot, kDamaged, reason_too_long(spot->facts.st_size));
  }
  std::string bytes;
  if (int error = read_exactly(spot->file.get(), spot->facts.st_size, &bytes)) {
    spot->error = error;
    return found(spot, Lookup::Kind::kUnreadable, reason_errno("read the entry", error));
  }
  Result<Entry> entry = decode_entry(bytes);
  if (!entry.ok()) return found(spot, kDamaged, entry.message());
  Digest& checksum = spot->lookup.checksum;
  std::copy(bytes.end() - static_cast<std::ptrdiff_t>(checksum.bytes.size()), bytes.end(),
            checksum.bytes.begin());
  const Digest holds = entry->digest();
  if (holds != digest) return found(spot, kDamaged, reason_other_key(holds.hex()));
  spot->lookup.entry = std::move(*entry);
  found(spot, Lookup::Kind::kHit, "");
}

// The tag keeps backups away from a directory that is all cache. A directory with anything else in
// it belongs to somebody, so it is left alone.
void write_cachedir_tag(int directory, const Policy& policy) {
  std::vector<std::string> names;
  if (list_names(directory, &names) != 0 || names.size() != 1) return;
  (void)write_new_file(
      directory, "CACHEDIR.TAG",
      "Signature: 8a477f597d28d172789f06886806bc55\n"
      "# This directory is a cache of rmsjit: everything in it can be made again.\n"
      "# For the tag see https://bford.info/cachedir/\n",
      policy.file_mode());
}

}  // namespace

mode_t Policy::folder_mode() const {
  if (share == DiskCache::Share::kGroup) return 0770;
  return share == DiskCache::Share::kReadable ? 0755 : 0700;
}

mode_t Policy::file_mode() const {
  if (share == DiskCache::Share::kGroup) return 0640;
  return share == DiskCache::Share::kReadable ? 0644 : 0600;
}

std::string Policy::why_untrusted(const struct stat& facts, int fd) const {
  if (mode == DiskCache::Mode::kSigned) return "";
  const bool bundle = mode == DiskCache::Mode::kReadOnly;
  const bool group = share == DiskCache::Share::kGroup;
  if ((facts.st_mode & S_IWOTH) != 0 && !(bundle && on_read_only_mount(fd))) {
    return reason_writable("everybody", facts.st_mode);
  }
  if (bundle) return "";
  if (group) {
    // Only folders decide: who may write them is who may put files there.
    const bool ours = facts.st_uid == geteuid() || in_own_groups(facts.st_gid);
    return ours || !S_ISDIR(facts.st_mode) ? "" : reason_owner(facts.st_uid, geteuid());
  }
  if (facts.st_uid != geteuid()) return reason_owner(facts.st_uid, geteuid());
  return (facts.st_mode & S_IWGRP) == 0 ? "" : reason_writable("its group", facts.st_mode);
}

EntryName::EntryName(const std::string& digest_hex)
    : folder(digest_hex.substr(0, kFolderDigits)),
      file(digest_hex.substr(kFolderDigits) + std::string(kSuffix)) {}

std::string EntryName::digest_hex(const std::string& folder, const std::string& file) {
  const std::string_view name = file;
  if (!is_folder(folder) || name.size() != kFileDigits + kSuffix.size() ||
      name.substr(kFileDigits) != kSuffix || !all_hex(name.substr(0, kFileDigits))) {
    return "";
  }
  return folder + file.substr(0, kFileDigits);
}

bool EntryName::is_folder(const std::string& name) {
  return name.size() == kFolderDigits && all_hex(name);
}

bool enter_folder(int at, const std::string& name, const Policy& policy, Fd* out, Spot* spot) {
  if (int error = open_subdirectory(at, name, out)) {
    open_failed(at, name, S_IFDIR, error, spot);
    return false;
  }
  struct stat facts {};
  if (int error = facts_of(out->get(), &facts)) {
    spot->error = error;
    found(spot, Lookup::Kind::kUnreadable, reason_errno("stat " + name, error));
    return false;
  }
  std::string why = policy.why_untrusted(facts, out->get());
  if (why.empty()) return true;
  spot->error = kUntrustedFolder;
  found(spot, Lookup::Kind::kUnreadable, "folder " + name + " " + why);
  return false;
}

int ensure_folder(int at, const std::string& name, const Policy& policy, Fd* out,
                  std::string* why) {
  Spot spot;
  for (int attempt = 0; attempt < 3; ++attempt) {
    spot = Spot();
    if (enter_folder(at, name, policy, out, &spot)) return 0;
    *why = spot.lookup.reason;
    if (spot.lookup.kind == Lookup::Kind::kUnreadable) return spot.error;
    if (spot.lookup.kind == Lookup::Kind::kDamaged) {
      if (int error = discard(spot)) return error;
    }
    if (int error = make_subdirectory(at, name, policy.folder_mode())) return error;
  }
  return spot.error;
}

Spot look_at(int v1, const Digest& digest, const Policy& policy) {
  const EntryName name(digest.hex());
  Spot spot;
  Fd objects, folder;
  if (!enter_folder(v1, "obj", policy, &objects, &spot)) return spot;
  if (!enter_folder(objects.get(), name.folder, policy, &folder, &spot)) {
    spot.folder = std::move(objects);
    return spot;
  }
  spot.folder = std::move(folder);
  if (int error = open_to_read(spot.folder.get(), name.file, &spot.file)) {
    open_failed(spot.folder.get(), name.file, S_IFREG, error, &spot);
    return spot;
  }
  spot.at = spot.folder.get();
  spot.name = name.file;
  read_entry(digest, policy, &spot);
  return spot;
}

int discard(const Spot& spot) {
  struct stat now {};
  const int error = facts_at(spot.at, spot.name, &now);
  if (error == ENOENT) return 0;
  if (error != 0) return error;
  if (!same_file(spot.facts, now)) return 0;  // replaced meanwhile: not what was judged
  return remove_name(spot.at, spot.name, now.st_mode);
}

Result<Fd> open_v1(const std::string& directory, const Policy& policy) {
  const bool create = policy.mode == DiskCache::Mode::kReadWrite;
  Fd root, v1;
  int error = open_directory(directory, &root);
  if (error == ENOENT && create) {
    error = make_directories(directory, policy.folder_mode());
    if (error != 0) return cache_io_error("make the cache directory", directory, error);
    error = open_directory(directory, &root);
  }
  if (error == ENOENT && !create) return cache_not_found(directory);
  if (error != 0) return cache_io_error("open the cache directory", directory, error);

  const std::string path = directory + "/v1";
  error = open_subdirectory(root.get(), "v1", &v1);
  if (error == ENOENT && create) {
    error = make_subdirectory(root.get(), "v1", policy.folder_mode());
    if (error != 0) return cache_io_error("make", path, error);
    write_cachedir_tag(root.get(), policy);
    error = open_subdirectory(root.get(), "v1", &v1);
  }
  if (error == ENOENT && !create) return cache_not_found(directory);
  struct stat facts {};
  if ((error == ENOTDIR || error == ELOOP) && facts_at(root.get(), "v1", &facts) == 0 &&
      !S_ISDIR(facts.st_mode)) {
    return cache_untrusted(path, "it is not a directory");
  }
  if (error != 0) return cache_io_error("open", path, error);
  if ((error = facts_of(v1.get(), &facts)) != 0) return cache_io_error("stat", path, error);
  std::string why = policy.why_untrusted(facts, v1.get());
  if (!why.empty()) return cache_untrusted(path, "it " + why);
  return v1;
}

int DiskCache::State::handle(const std::string& directory) {
  struct stat facts {};
  if (facts_of(v1.get(), &facts) == 0 && facts.st_nlink > 0) return v1.get();
  const Result<Fd> again = open_v1(directory, policy);
  if (again.ok()) (void)replace_descriptor(again->get(), v1.get());
  return v1.get();
}

}  // namespace rmsjit
