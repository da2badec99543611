// SPDX-License-Identifier: Apache-2.0
// The kernel template as text, put into the library by embed.cmake: what NVRTC is given, beside the
// rendered spec.cuh.
#ifndef RMSJIT_EMBEDDED_TEMPLATES_H_
#define RMSJIT_EMBEDDED_TEMPLATES_H_

#include <span>
#include <string_view>

namespace rmsjit {

struct EmbeddedFile {
  const char* name;  // as it is included: "rmsnorm.cuh"
  std::string_view text;
};

// Every file of the template except spec.cuh, in a fixed order; rmsnorm.cu is the first.
std::span<const EmbeddedFile> embedded_templates();

}  // namespace rmsjit

#endif  // RMSJIT_EMBEDDED_TEMPLATES_H_
