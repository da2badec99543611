// SPDX-License-Identifier: Apache-2.0
#include "runtime/c_structs.h"

#include <algorithm>
#include <cstring>

namespace rmsjit {
namespace {

// No struct of the ABI will come near it; a struct_size that was never set usually does.
constexpr size_t kLargestStruct = 4096;

// A struct grows at its end, so it may not have padding there that an old caller leaves unset.
static_assert(sizeof(rmsjit_args) == 8 + 5 * 8 + 10 * 8 + 2 * 4);
static_assert(sizeof(rmsjit_spec) == 8 + 8 + 14 * 4);
static_assert(sizeof(rmsjit_options) == 8 + 4 * 8 + 2 * 4 + 8 + 4 * 4 + 9 * 8 + 2 * 4);
static_assert(sizeof(rmsjit_storage) == 8 + 3 * 8);
static_assert(sizeof(rmsjit_stats) == 8 + 11 * 8);
static_assert(sizeof(rmsjit_prepare_options) == 8 + 2 * 4 + 2 * 8);
static_assert(sizeof(rmsjit_kernel_info) == 8 + 4 * 8 + 6 * 4 + 8);

Status read_size(const void* given, const char* name, size_t known, size_t& size) {
  std::memcpy(&size, given, sizeof size);
  if (size >= sizeof size && size <= kLargestStruct) return {};
  return errors::struct_size_not_set(name, size, known);
}

}  // namespace

Status adopt_other_version(const void* given, const char* name, size_t known, void* copy) {
  size_t size;
  RMSJIT_RETURN_IF_ERROR(read_size(given, name, known, size));
  const char* bytes = static_cast<const char*>(given);
  for (size_t i = known; i < size; ++i) {
    if (bytes[i] != 0) return errors::struct_tail_not_zero(name, size, known);
  }
  std::memset(copy, 0, known);
  std::memcpy(copy, given, std::min(size, known));
  std::memcpy(copy, &known, sizeof known);
  return {};
}

Status fill_any_version(const void* filled, const char* name, size_t known, void* out) {
  size_t size;
  RMSJIT_RETURN_IF_ERROR(read_size(out, name, known, size));
  const size_t shared = std::min(size, known);
  char* bytes = static_cast<char*>(out);
  std::memcpy(bytes + sizeof size, static_cast<const char*>(filled) + sizeof size,
              shared - sizeof size);
  std::memset(bytes + shared, 0, size - shared);
  return {};
}

Result<NormSpec> read_spec(const rmsjit_spec* given) {
  rmsjit_spec copy;
  const rmsjit_spec* spec = nullptr;
  RMSJIT_RETURN_IF_ERROR(adopt(given, "spec", copy, spec));
  return from_c(*spec);
}

}  // namespace rmsjit
