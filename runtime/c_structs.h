// SPDX-License-Identifier: Apache-2.0
// The struct_size rules of the C ABI, for input and for output. A struct of this
// version is used where it lies; another one is copied.
#ifndef RMSJIT_C_STRUCTS_H_
#define RMSJIT_C_STRUCTS_H_

#include <cstddef>

#include "rmsjit/rmsjit_c.h"
#include "rmsjit/spec.h"
#include "rmsjit/spec_c.h"
#include "rmsjit/status.h"
#include "runtime/errors.h"

namespace rmsjit {

// Copies a struct of another version over `known` zeroed bytes. Errors: kInvalidArgument.
Status adopt_other_version(const void* given, const char* name, size_t known, void* copy);

// Whether it can be used where it lies.
template <class T>
inline bool is_of_this_version(const T* given) {
  return given != nullptr && given->struct_size == sizeof(T);
}

// A caller's struct as one of this version: `adopted` points to it, or to `copy`.
template <class T>
inline Status adopt(const T* given, const char* name, T& copy, const T*& adopted) {
  if (given == nullptr) [[unlikely]]
    return errors::argument_null(name);
  adopted = given;
  if (is_of_this_version(given)) [[likely]]
    return {};
  adopted = &copy;
  return adopt_other_version(given, name, sizeof(T), &copy);
}

// Copies a struct of `known` bytes into one of another version, as far as that reaches; what it has
// beyond is zeroed. Errors: kInvalidArgument.
Status fill_any_version(const void* filled, const char* name, size_t known, void* out);

// Fills a struct that the caller gave for output.
template <class T>
inline Status give_back(const T& filled, const char* name, T* out) {
  if (out == nullptr) return errors::argument_null(name);
  return fill_any_version(&filled, name, sizeof(T), out);
}

// A spec of any version; its values are not checked. Errors: kInvalidArgument.
Result<NormSpec> read_spec(const rmsjit_spec* given);

}  // namespace rmsjit

#endif  // RMSJIT_C_STRUCTS_H_
