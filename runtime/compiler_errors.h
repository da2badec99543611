// SPDX-License-Identifier: Apache-2.0
// The error sentences of the compiler and its worker: one function, one sentence.
#ifndef RMSJIT_COMPILER_ERRORS_H_
#define RMSJIT_COMPILER_ERRORS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rmsjit/status.h"
#include "runtime/compile_job.h"
#include "runtime/compiler.h"

namespace rmsjit {

// One place that was tried, and why it did not serve.
struct TriedPlace {
  std::string path;
  std::string reason;
};

std::string errno_text(int error);

Status cubin_damaged(std::string_view what, uint64_t value);
Status image_mismatch(const std::string& target, const std::string& found);

Status no_nvrtc(const std::vector<TriedPlace>& tried);
std::string nvrtc_version_refused(int major, int minor);
Status target_unsupported(const CompileJob& job, const CompilerIdentity& nvrtc);
// First line: kernel, target, NVRTC version; then the whole log.
Status compile_failed(const CompileJob& job, const CompilerIdentity& nvrtc,
                      const std::string& reason, const std::string& log);
// NVRTC itself failed (memory, its builtins library), whatever the source was.
Status nvrtc_broken(const CompileJob& job, const CompilerIdentity& nvrtc, const std::string& reason,
                    const std::string& log);
Status no_compile_thread(int error);
Status signals_unshielded(const std::string& path, const std::string& why);

Status worker_cannot_start(const std::string& reason);  // one place; no sentence of its own
Status worker_not_started(const std::vector<TriedPlace>& tried);
Status worker_ended(const std::string& path, int pid, const std::string& how);
Status worker_timed_out(const std::string& path, int pid, int timeout_ms);
Status worker_bad_reply(const std::string& path, int pid, const std::string& what);
Status bad_message(std::string_view what, uint64_t value);
std::string compiles_stay_inside(const std::string& reason);

}  // namespace rmsjit

#endif  // RMSJIT_COMPILER_ERRORS_H_
