// SPDX-License-Identifier: Apache-2.0
// DiskCache: a directory of entries, DIR/v1/obj/<2 hex>/<62 hex>.rmsk, with v1/tmp/ for files being
// written and v1/lock for locks. One class serves both the writable layer and a bundle, because a
// bundle is a cache directory that is only read. Safe from many threads and processes; every
// failure leaves the directory whole. What is trusted is v1, held by handle: a directory removed
// while open is made again by the next put().
#ifndef RMSJIT_DISK_CACHE_H_
#define RMSJIT_DISK_CACHE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cache/cache_key.h"
#include "cache/entry_format.h"
#include "cache/manifest.h"
#include "cache/signature.h"
#include "rmsjit/status.h"

namespace rmsjit {

// What a look-up found. A miss is not an error; its reason is for logs and counters.
struct Lookup {
  enum class Kind {
    kHit,
    kMiss,        // no such file
    kDamaged,     // fails the read rules; removed when the layer is writable
    kUnreadable,  // a transient error (EIO, EMFILE, ESTALE ...): never removed
  };
  Kind kind = Kind::kMiss;
  Entry entry;         // kHit only
  std::string reason;  // empty for a plain miss
  Digest checksum;     // kHit only: the last 32 bytes of its file, which fix all of them
};

struct EntryListing {
  std::string digest_hex;  // from the file name; two digits for a folder that cannot be read
  int64_t bytes = 0;
  int64_t modified_s = 0;  // last use, approximately (mtime is refreshed on a hit)
  Lookup lookup;           // with verify: kHit, kDamaged or kUnreadable; else untouched
};

struct PruneResult {
  int64_t entries_before = 0, bytes_before = 0;
  int64_t entries_removed = 0, bytes_removed = 0;
  int64_t entries_failed = 0;  // could not be removed
  int64_t stale_temporaries_removed = 0;
  bool another_pruner = false;  // somebody else is at it: nothing was done
};

// Held while this process compiles a key, so that others wait instead of compiling too. It only
// saves work: correctness never depends on it. Released by the destructor.
class KeyLock {
 public:
  KeyLock() = default;
  KeyLock(KeyLock&&) noexcept;
  KeyLock& operator=(KeyLock&&) noexcept;
  ~KeyLock();
  bool held() const { return fd_ >= 0; }
  bool waited() const { return waited_; }  // somebody else held it first

 private:
  friend class DiskCache;
  int fd_ = -1;
  int64_t offset_ = 0;
  bool waited_ = false;
};

class DiskCache {
 public:
  enum class Mode {
    kReadWrite,
    kReadOnly,
    kSigned,  // kReadOnly for a caller who holds each hit against a signed manifest, so that it
              // does not matter who can write here
  };
  // Who may use what this process writes; the umask narrows it further.
  enum class Share {
    kPrivate,   // 0700 and 0600
    kGroup,     // 0770 and 0640: an explicit choice to trust everybody in the group
    kReadable,  // 0755 and 0644: a bundle for an image that runs under any user; trust as kPrivate
  };

  // kReadWrite creates DIR, v1 and CACHEDIR.TAG as needed, and trusts v1 only if it belongs to the
  // effective user (kGroup: or to one of its groups) and nobody else can write it. kReadOnly
  // creates nothing, takes no lock, touches nothing and accepts any owner, but no v1 that everybody
  // can write on a writable mount; kSigned accepts that too.
  // Errors: kIo, kNotFound (kReadOnly, no v1), kUntrusted.
  static Result<std::unique_ptr<DiskCache>> open(const std::string& directory, Mode mode,
                                                 Share share = Share::kPrivate);
  ~DiskCache();
  DiskCache(const DiskCache&) = delete;
  DiskCache& operator=(const DiskCache&) = delete;

  const std::string& directory() const { return directory_; }
  Mode mode() const { return mode_; }
  // "nfs", "lustre", "fuse" ..., or null on a local file system. On a network file system locks
  // live in $XDG_RUNTIME_DIR, so they hold for one node, or there are none.
  const char* network_file_system() const;

  // Reads, verifies every byte and compares the stored key text with the one asked for.
  Lookup get(const CacheKey& key);
  // Publishes without replacing: the first writer wins, and losing is success. Damage found at the
  // name is replaced. Errors: kIo, kUntrusted; kInvalidArgument for an entry that would not read
  // back, for kReadOnly and for a signed directory, which put, prune, clear and remove leave alone.
  Status put(const Entry& entry);
  // put() that replaces an intact entry too (build --refresh).
  Status replace(const Entry& entry);
  // Waits up to wait_ms for the key; an unheld lock (time-out, no locks here) is a normal answer.
  KeyLock lock(const Digest& digest, int wait_ms);

  // Every entry file, sorted by digest. With `verify`, each is read and checked. Removes nothing.
  Result<std::vector<EntryListing>> list(bool verify);
  // Removes least recently used entries until at most max_bytes remain, keeping entries younger
  // than min_age_s, and sweeps temporaries older than an hour. One pruner at a time.
  Result<PruneResult> prune(int64_t max_bytes, int64_t min_age_s, bool dry_run);
  // Removes every entry and temporary, nothing else.
  Result<PruneResult> clear(bool dry_run);
  // Removes one entry. kNotFound if it is not there.
  Status remove(const Digest& digest);

  // v1/MANIFEST and v1/MANIFEST.sig as they are; what they are worth is the caller's question.
  // Errors: kNotFound (either is missing), kDamaged (no regular file, too long), kIo.
  struct SignedManifest {
    std::string manifest, signature;
  };
  Result<SignedManifest> read_signature();
  // The manifest, if one of the `trusted` keys has signed it. Errors: those of read_signature and
  // check_signature; kDamaged for a manifest that breaks its grammar.
  Result<Manifest> trusted_manifest(const std::vector<PublicKey>& trusted);
  // Lists every entry, signs the list and writes both files. Errors: kDamaged naming an entry that
  // does not verify, kIo, kInvalidArgument (kReadOnly).
  Result<Manifest> write_signature(const SecretKey& key);
  // Removes both files; success when there are none.
  Status remove_signature();
  // What a manifest says of a look-up that was readable: an empty text, or why this is not what was
  // signed.
  static std::string why_not_signed(const Manifest& manifest, const Digest& digest,
                                    const Lookup& lookup);

 private:
  DiskCache();
  Status writable(std::string_view action);
  Status publish(const Entry& entry, bool over);
  KeyLock lock_at(int64_t offset, int wait_ms);

  std::string directory_;
  Mode mode_ = Mode::kReadOnly;
  struct State;  // the handle of v1
  std::unique_ptr<State> state_;
};

}  // namespace rmsjit

#endif  // RMSJIT_DISK_CACHE_H_
