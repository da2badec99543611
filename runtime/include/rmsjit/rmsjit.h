// SPDX-License-Identifier: Apache-2.0
// The C++ API: an inline layer over rmsjit_c.h, so that the library's C++ ABI is nobody's business.
// Builds with -fno-exceptions; failures are Status and Result. Every function is safe from any
// thread unless it says so. No CUDA header is needed: streams and contexts are void*.
#ifndef RMSJIT_RMSJIT_H_
#define RMSJIT_RMSJIT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rmsjit/rmsjit_c.h"
#include "rmsjit/spec.h"
#include "rmsjit/spec_c.h"
#include "rmsjit/spec_text.h"
#include "rmsjit/status.h"

namespace rmsjit {

// Run-time arguments of one launch; strides in elements, the innermost one is 1. rmsjit_c.h says
// what each field means and which may be left at zero.
struct RmsNormArgs : rmsjit_args {
  RmsNormArgs() : rmsjit_args{} { struct_size = sizeof(rmsjit_args); }
};

using Stats = rmsjit_stats;
using KernelInfo = rmsjit_kernel_info;

// What a runtime may be told; a field at its default takes the RMSJIT_* variable, then the
// documented default.
struct Options {
  enum class CacheDir { kDefault, kNone, kGiven };
  CacheDir cache = CacheDir::kDefault;  // kNone: nothing on disk; kGiven: cache_dir
  std::string cache_dir;
  std::string bundle_path;  // directories separated by ':', searched in order
  std::string nvrtc;        // path of libnvrtc
  std::string worker;       // path of the compile worker
  int32_t jit = RMSJIT_JIT_DEFAULT;
  int32_t compile = RMSJIT_COMPILE_DEFAULT;
  int64_t cache_max_bytes = 0;     // 256 MiB
  int32_t max_keys = 0;            // 4096
  int32_t compile_jobs = 0;        // min(8, cores)
  int32_t lock_wait_ms = 0;        // 20000
  int32_t compile_timeout_ms = 0;  // 120000
  // Both are called from whichever thread does the work and must not call back into the library.
  std::function<void(int32_t level, const char* message)> log;
  std::function<void(const char* spec_text, const char* target, const char* reason,
                     double compile_ms)>
      on_compile;
};

namespace cxx_detail {

inline Status to_status(rmsjit_status code, const rmsjit_error& error) {
  if (code == RMSJIT_OK) return {};
  return Status(static_cast<StatusCode>(code), error.message);
}

// The callbacks at an address that stays while the runtime lives.
struct Callbacks {
  decltype(Options::log) log;
  decltype(Options::on_compile) on_compile;
};

inline void call_log(void* user, int32_t level, const char* message) {
  static_cast<Callbacks*>(user)->log(level, message);
}

inline void call_on_compile(void* user, const char* spec_text, const char* target,
                            const char* reason, double compile_ms) {
  static_cast<Callbacks*>(user)->on_compile(spec_text, target, reason, compile_ms);
}

}  // namespace cxx_detail

// A prepared kernel, resident in one context. A handle: copies are free, and all of them end with
// the Runtime that made them.
class Kernel {
 public:
  Kernel() = default;
  explicit Kernel(const rmsjit_kernel* handle) : handle_(handle) {}

  // Normalises each row of x into y on `stream` (a CUstream); returns before the GPU is done.
  //   h = x [+ residual];  y[t, i] = h[t, i] / sqrt(mean(h[t, :]^2) + eps) * weight[i]
  // Shapes: x, residual, residual_out, y [tokens, hidden] or [tokens, heads, hidden]; weight
  // [hidden].   Requires: element-aligned pointers, strides of at least a row, the declared
  // placement. Errors: kInvalidArgument, kWrongDevice, kWrongContext, kDriver; then nothing was
  // launched. Threads: safe; one driver call, no lock, no allocation; legal on a capturing stream.
  // Source: Zhang and Sennrich 2019 (RMSNorm).
  Status launch(const RmsNormArgs& args, void* stream) const {
    rmsjit_error error;
    const rmsjit_status code = rmsjit_kernel_launch(handle_, &args, stream, &error);
    return code == RMSJIT_OK ? Status() : cxx_detail::to_status(code, error);
  }

  // Facts; the strings live as long as the kernel. Requires a kernel that prepare() returned.
  KernelInfo info() const {
    KernelInfo info{};
    info.struct_size = sizeof info;
    static_cast<void>(rmsjit_kernel_info_get(handle_, &info, nullptr));
    return info;
  }
  const rmsjit_kernel* handle() const { return handle_; }

 private:
  const rmsjit_kernel* handle_ = nullptr;
};

// Owns every kernel it prepared. Destroy it after the graphs that use them, when no other thread is
// inside a call; nothing of it runs at program exit by itself.
class Runtime {
 public:
  // Touches neither disk nor driver. Errors: kInvalidArgument (an option or RMSJIT_* variable).
  static Result<Runtime> create(const Options& options = {}) {
    auto callbacks = std::make_unique<cxx_detail::Callbacks>(
        cxx_detail::Callbacks{options.log, options.on_compile});
    const auto text = [](const std::string& s) { return s.empty() ? nullptr : s.c_str(); };
    rmsjit_options c{};
    c.struct_size = sizeof c;
    if (options.cache == Options::CacheDir::kNone) c.cache_dir = "";
    if (options.cache == Options::CacheDir::kGiven) c.cache_dir = options.cache_dir.c_str();
    c.bundle_path = text(options.bundle_path);
    c.nvrtc = text(options.nvrtc);
    c.worker = text(options.worker);
    c.jit = options.jit;
    c.compile = options.compile;
    c.cache_max_bytes = options.cache_max_bytes;
    c.max_keys = options.max_keys;
    c.compile_jobs = options.compile_jobs;
    c.lock_wait_ms = options.lock_wait_ms;
    c.compile_timeout_ms = options.compile_timeout_ms;
    if (options.log) c.log = cxx_detail::call_log;
    if (options.on_compile) c.on_compile = cxx_detail::call_on_compile;
    c.log_user = c.on_compile_user = callbacks.get();
    rmsjit_error error;
    rmsjit_runtime* handle = nullptr;
    const rmsjit_status code = rmsjit_runtime_create(&c, &handle, &error);
    if (code != RMSJIT_OK) return cxx_detail::to_status(code, error);
    return Runtime(handle, std::move(callbacks));
  }

