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
Status device_too_old(int device, int sm);

Status wrong_device(int kernels, int streams);
Status wrong_context(int device);
Status launch_failed(const std::string& spec_text, const std::string& reason);
Status load_failed(const std::string& spec_text, const std::string& target, const Status& reason);
// why: "the stream is capturing", "the runtime is sealed".
Status not_prepared(const std::string& spec_text, int device, const char* why);
Status too_many_keys(int limit);
Status deadline_passed(const std::string& spec_text, int timeout_ms);

Status option_out_of_range(const char* option, int64_t given, int64_t least, int64_t most);
Status variable_not_allowed(const char* name, std::string_view value, const std::string& allowed);
// Where a signature is required.
Status no_trusted_keys();
Status bundle_refused(const std::string& directory, const std::string& reason);
Status entry_refused(const std::string& directory, const std::string& digest,
                     const std::string& reason);
Status entry_unreadable(const std::string& directory, const std::string& reason);

Status argument_null(const char* name);
Status struct_size_not_set(const char* name, size_t given, size_t expected);
Status struct_tail_not_zero(const char* name, size_t given, size_t known);
Status text_too_long(size_t capacity, size_t needed);

}  // namespace rmsjit::errors

#endif  // RMSJIT_RUNTIME_ERRORS_H_
