// SPDX-License-Identifier: Apache-2.0
// The struct_size rules of the C ABI, for input and for output. A struct of this
// version is used where it lies; another one is copied.
#ifndef RMSJIT_C_STRUCTS_H_
#define RMSJIT_C_STRUCTS_H_

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "rmsjit/rmsjit_c.h"
#include "rmsjit/spec.h"
#include "rmsjit/spec_c.h"
#include "rmsjit/status.h"
#include "runtime/errors.h"

namespace rmsjit {

// Copies a struct of another version over `known` zeroed bytes. Errors: kInvalidArgument.
Status adopt_other_version(const void* given, const char* name, size_t known, void* copy);

// A caller's struct as one of this version: `adopted` points to it, or to `copy`.
template <class T>
inline Status adopt(const T* given, const char* name, T& copy, const T*& adopted) {
  if (given == nullptr) [[unlikely]]
    return errors::argument_null(name);
  adopted = given;
  if (given->struct_size == sizeof(T)) [[likely]]
    return {};
  adopted = &copy;
  return adopt_other_version(given, name, sizeof(T), &copy);
}

// Fills a struct that the caller gave for output, as far as it reaches.
template <class T>
inline Status give_back(const T& filled, const char* name, T* out) {
  if (out == nullptr) return errors::argument_null(name);
  const size_t size = out->struct_size;
  if (size < sizeof(size_t)) return errors::struct_size_not_set(name, size, sizeof(T));
  char* bytes = reinterpret_cast<char*>(out);
  const size_t known = std::min(size, sizeof(T));
  std::memcpy(bytes + sizeof(size_t), reinterpret_cast<const char*>(&filled) + sizeof(size_t),
              known - sizeof(size_t));
  return {};
}

// A spec of any version; its values are not checked. Errors: kInvalidArgument.
Result<NormSpec> read_spec(const rmsjit_spec* given);

}  // namespace rmsjit

#endif  // RMSJIT_C_STRUCTS_H_
