// SPDX-License-Identifier: Apache-2.0
// What the fuzzers share: libFuzzer's entry, and a check whose failure is a finding.
#ifndef RMSJIT_TESTS_FUZZ_FUZZ_H_
#define RMSJIT_TESTS_FUZZ_FUZZ_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace rmsjit::fuzz {

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// As text, so that a finding says what was broken.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

}  // namespace rmsjit::fuzz

#endif  // RMSJIT_TESTS_FUZZ_FUZZ_H_
