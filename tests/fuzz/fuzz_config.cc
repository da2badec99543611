// SPDX-License-Identifier: Apache-2.0
// A config.json of any bytes: keys or one typed error, whose text is printable; every key is a spec
// that its own text gives again.
#include <string>

#include "rmsjit/spec_text.h"
#include "runtime/model_keys.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rmsjit;
  const std::string_view text = fuzz::text_of(data, size);
  const Result<ModelKeys> keys = keys_for_model(text, "", 0);
  if (!keys.ok()) {
    fuzz::require(
        keys.code() == StatusCode::kInvalidArgument || keys.code() == StatusCode::kNotFound,
        "a config's errors are kInvalidArgument and kNotFound");
    for (const char c : keys.message()) {
      fuzz::require(static_cast<unsigned char>(c) >= ' ', "an error holds no control byte");
    }
    return 0;
  }
  fuzz::require(!keys->keys.empty(), "a model has norms");
  for (const ModelKey& key : keys->keys) {
    const Result<NormSpec> again = parse_spec(spec_text(key.spec));
    fuzz::require(again.ok() && spec_text(*again) == spec_text(key.spec),
                  "a key survives its text");
  }
  (void)model_keys_json(*keys);
  return 0;
}