  Runtime(Runtime&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)), callbacks_(std::move(other.callbacks_)) {}
  Runtime& operator=(Runtime&& other) noexcept {
    if (this != &other) {
      close();
      handle_ = std::exchange(other.handle_, nullptr);
      callbacks_ = std::move(other.callbacks_);
    }
    return *this;
  }
  ~Runtime() { close(); }

  // Unloads every kernel; the handles of all kernels end here.
  void close() { rmsjit_runtime_close(std::exchange(handle_, nullptr)); }

  // Everything slow, so that the first launch may be inside a capture: bundles, disk, compile,
  // load. The kernel belongs to the caller's current context if that is on `device`, else to the
  // device's primary one. Idempotent; one compile for one key in a process, other keys do not wait.
  // Errors: kInvalidArgument, kUnsupported, kJitDisabled, kCompileFailed, kCompilerUnavailable,
  // kWorkerFailed, kTimeout, kDriver, kDriverUnavailable, kTooManyKeys.
  Result<Kernel> prepare(const NormSpec& spec, int32_t device) {
    const rmsjit_spec c = to_c(spec);
    rmsjit_error error;
    const rmsjit_kernel* kernel = nullptr;
    const rmsjit_status code = rmsjit_prepare(handle_, &c, device, &kernel, &error);
    if (code != RMSJIT_OK) return cxx_detail::to_status(code, error);
    return Kernel(kernel);
  }
  // "hidden=4096,x=bf16,residual=add".
  Result<Kernel> prepare(std::string_view spec_text, int32_t device) {
    RMSJIT_ASSIGN_OR_RETURN(const NormSpec spec, parse_spec(spec_text));
    return prepare(spec, device);
  }

  // Many at once, compiled side by side. All are tried; the first failure is returned.
  // `timeout_ms` 0: none; items not begun by then are kTimeout.
  Status prepare_many(const std::vector<NormSpec>& specs, int32_t device, int32_t timeout_ms = 0) {
    std::vector<rmsjit_spec> c;
    for (const NormSpec& spec : specs) c.push_back(to_c(spec));
    rmsjit_prepare_options options{};
    options.struct_size = sizeof options;
    options.timeout_ms = timeout_ms;
    rmsjit_error error;
    const rmsjit_status code = rmsjit_prepare_many(handle_, c.data(), c.size(), device, &options,
                                                   nullptr, nullptr, &error);
    return cxx_detail::to_status(code, error);
  }

  // Compiles into the cache for a target ("sm_90"), without device, driver or stream.
  Status precompile(const NormSpec& spec, const char* target) {
    const rmsjit_spec c = to_c(spec);
    rmsjit_error error;
    return cxx_detail::to_status(rmsjit_precompile(handle_, &c, target, &error), error);
  }

  // Kernel::launch after a lock-free look-up. An unprepared key is prepared first, unless the
  // stream is capturing or the runtime is sealed: then kNotPrepared, with the spec text to prepare.
  Status launch(const NormSpec& spec, int32_t device, const RmsNormArgs& args, void* stream) {
    const rmsjit_spec c = to_c(spec);
    rmsjit_error error;
    const rmsjit_status code = rmsjit_launch(handle_, &c, device, &args, stream, &error);
    return code == RMSJIT_OK ? Status() : cxx_detail::to_status(code, error);
  }

  // From now on launch() of an unprepared key is kNotPrepared.
  void seal() { rmsjit_seal(handle_); }

  // After a context reset of `device`: forgets its kernels without touching the driver.
  Status forget_device(int32_t device) {
    rmsjit_error error;
    return cxx_detail::to_status(rmsjit_forget_device(handle_, device, &error), error);
  }

  Stats stats() const {
    Stats stats{};
    stats.struct_size = sizeof stats;
    static_cast<void>(rmsjit_stats_get(handle_, &stats, nullptr));
    return stats;
  }
  rmsjit_runtime* handle() const { return handle_; }

 private:
  Runtime(rmsjit_runtime* handle, std::unique_ptr<cxx_detail::Callbacks> callbacks)
      : handle_(handle), callbacks_(std::move(callbacks)) {}

  rmsjit_runtime* handle_ = nullptr;
  std::unique_ptr<cxx_detail::Callbacks> callbacks_;
};

// The key set of a Hugging Face config.json (its text) under an engine profile, as the JSON that
// `rmsnorm-aot keys --json` prints. Errors: kInvalidArgument, kNotFound (family or profile).
inline Result<std::string> keys_for_model_json(const std::string& config_json,
                                               const char* like = nullptr,
                                               int32_t tensor_parallel = 1) {
  char* json = nullptr;
  rmsjit_error error;
  const rmsjit_status code =
      rmsjit_keys_for_model(config_json.c_str(), like, tensor_parallel, &json, &error);
  if (code != RMSJIT_OK) return cxx_detail::to_status(code, error);
  std::string text = json;
  rmsjit_free(json);
  return text;
}

}  // namespace rmsjit

#endif  // RMSJIT_RMSJIT_H_
