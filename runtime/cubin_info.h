// SPDX-License-Identifier: Apache-2.0
// cubin_info: what a cubin says of itself, read from its ELF bytes: target, toolkit, and the
// registers, local frame and shared memory of each kernel. Pure, bounds-checked on any bytes at
// all (fuzzed), no tool of the toolkit needed.
#ifndef RMSJIT_CUBIN_INFO_H_
#define RMSJIT_CUBIN_INFO_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rmsjit/status.h"
#include "rmsjit/target.h"

namespace rmsjit {

struct KernelResources {
  std::string name;
  int32_t registers = 0;
  // Local memory a thread. Spills and local arrays share this frame and a cubin does not tell them
  // apart; 0 proves that there are neither.
  int32_t stack_bytes = 0;
  int32_t shared_bytes = 0;  // static, without the 1 KiB that sm_90 and newer reserve
};

struct CubinInfo {
  int sm = 0;
  std::string toolkit;  // "release 13.0, V13.0.88"; empty for CUDA 12, which does not write it
  std::vector<KernelResources> kernels;  // in the order of the symbol table
};

// Errors: kDamaged, saying which check failed.
Result<CubinInfo> read_cubin(std::string_view bytes);

// Whether `bytes` may be handed to a driver as an image for `target`: a cubin of that very sm, or
// PTX text for it. Errors: kDamaged.
Status check_image(const Target& target, std::string_view bytes);

}  // namespace rmsjit

#endif  // RMSJIT_CUBIN_INFO_H_
