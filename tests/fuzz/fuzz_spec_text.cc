// SPDX-License-Identifier: Apache-2.0
// Spec texts, targets and key texts of any bytes: what is accepted has one canonical text.
#include <string>

#include "cache/cache_key.h"
#include "rmsjit/spec_text.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rmsjit;
  const std::string text(fuzz::text_of(data, size));
  if (const auto spec = parse_spec(text); spec.ok()) {
    const std::string canonical = spec_text(*spec);
    const auto again = parse_spec(canonical);
    fuzz::require(again.ok() && spec_text(*again) == canonical, "a spec has one canonical text");
    for (const int sm : {80, 90}) {
      const auto resolved = resolve(*spec, Target{sm, false});
      if (!resolved.ok()) continue;
      const auto same = parse_spec(spec_text(*resolved));
      fuzz::require(same.ok() && spec_text(*same) == spec_text(*resolved), "so has a resolved one");
    }
  } else {
    fuzz::require(!spec.message().empty(), "an error says what is wrong");
  }
  if (const auto target = parse_target(text); target.ok()) {
    fuzz::require(target->name() == text, "a target has one name");
  }
  if (const auto key = CacheKey::from_text(text); key.ok()) {
    fuzz::require(key->text() == text, "a key has one text");
  }
  return 0;
}
