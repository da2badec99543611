// SPDX-License-Identifier: Apache-2.0
// The runtime's error sentences, one function for one sentence. Those of launch arguments are in
// launch_errors.h, those of the compiler in its own file.
#ifndef RMSJIT_RUNTIME_ERRORS_H_
#define RMSJIT_RUNTIME_ERRORS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rmsjit/status.h"
#include "runtime/kernel_key.h"

namespace rmsjit::errors {

struct Place {
  std::string where;   // a directory, or "the compiler"
  std::string reason;  // "no entry", "cannot be opened: ..."
};
// "DIR (no entry), DIR (cannot be opened: ...)".
std::string list_places(const std::vector<Place>& places);

Status jit_disabled(const KernelId& id, const std::string& digest, const std::vector<Place>& places,
                    const std::string& nearest);
Status compiler_too_new(const std::string& nvrtc_version, int newest_loadable_major);

Status driver_not_opened(const char* library, const char* reason);
Status driver_symbol_missing(const char* library, const char* symbol);
Status driver_not_started(const std::string& reason);
Status no_such_device(int device, int count);

}  // namespace rmsjit::errors

#endif  // RMSJIT_RUNTIME_ERRORS_H_
