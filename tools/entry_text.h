// SPDX-License-Identifier: Apache-2.0
// What an entry says of itself, for show and extract.
#ifndef RMSJIT_TOOLS_ENTRY_TEXT_H_
#define RMSJIT_TOOLS_ENTRY_TEXT_H_

#include <nlohmann/json.hpp>
#include <string>

#include "cache/entry_format.h"

namespace rmsjit::cli {

inline nlohmann::ordered_json entry_json(const Entry& entry) {
  const EntryMetadata& metadata = entry.metadata;
  return {{"digest", entry.digest().hex()},
          {"spec_text", metadata.spec_text},
          {"arch", entry.target},
          {"tuning", metadata.tuning_text},
          {"registers", metadata.registers},
          {"spill_bytes", metadata.spill_bytes},
          {"stack_bytes", metadata.stack_bytes},
          {"shared_bytes", metadata.shared_bytes},
          {"cubin_bytes", entry.image.size()},
          {"options", metadata.options},
          {"nvrtc_version", metadata.nvrtc_version},
          {"nvrtc_build", metadata.nvrtc_build},
          {"library_version", metadata.library_version},
          {"template_digest", metadata.template_digest}};
}

// One field of the stored key text, empty when it is not there.
inline std::string key_field(const Entry& entry, const std::string& label) {
  const Result<CacheKey> key = CacheKey::from_text(entry.metadata.key_text);
  if (!key.ok()) return "";
  for (const CacheKey::Field& field : key->fields) {
    if (field.label == label) return field.value;
  }
  return "";
}

}  // namespace rmsjit::cli

#endif  // RMSJIT_TOOLS_ENTRY_TEXT_H_
