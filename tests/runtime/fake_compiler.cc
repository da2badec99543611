// SPDX-License-Identifier: Apache-2.0
// An image that passes for the request's target: the header of a cubin, or the head of a PTX text,
// and then the request itself, so that different requests have different images.
#include "tests/runtime/fake_compiler.h"

#include <elf.h>

#include <cstring>

namespace rmsjit {

std::string fake_image(const CompileRequest& request) {
  const size_t digits = request.target_name.find('_') + 1;
  const std::string number = request.target_name.substr(digits);
  if (request.target_name.substr(0, digits) == "compute_") {
    return ".version 8.0\n.target sm_" + number + "\n// " + request.spec_cuh;
  }
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_ABIVERSION] = 8;
  header.e_machine = 190;
  header.e_flags = static_cast<uint32_t>(std::stoi(number)) << 8;
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) + request.spec_cuh;
}

}  // namespace rmsjit
