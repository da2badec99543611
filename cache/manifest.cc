// SPDX-License-Identifier: Apache-2.0
#include "cache/manifest.h"

#include <algorithm>

#include "cache/errors.h"

namespace rmsjit {
namespace {

constexpr std::string_view kHead = "rmsjit manifest 1\n";
constexpr size_t kHex = 64, kLine = kHex + 1 + kHex + 1;

}  // namespace

std::string Manifest::text() const {
  std::string text(kHead);
  text.reserve(kHead.size() + kLine * items.size());
  for (const Item& item : items) text += item.entry.hex() + ' ' + item.checksum.hex() + '\n';
  return text;
}

Result<Manifest> Manifest::from_text(std::string_view text) {
  Manifest manifest;
  if (text.substr(0, kHead.size()) != kHead) return damaged_manifest(1);
  text.remove_prefix(kHead.size());
  manifest.items.reserve(text.size() / kLine);
  for (size_t line = 2; !text.empty(); ++line) {
    const std::string_view given = text.substr(0, kLine);
    if (given.size() != kLine || given[kHex] != ' ' || given.back() != '\n') {
      return damaged_manifest(line);
    }
    const Result<Digest> entry = Digest::from_hex(given.substr(0, kHex));
    const Result<Digest> checksum = Digest::from_hex(given.substr(kHex + 1, kHex));
    if (!entry.ok() || !checksum.ok()) return damaged_manifest(line);
    if (!manifest.items.empty() && *entry <= manifest.items.back().entry) {
      return damaged_manifest(line);
    }
    manifest.items.push_back({*entry, *checksum});
    text.remove_prefix(kLine);
  }
  return manifest;
}

const Digest* Manifest::checksum_of(const Digest& entry) const {
  const auto at = std::lower_bound(items.begin(), items.end(), entry,
                                   [](const Item& a, const Digest& b) { return a.entry < b; });
  return at != items.end() && at->entry == entry ? &at->checksum : nullptr;
}

}  // namespace rmsjit
