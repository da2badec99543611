// SPDX-License-Identifier: Apache-2.0
// decode_entry over any bytes: as they are, and with a checksum that fits, so that the checks
// behind the checksum are reached too. What it accepts survives being written and read again.
#include <string>

#include "cache/entry_format.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace rmsjit;

void check(std::string_view bytes) {
  const Result<Entry> entry = decode_entry(bytes);
  if (!entry.ok()) {
    fuzz::require(entry.code() == StatusCode::kDamaged, "every refusal is kDamaged");
    return;
  }
  const Result<Entry> again = decode_entry(encode_entry(*entry));
  fuzz::require(again.ok() && *again == *entry, "an entry survives its own bytes");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kChecksum = 32;
  const std::string_view bytes = fuzz::text_of(data, size);
  check(bytes);
  if (size < kChecksum) return 0;
  std::string fitting(bytes.substr(0, size - kChecksum));
  const Digest checksum = sha256(fitting);
  fitting.append(checksum.bytes.begin(), checksum.bytes.end());
  check(fitting);
  return 0;
}
