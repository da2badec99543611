// SPDX-License-Identifier: Apache-2.0
#include "cache/entry_format.h"

#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "cache/errors.h"

namespace rmsjit {
namespace {

using nlohmann::json;

constexpr std::string_view kMagic("\x89RMSK\r\n\x1a", 8);
constexpr size_t kHeaderBytes = 96;
constexpr size_t kTargetOffset = 72;
constexpr size_t kDigestOffset = 40;
constexpr size_t kChecksumBytes = sizeof(Digest::bytes);
constexpr uint64_t kImageAlignment = 64;

struct TextField {
  const char* name;
  std::string EntryMetadata::*member;
};
constexpr TextField kTextFields[] = {
    {"key_text", &EntryMetadata::key_text},
    {"spec_text", &EntryMetadata::spec_text},
    {"tuning_text", &EntryMetadata::tuning_text},
    {"options", &EntryMetadata::options},
    {"nvrtc_version", &EntryMetadata::nvrtc_version},
    {"nvrtc_build", &EntryMetadata::nvrtc_build},
    {"library_version", &EntryMetadata::library_version},
    {"template_digest", &EntryMetadata::template_digest},
};

struct NumberField {
  const char* name;
  int32_t EntryMetadata::*member;
};
constexpr NumberField kNumberFields[] = {
    {"registers", &EntryMetadata::registers},
    {"spill_bytes", &EntryMetadata::spill_bytes},
    {"stack_bytes", &EntryMetadata::stack_bytes},
    {"shared_bytes", &EntryMetadata::shared_bytes},
};

struct Header {
  uint32_t version = kEntryFormatVersion;
  uint32_t header_bytes = kHeaderBytes;
  uint64_t file_bytes = 0;
  uint64_t metadata_bytes = 0;
  uint64_t image_bytes = 0;
};

void append_number(std::string* out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) *out += static_cast<char>(value >> (8 * i) & 0xff);
}

uint64_t read_number(std::string_view bytes, size_t offset, int count) {
  uint64_t value = 0;
  for (int i = 0; i < count; ++i) {
    value |= uint64_t{static_cast<uint8_t>(bytes[offset + i])} << (8 * i);
  }
  return value;
}

uint64_t image_offset(uint64_t metadata_bytes) {
  const uint64_t end = kHeaderBytes + metadata_bytes;
  return (end + kImageAlignment - 1) / kImageAlignment * kImageAlignment;
}

std::string_view as_text(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

std::string metadata_text(const EntryMetadata& metadata) {
  json object = json::object();
  for (const TextField& field : kTextFields) object[field.name] = metadata.*field.member;
  for (const NumberField& field : kNumberFields) object[field.name] = metadata.*field.member;
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<EntryMetadata> parse_metadata(std::string_view text) {
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return damaged_metadata("it is not a JSON object");
  EntryMetadata metadata;
  for (const TextField& field : kTextFields) {
    const auto found = object.find(field.name);
    if (found == object.end()) return damaged_metadata_name(field.name, "missing");
    if (!found->is_string()) return damaged_metadata_name(field.name, "not a string");
    metadata.*field.member = found->get_ref<const std::string&>();
  }
  for (const NumberField& field : kNumberFields) {
    const auto found = object.find(field.name);
    if (found == object.end()) return damaged_metadata_name(field.name, "missing");
    if (!found->is_number_unsigned()) return damaged_metadata_name(field.name, "not a count");
    const uint64_t value = found->get<uint64_t>();
    if (value > uint64_t{std::numeric_limits<int32_t>::max()}) {
      return damaged_metadata_name(field.name, "too large");
    }
    metadata.*field.member = static_cast<int32_t>(value);
  }
  return metadata;
}

// The sizes agree with each other and with the file, and cannot overflow.
Result<Header> parse_header(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes + kChecksumBytes) {
    return damaged_length(bytes.size(), kHeaderBytes + kChecksumBytes);
  }
  if (bytes.substr(0, kMagic.size()) != kMagic) return damaged_magic();
  Header header;
  header.version = static_cast<uint32_t>(read_number(bytes, 8, 4));
  if (header.version != kEntryFormatVersion) return other_format_version(header.version);
  header.header_bytes = static_cast<uint32_t>(read_number(bytes, 12, 4));
  header.file_bytes = read_number(bytes, 16, 8);
  header.metadata_bytes = read_number(bytes, 24, 8);
  header.image_bytes = read_number(bytes, 32, 8);
  if (header.file_bytes != bytes.size()) return damaged_length(bytes.size(), header.file_bytes);
  if (header.file_bytes > uint64_t{kMaxEntryBytes}) {
    return damaged_length(bytes.size(), kMaxEntryBytes);
  }
  const bool small =
      header.metadata_bytes < header.file_bytes && header.image_bytes < header.file_bytes;
  if (!small || header.header_bytes != kHeaderBytes || header.image_bytes == 0 ||
      image_offset(header.metadata_bytes) + header.image_bytes + kChecksumBytes !=
          header.file_bytes) {
    return damaged_sizes(header.metadata_bytes, header.image_bytes, header.file_bytes);
  }
  return header;
}

Result<std::string> parse_target(std::string_view padded) {
  const size_t length = std::min(padded.find('\0'), padded.size());
  bool good = length > 0;
  for (size_t i = 0; i < padded.size(); ++i) {
    const char c = padded[i];
    const bool name = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    good = good && (i < length ? name : c == '\0');
  }
  if (!good) return damaged_target();
  return std::string(padded.substr(0, length));
}

}  // namespace

std::string encode_entry(const Entry& entry) {
  const std::string metadata = metadata_text(entry.metadata);
  const uint64_t image_at = image_offset(metadata.size());
  const uint64_t file_bytes = image_at + entry.image.size() + kChecksumBytes;
  std::string out;
  out.reserve(file_bytes);
  out += kMagic;
  append_number(&out, kEntryFormatVersion, 4);
  append_number(&out, kHeaderBytes, 4);
  append_number(&out, file_bytes, 8);
  append_number(&out, metadata.size(), 8);
  append_number(&out, entry.image.size(), 8);
  out += as_text(entry.digest());
  out += entry.target.substr(0, kHeaderBytes - kTargetOffset);
  out.resize(kHeaderBytes, '\0');
  out += metadata;
  out.resize(image_at, '\0');
  out += entry.image;
  out += as_text(sha256(out));
  return out;
}

Result<Entry> decode_entry(std::string_view bytes) {
  RMSJIT_ASSIGN_OR_RETURN(const Header header, parse_header(bytes));
  const std::string_view body = bytes.substr(0, bytes.size() - kChecksumBytes);
  if (as_text(sha256(body)) != bytes.substr(body.size())) return damaged_checksum();

  Entry entry;
  RMSJIT_ASSIGN_OR_RETURN(entry.target,
                          parse_target(bytes.substr(kTargetOffset, kHeaderBytes - kTargetOffset)));
  const uint64_t image_at = image_offset(header.metadata_bytes);
  const uint64_t metadata_end = kHeaderBytes + header.metadata_bytes;
  for (char c : bytes.substr(metadata_end, image_at - metadata_end)) {
    if (c != '\0') return damaged_padding();
  }
  RMSJIT_ASSIGN_OR_RETURN(entry.metadata,
                          parse_metadata(bytes.substr(kHeaderBytes, header.metadata_bytes)));
  if (as_text(entry.digest()) != bytes.substr(kDigestOffset, kChecksumBytes)) {
    return damaged_digest();
  }
  entry.image = std::string(bytes.substr(image_at, header.image_bytes));
  return entry;
}

}  // namespace rmsjit
