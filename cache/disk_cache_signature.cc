// SPDX-License-Identifier: Apache-2.0
// DiskCache's signature: the manifest and its signature beside obj/, and the rule that a signed
// directory is not changed. Whom to trust is decided by the caller.
#include <fcntl.h>

#include "cache/disk_cache.h"
#include "cache/disk_layout.h"
#include "cache/errors.h"

namespace rmsjit {
namespace {

constexpr const char* kManifest = "MANIFEST";
constexpr const char* kSignature = "MANIFEST.sig";

Result<std::string> read_small_file(int v1, const char* name, int64_t most,
                                    const std::string& directory) {
  const std::string path = directory + "/v1/" + name;
  Fd file;
  struct stat facts {};
  int error = open_to_read(v1, name, &file);
  if (error == ENOENT) return cache_not_signed(directory);
  if (error == 0) error = facts_of(file.get(), &facts);
  if (error != 0) return cache_io_error("read", path, error);
  if (!S_ISREG(facts.st_mode)) {
    return Status(StatusCode::kDamaged, path + " " + reason_not_regular(facts.st_mode));
  }
  if (facts.st_size > most) return Status(StatusCode::kDamaged, path + " is too long");
  std::string bytes;
  error = read_exactly(file.get(), facts.st_size, &bytes);
  if (error != 0) return cache_io_error("read", path, error);
  return bytes;
}

Status write_over(int v1, const char* name, const std::string& bytes, const Policy& policy,
                  const std::string& directory) {
  const std::string temporary = unique_name();
  Fd folder;
  std::string why;
  int error = ensure_folder(v1, "tmp", policy, &folder, &why);
  if (error == kUntrustedFolder) return cache_untrusted(directory + "/v1", why);
  if (error == 0) error = write_new_file(folder.get(), temporary, bytes, policy.file_mode());
  if (error == 0) {
    error = publish_over(folder.get(), temporary, v1, name);
    if (error != 0) (void)remove_name(folder.get(), temporary, S_IFREG);
  }
  if (error != 0) return cache_io_error("write", directory + "/v1/" + name, error);
  return Status();
}

}  // namespace

// One look at the manifest's name: whatever stands there, its owner meant it to stay as it is.
Status DiskCache::writable(std::string_view action) {
  if (mode_ != Mode::kReadWrite) return cache_read_only(directory_, action);
  struct stat facts {};
  const int v1 = state_->handle(directory_);
  if (facts_at(v1, kManifest, &facts) != 0) return Status();
  return cache_is_signed(directory_, action);
}

Result<DiskCache::SignedManifest> DiskCache::read_signature() {
  const int v1 = state_->handle(directory_);
  SignedManifest files;
  RMSJIT_ASSIGN_OR_RETURN(files.manifest,
                          read_small_file(v1, kManifest, kMaxManifestBytes, directory_));
  RMSJIT_ASSIGN_OR_RETURN(files.signature,
                          read_small_file(v1, kSignature, kMaxSignatureBytes, directory_));
  return files;
}

Result<Manifest> DiskCache::trusted_manifest(const std::vector<PublicKey>& trusted) {
  RMSJIT_ASSIGN_OR_RETURN(const SignedManifest files, read_signature());
  RMSJIT_RETURN_IF_ERROR(check_signature(files.manifest, files.signature, trusted).status());
  return Manifest::from_text(files.manifest);
}

Result<Manifest> DiskCache::write_signature(const SecretKey& key) {
  if (mode_ != Mode::kReadWrite) return cache_read_only(directory_, "sign");
  RMSJIT_ASSIGN_OR_RETURN(const std::vector<EntryListing> entries, list(true));
  Manifest manifest;
  for (const EntryListing& entry : entries) {
    if (entry.lookup.kind != Lookup::Kind::kHit) {
      return entry_not_signable(entry.digest_hex, entry.lookup.reason);
    }
    RMSJIT_ASSIGN_OR_RETURN(const Digest digest, Digest::from_hex(entry.digest_hex));
    manifest.items.push_back({digest, entry.lookup.checksum});
  }
  const std::string text = manifest.text();
  const int v1 = state_->handle(directory_);
  const Policy& policy = state_->policy;
  // Between the two, an old signature does not fit: that bundle is refused, never half believed.
  RMSJIT_RETURN_IF_ERROR(write_over(v1, kManifest, text, policy, directory_));
  RMSJIT_RETURN_IF_ERROR(write_over(v1, kSignature, sign(text, key), policy, directory_));
  return manifest;
}

Status DiskCache::remove_signature() {
  if (mode_ != Mode::kReadWrite) return cache_read_only(directory_, "unsign");
  const int v1 = state_->handle(directory_);
  for (const char* name : {kSignature, kManifest}) {
    const int error = remove_name(v1, name, S_IFREG);
    if (error != 0 && error != ENOENT) {
      return cache_io_error("remove", directory_ + "/v1/" + name, error);
    }
  }
  return Status();
}

std::string DiskCache::why_not_signed(const Manifest& manifest, const Digest& digest,
                                      const Lookup& lookup) {
  const Digest* checksum = manifest.checksum_of(digest);
  if (lookup.kind == Lookup::Kind::kMiss)
    return checksum == nullptr ? "" : reason_signed_but_gone();
  if (checksum == nullptr) return reason_not_listed();
  const bool same = lookup.kind == Lookup::Kind::kHit && lookup.checksum == *checksum;
  return same ? "" : reason_not_as_signed();
}

}  // namespace rmsjit
