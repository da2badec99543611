// SPDX-License-Identifier: Apache-2.0
// NvrtcLibrary: libnvrtc, opened when first needed and never closed (it leaves threads and exit
// handlers behind). The only user of <nvrtc.h>. Thread-safe; compiles run side by side.
#ifndef RMSJIT_NVRTC_LIBRARY_H_
#define RMSJIT_NVRTC_LIBRARY_H_

#include <memory>

#include "rmsjit/status.h"
#include "runtime/compile_job.h"
#include "runtime/compiler.h"
#include "runtime/nvrtc_search.h"

namespace rmsjit {

class NvrtcLibrary {
 public:
  // Errors: kCompilerUnavailable, listing every place tried and why it did not serve.
  static Result<std::shared_ptr<const NvrtcLibrary>> open(const NvrtcSearch& search);
  ~NvrtcLibrary();
  NvrtcLibrary(const NvrtcLibrary&) = delete;
  NvrtcLibrary& operator=(const NvrtcLibrary&) = delete;

  const CompilerIdentity& identity() const { return identity_; }
  void* handle() const { return handle_; }

  // Runs on a thread of its own. `log`, when given, receives what NVRTC said on success.
  // Errors: kUnsupported, kCompileFailed, kCompilerUnavailable.
  Result<CompiledImage> compile(const CompileJob& job, std::string* log = nullptr) const;

 private:
  struct Functions;
  class Program;
  NvrtcLibrary();
  // Empty when the library at `place` serves, else why it does not.
  std::string load(const std::string& place, bool loaded_copy);
  std::string load_functions();
  void load_builtins() const;
  Result<CompiledImage> compile_here(const CompileJob& job, bool ptx, std::string* log) const;

  void* handle_ = nullptr;
  CompilerIdentity identity_;
  std::unique_ptr<Functions> functions_;
};

}  // namespace rmsjit

#endif  // RMSJIT_NVRTC_LIBRARY_H_
