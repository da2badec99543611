// SPDX-License-Identifier: Apache-2.0
// read_cubin and check_image over any bytes: read within bounds, refused only as damage.
#include "runtime/cubin_info.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace rmsjit;
  const std::string_view bytes = fuzz::text_of(data, size);
  const Result<CubinInfo> info = read_cubin(bytes);
  fuzz::require(info.ok() || info.code() == StatusCode::kDamaged, "every refusal is kDamaged");
  for (const Target& target : {Target{90, false}, Target{90, true}}) {
    const Status image = check_image(target, bytes);
    fuzz::require(image.ok() || image.code() == StatusCode::kDamaged, "so is an image's");
  }
  return 0;
}
