// SPDX-License-Identifier: Apache-2.0
#include "cache/errors.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <system_error>

#include "cache/entry_format.h"

namespace rmsjit {
namespace {

Status damaged(std::string message) { return Status(StatusCode::kDamaged, std::move(message)); }

// strerror is not thread-safe; this is.
std::string errno_text(int error) { return std::generic_category().message(error); }

const char* file_kind(uint32_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISLNK(mode)) return "a symbolic link";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISREG(mode)) return "a regular file";
  return "a device";
}

}  // namespace

Status bad_digest_text(std::string_view given) {
  return Status(StatusCode::kInvalidArgument,
                fmt::format("digest=\"{}\" is not 64 lower-case hex digits", given.substr(0, 80)));
}

Status damaged_key_text(size_t offset, size_t good_fields) {
  return damaged(
      fmt::format("key text breaks its grammar at byte {} (after {} fields)", offset, good_fields));
}

Status damaged_length(uint64_t given, uint64_t expected) {
  return damaged(fmt::format("entry is {} bytes long where {} are expected", given, expected));
}

Status damaged_magic() { return damaged("entry does not begin with the magic bytes of rmsjit"); }

Status other_format_version(uint32_t version) {
  return damaged(fmt::format("entry has format version {}, this library reads {}", version,
                             kEntryFormatVersion));
}

Status damaged_sizes(uint64_t metadata_bytes, uint64_t image_bytes, uint64_t file_bytes) {
  return damaged(fmt::format("entry's sizes disagree: metadata {}, image {}, file {}",
                             metadata_bytes, image_bytes, file_bytes));
}

Status damaged_checksum() { return damaged("entry's SHA-256 does not match its bytes"); }

Status damaged_target() { return damaged("entry's target is not a zero-padded name"); }

Status damaged_padding() { return damaged("entry's padding holds a byte that is not zero"); }

Status damaged_metadata(std::string_view why) {
  return damaged(fmt::format("entry's metadata cannot be read: {}", why));
}

Status damaged_metadata_name(std::string_view name, std::string_view why) {
  return damaged(fmt::format("entry's metadata cannot be read: \"{}\" is {}", name, why));
}

Status damaged_digest() { return damaged("entry's digest is not the SHA-256 of its key text"); }

Status entry_not_storable(std::string_view why) {
  return Status(StatusCode::kInvalidArgument,
                fmt::format("entry cannot be stored, because it would not read back: {}", why));
}

Status damaged_manifest(size_t line) {
  return damaged(fmt::format("manifest breaks its grammar in line {}", line));
}

Status damaged_signature() { return damaged("signature file breaks its grammar"); }

Status damaged_secret_key() {
  return damaged("file is no secret key: make one with rmsnorm-aot keygen");
}

Status wrong_signature(std::string_view key_hex) {
  return Status(StatusCode::kUntrusted,
                fmt::format("signature of key {} does not fit the manifest", key_hex));
}

Status signed_by_stranger(std::string_view key_hex, size_t trusted) {
  return Status(StatusCode::kUntrusted,
                fmt::format("signed by key {}, which is none of the {} trusted keys "
                            "(RMSJIT_TRUSTED_KEYS)",
                            key_hex, trusted));
}

Status bad_public_key(std::string_view given) {
  return Status(StatusCode::kInvalidArgument,
                fmt::format("public key \"{}\" is not 64 lower-case hex digits; keys are separated "
                            "by commas",
                            given.substr(0, 80)));
}

Status cache_not_signed(std::string_view path) {
  return Status(StatusCode::kNotFound,
                fmt::format("{} is not signed (no v1/MANIFEST with its .sig)", path));
}

Status cache_is_signed(std::string_view path, std::string_view action) {
  return Status(StatusCode::kInvalidArgument,
                fmt::format("{} is signed, so nothing may {} it: remove the signature first "
                            "(rmsnorm-aot build --unsign)",
                            path, action));
}

Status entry_not_signable(std::string_view digest_hex, std::string_view why) {
  return damaged(fmt::format("entry {} cannot be signed: {}", digest_hex, why));
}

Status cache_io_error(std::string_view action, std::string_view path, int error) {
  return Status(StatusCode::kIo, fmt::format("cannot {} {}: {}", action, path, errno_text(error)));
}

Status cache_untrusted(std::string_view path, std::string_view why) {
  return Status(StatusCode::kUntrusted, fmt::format("{} is not trusted: {}", path, why));
}

Status cache_not_found(std::string_view path) {
  return Status(StatusCode::kNotFound, fmt::format("{} holds no cache (no v1 folder)", path));
}

Status cache_read_only(std::string_view path, std::string_view action) {
  return Status(StatusCode::kInvalidArgument,
                fmt::format("{} is opened to be read only: cannot {} it", path, action));
}

Status entry_not_found(std::string_view path, std::string_view digest_hex) {
  return Status(StatusCode::kNotFound, fmt::format("{} has no entry {}", path, digest_hex));
}

std::string reason_errno(std::string_view action, int error) {
  return fmt::format("cannot {}: {}", action, errno_text(error));
}

std::string reason_not_regular(uint32_t mode) {
  return fmt::format("is {} where an entry belongs", file_kind(mode));
}

std::string reason_not_directory(std::string_view name) {
  return fmt::format("{} is not a directory", name);
}

std::string reason_too_long(int64_t bytes) {
  return fmt::format("entry is {} bytes long, at most {} are read", bytes, kMaxEntryBytes);
}

std::string reason_not_listed() { return "entry is not in the signed manifest"; }

std::string reason_not_as_signed() { return "entry is not the one that was signed"; }

std::string reason_signed_but_gone() { return "entry is in the signed manifest but not here"; }

std::string reason_other_key(std::string_view digest_hex) {
  return fmt::format("entry holds another key ({})", digest_hex);
}

std::string reason_owner(uint32_t owner, uint32_t own) {
  return fmt::format("belongs to user {}, not to user {}", owner, own);
}

std::string reason_writable(std::string_view who, uint32_t mode) {
  return fmt::format("can be written by {} (mode {:04o}): take that right away (chmod go-w)", who,
                     mode & 07777);
}

}  // namespace rmsjit
