// SPDX-License-Identifier: Apache-2.0
// How a cache directory is laid out: names, modes, whom it trusts, and what is found at an entry's
// name. The inside of DiskCache, shared by its two source files. Safe from any thread.
#ifndef RMSJIT_DISK_LAYOUT_H_
#define RMSJIT_DISK_LAYOUT_H_

#include <sys/stat.h>

#include <string>

#include "cache/disk_cache.h"
#include "cache/file_util.h"

namespace rmsjit {

// Digest offsets lie below 2^62, so keys and the pruner never wait for each other.
inline constexpr int64_t kPrunerLockOffset = int64_t{1} << 62;

struct Policy {
  DiskCache::Mode mode = DiskCache::Mode::kReadOnly;
  DiskCache::Share share = DiskCache::Share::kPrivate;

  mode_t folder_mode() const;
  mode_t file_mode() const;
  // Empty when trusted, else a reason: an object that somebody else could have written.
  std::string why_untrusted(const struct stat& facts, int fd) const;
};

struct EntryName {
  std::string folder, file;
  explicit EntryName(const std::string& digest_hex);  // 64 digits
  // 64 hex digits, or empty for a name that is no entry's.
  static std::string digest_hex(const std::string& folder, const std::string& file);
  static bool is_folder(const std::string& name);
};

// What is at a name: the look-up, and enough to act on exactly that object afterwards.
struct Spot {
  Lookup lookup;
  int error = 0;  // behind a kMiss or a kUnreadable
  Fd file;        // kHit
  struct stat facts {};
  // kDamaged: the name `name` in the directory `at`, which the caller or `folder` keeps open.
  int at = -1;
  Fd folder;
  std::string name;
};

// Opens a trusted folder. False: spot says why not.
bool enter_folder(int at, const std::string& name, const Policy& policy, Fd* out, Spot* spot);
// Opens a trusted folder, made when missing; anything else at its name is removed first. Returns 0,
// an errno value, or kUntrustedFolder with the reason in *why.
inline constexpr int kUntrustedFolder = -1;
int ensure_folder(int at, const std::string& name, const Policy& policy, Fd* out, std::string* why);

// Reads and checks the entry of `digest`.
Spot look_at(int v1, const Digest& digest, const Policy& policy);
// Removes what look_at found damaged, if it is still the same object. Returns 0 or an errno value.
int discard(const Spot& spot);

// DIR/v1. With kReadWrite, both are made when missing.
Result<Fd> open_v1(const std::string& directory, const Policy& policy);

struct DiskCache::State {
  Policy policy;
  const char* network = nullptr;
  Fd v1;

  // The descriptor of v1, which names the new directory when the old one was removed behind our
  // back. One number for life and no mutex: threads may look up meanwhile, a process may fork.
  int handle(const std::string& directory);
};

}  // namespace rmsjit

#endif  // RMSJIT_DISK_LAYOUT_H_
