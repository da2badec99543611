// SPDX-License-Identifier: Apache-2.0
// Every sentence that the cache layer says, one function each. Pure; safe from any thread.
#ifndef RMSJIT_CACHE_ERRORS_H_
#define RMSJIT_CACHE_ERRORS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "rmsjit/status.h"

namespace rmsjit {

// Keys.
Status bad_digest_text(std::string_view given);
Status damaged_key_text(size_t offset, size_t good_fields);

// Entries: all kDamaged but entry_not_storable.
Status damaged_length(uint64_t given, uint64_t expected);
Status damaged_magic();
Status other_format_version(uint32_t version);
Status damaged_sizes(uint64_t metadata_bytes, uint64_t image_bytes, uint64_t file_bytes);
Status damaged_checksum();
Status damaged_target();
Status damaged_padding();
Status damaged_metadata(std::string_view why);
Status damaged_metadata_name(std::string_view name, std::string_view why);
Status damaged_digest();
Status entry_not_storable(std::string_view why);

// Signatures: kDamaged, kUntrusted; kInvalidArgument for what the caller gave.
Status damaged_manifest(size_t line);
Status damaged_signature();
Status damaged_secret_key();
Status wrong_signature(std::string_view key_hex);
Status signed_by_stranger(std::string_view key_hex, size_t trusted);
Status bad_public_key(std::string_view given);
Status cache_not_signed(std::string_view path);
Status cache_is_signed(std::string_view path, std::string_view action);
Status entry_not_signable(std::string_view digest_hex, std::string_view why);

// Directories. `action` reads like "write"; `error` is an errno value.
Status cache_io_error(std::string_view action, std::string_view path, int error);
Status cache_untrusted(std::string_view path, std::string_view why);
Status cache_not_found(std::string_view path);
Status cache_read_only(std::string_view path, std::string_view action);
Status entry_not_found(std::string_view path, std::string_view digest_hex);

// Reasons inside a Lookup or a cache_untrusted sentence.
std::string reason_errno(std::string_view action, int error);
std::string reason_not_regular(uint32_t mode);
std::string reason_not_directory(std::string_view name);
std::string reason_too_long(int64_t bytes);
std::string reason_not_listed();
std::string reason_not_as_signed();
std::string reason_signed_but_gone();
std::string reason_other_key(std::string_view digest_hex);
std::string reason_owner(uint32_t owner, uint32_t own);
std::string reason_writable(std::string_view who, uint32_t mode);

}  // namespace rmsjit

#endif  // RMSJIT_CACHE_ERRORS_H_
