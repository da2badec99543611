// SPDX-License-Identifier: Apache-2.0
// Status to the C ABI's code and caller-owned error struct.
#ifndef RMSJIT_C_ERROR_H_
#define RMSJIT_C_ERROR_H_

#include "rmsjit/rmsjit_c.h"
#include "rmsjit/status.h"

namespace rmsjit {

// A text longer than the struct is cut and says how long it was.
void fill_error(const Status& status, rmsjit_error& error);

// The return value of a call; fills `error` (may be null) on failure only.
inline rmsjit_status finish(const Status& status, rmsjit_error* error) {
  if (status.ok()) [[likely]]
    return RMSJIT_OK;
  if (error != nullptr) fill_error(status, *error);
  return static_cast<rmsjit_status>(status.code());
}

}  // namespace rmsjit

#endif  // RMSJIT_C_ERROR_H_
