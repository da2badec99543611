// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_cache.h"

#include <utility>

#include "cache/disk_layout.h"
#include "cache/errors.h"
#include "cache/file_lock.h"

namespace rmsjit {
namespace {

// A hit rewrites the time of last use only when it is this old: a launch loop must not write.
constexpr int64_t kRefreshAfter_s = 6 * 3600;
constexpr int64_t kClockSkew_s = 3600;

void refresh_last_use(const Spot& spot) {
  const int64_t age_s = now_s() - spot.facts.st_mtim.tv_sec;
  // A time in the future would keep the entry for ever.
  if (age_s > kRefreshAfter_s || age_s < -kClockSkew_s) (void)set_modified_now(spot.file.get());
}

int64_t lock_offset(const Digest& digest) {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | digest.bytes[static_cast<size_t>(i)];
  return static_cast<int64_t>(value >> 2);
}

// One lock file a cache: its device and inode tell caches apart when paths do not.
std::string runtime_lock_name(int v1) {
  struct stat facts {};
  (void)facts_of(v1, &facts);
  const std::string identity = std::to_string(facts.st_dev) + ":" + std::to_string(facts.st_ino);
  return "rmsjit-" + sha256(identity).hex().substr(0, 16) + ".lock";
}

struct Publication {
  int v1;
  const Policy& policy;
  const Digest& digest;
  std::string_view bytes;
  bool over;  // replace an intact entry too
};

// The temporary is written; gives it its name in `folder`. Losing to an intact entry is success.
int give_name(const Publication& what, int temporaries, const std::string& temporary, int folder) {
  const EntryName name(what.digest.hex());
  int error = 0;
  for (int attempt = 0; attempt < 3; ++attempt) {
    error = what.over ? publish_over(temporaries, temporary, folder, name.file)
                      : publish_new(temporaries, temporary, folder, name.file);
    // EISDIR, ENOTEMPTY: a directory cannot be renamed over.
    if (error != EEXIST && error != EISDIR && error != ENOTEMPTY) return error;
    const Spot there = look_at(what.v1, what.digest, what.policy);
    if (there.lookup.kind == Lookup::Kind::kHit) {
      if (what.over) return error;
      (void)remove_name(temporaries, temporary, S_IFREG);
      return 0;
    }
    if (there.lookup.kind == Lookup::Kind::kUnreadable) return there.error;
    if (there.lookup.kind == Lookup::Kind::kDamaged) {
      if (int discarded = discard(there)) return discarded;
    }
  }
  return error;
}

int try_publish(const Publication& what, std::string* why) {
  const EntryName name(what.digest.hex());
  Fd temporaries, objects, folder;
  if (int error = ensure_folder(what.v1, "tmp", what.policy, &temporaries, why)) return error;
  if (int error = ensure_folder(what.v1, "obj", what.policy, &objects, why)) return error;
  if (int error = ensure_folder(objects.get(), name.folder, what.policy, &folder, why)) {
    return error;
  }
  const std::string temporary = unique_name();
  const mode_t mode = what.policy.file_mode();
  int error = write_new_file(temporaries.get(), temporary, what.bytes, mode);
  if (error != 0) return error;
  error = give_name(what, temporaries.get(), temporary, folder.get());
  if (error != 0) (void)remove_name(temporaries.get(), temporary, S_IFREG);
  return error;
}

}  // namespace

KeyLock::KeyLock(KeyLock&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), offset_(other.offset_), waited_(other.waited_) {}

KeyLock& KeyLock::operator=(KeyLock&& other) noexcept {
  if (this == &other) return *this;
  if (held()) drop_lock(fd_, offset_);
  fd_ = std::exchange(other.fd_, -1);
  offset_ = other.offset_;
  waited_ = other.waited_;
  return *this;
}

KeyLock::~KeyLock() {
  if (held()) drop_lock(fd_, offset_);
}

DiskCache::DiskCache() : state_(std::make_unique<State>()) {}
DiskCache::~DiskCache() = default;

Result<std::unique_ptr<DiskCache>> DiskCache::open(const std::string& directory, Mode mode,
                                                   Share share) {
  std::unique_ptr<DiskCache> cache(new DiskCache());
  cache->directory_ = directory;
  cache->mode_ = mode;
  cache->state_->policy = {mode, share};
  RMSJIT_ASSIGN_OR_RETURN(Fd v1, open_v1(directory, cache->state_->policy));
  cache->state_->network = rmsjit::network_file_system(v1.get());
  cache->state_->v1 = std::move(v1);
  return cache;
}

const char* DiskCache::network_file_system() const { return state_->network; }

Lookup DiskCache::get(const CacheKey& key) {
  const std::string key_text = key.text();
  const Digest digest = sha256(key_text);
  const bool writable = mode_ == Mode::kReadWrite;
  const int v1 = state_->handle(directory_);
  Spot spot = look_at(v1, digest, state_->policy);
  if (spot.error == ESTALE) {
    (void)state_->handle(directory_);
    spot = look_at(v1, digest, state_->policy);
  }
  if (spot.lookup.kind == Lookup::Kind::kHit && spot.lookup.entry.metadata.key_text != key_text) {
    spot.lookup = {Lookup::Kind::kDamaged, Entry(), reason_other_key(digest.hex())};
  }
  if (writable && spot.lookup.kind == Lookup::Kind::kDamaged) (void)discard(spot);
  if (writable && spot.lookup.kind == Lookup::Kind::kHit) refresh_last_use(spot);
  return std::move(spot.lookup);
}

Status DiskCache::put(const Entry& entry) { return publish(entry, false); }
Status DiskCache::replace(const Entry& entry) { return publish(entry, true); }

Status DiskCache::publish(const Entry& entry, bool over) {
  RMSJIT_RETURN_IF_ERROR(writable("write"));
  const std::string bytes = encode_entry(entry);
  const Result<Entry> back = decode_entry(bytes);
  if (!back.ok()) return entry_not_storable(back.message());
  if (*back != entry) return entry_not_storable("a text is not UTF-8 or the target is too long");

  const Digest digest = entry.digest();
  int error = 0;
  // A directory that was removed, or is being removed, is made again.
  for (int attempt = 0; attempt < 3; ++attempt) {
    const int v1 = state_->handle(directory_);
    std::string why;
    error = try_publish({v1, state_->policy, digest, bytes, over}, &why);
    if (error == 0) return Status();
    if (error == kUntrustedFolder) return cache_untrusted(directory_ + "/v1", why);
    if (error != ENOENT && error != ESTALE) break;
  }
  return cache_io_error("write entry " + digest.hex() + " to", directory_, error);
}

KeyLock DiskCache::lock(const Digest& digest, int wait_ms) {
  return lock_at(lock_offset(digest), wait_ms);
}

KeyLock DiskCache::lock_at(int64_t offset, int wait_ms) {
  KeyLock lock;
  if (mode_ != Mode::kReadWrite) return lock;
  const int v1 = state_->handle(directory_);
  lock.offset_ = offset;
  const bool group = state_->policy.share == Share::kGroup;
  LockAttempt attempt;
  if (state_->network == nullptr) {
    attempt = take_lock(v1, "lock", group ? 0660 : 0600, lock.offset_, wait_ms);
  } else if (Fd runtime = open_runtime_directory(); runtime.valid()) {
    const std::string name = runtime_lock_name(v1);
    attempt = take_lock(runtime.get(), name, 0600, lock.offset_, wait_ms);
  }
  lock.fd_ = attempt.fd.release();
  lock.waited_ = attempt.waited;
  return lock;
}

}  // namespace rmsjit
