// SPDX-License-Identifier: Apache-2.0
// Compiler: KernelId in, cubin (or PTX) out. Two implementations of one interface: in this process
// (InProcessCompiler: the command line, tests, the fallback) and in a worker process
// (WorkerCompiler: the default inside a host, because NVRTC replaces the process's signal handlers
// while it runs). Thread-safe; compiles of different threads run side by side.
#ifndef RMSJIT_COMPILER_H_
#define RMSJIT_COMPILER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rmsjit/status.h"
#include "runtime/kernel_key.h"

namespace rmsjit {

// What NVRTC is given. Plain text, so that it can travel to a worker.
struct CompileRequest {
  std::string spec_text;             // for messages only
  std::string target_name;           // "sm_90" or "compute_90"
  std::string spec_cuh;              // render_spec()
  std::vector<std::string> options;  // canonical_options, as separate arguments
};
CompileRequest make_compile_request(const KernelId& id);

struct CompiledImage {
  std::string image;          // cubin, or PTX text (no final NUL) for a compute_XX target
  std::string nvrtc_version;  // "13.0"
  std::string nvrtc_build;    // of .note.nv.tkinfo; empty for PTX
  int32_t registers = 0;      // the largest of the entries; 0 for PTX
  int32_t spill_bytes = 0;    // an upper bound: the whole local frame, which is where spills live
  int32_t stack_bytes = 0;
  int32_t shared_bytes = 0;
  double compile_ms = 0;
};

// Which compiler this is, before anything is compiled.
struct CompilerIdentity {
  int major = 0, minor = 0;
  std::string path;               // of libnvrtc
  std::vector<int> supported_sm;  // nvrtcGetSupportedArchs
};

class Compiler {
 public:
  virtual ~Compiler() = default;
  // Opens NVRTC (or starts a worker) on first use. Errors: kCompilerUnavailable, listing every
  // place searched; kWorkerFailed.
  virtual Result<CompilerIdentity> identity() = 0;
  // Errors: those of identity(); kUnsupported (a target this NVRTC does not know);
  // kCompileFailed with spec, target, NVRTC version and the whole log; kWorkerFailed; kTimeout.
  virtual Result<CompiledImage> compile(const CompileRequest& request) = 0;
};

struct CompilerOptions {
  std::string nvrtc;   // path given by the caller or RMSJIT_NVRTC; empty: search
  std::string worker;  // path given by the caller or RMSJIT_WORKER; empty: search
  int timeout_ms = 120000;
  int jobs = 0;                // workers alive at once; 0: min(8, cores)
  int worker_idle_ms = 10000;  // an unused worker, about 100 MiB of memory, ends after this
  // Told once when no worker can be started and compiles stay in this process; may be empty.
  std::function<void(const std::string&)> warn;
};
std::unique_ptr<Compiler> make_inprocess_compiler(const CompilerOptions& options);
std::unique_ptr<Compiler> make_worker_compiler(const CompilerOptions& options);

}  // namespace rmsjit

#endif  // RMSJIT_COMPILER_H_
