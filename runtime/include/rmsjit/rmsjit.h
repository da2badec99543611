// SPDX-License-Identifier: Apache-2.0
// The C++ API: an inline layer over rmsjit_c.h, so that the library's C++ ABI is nobody's business.
// Builds with -fno-exceptions; failures are Status and Result. Every function is safe from any
// thread unless it says so. No CUDA header is needed: streams and contexts are void*.
#ifndef RMSJIT_RMSJIT_H_
#define RMSJIT_RMSJIT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rmsjit/options.h"
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

namespace cxx_detail {

inline Status to_status(rmsjit_status code, const rmsjit_error& error) {
  if (code == RMSJIT_OK) return {};
  return Status(static_cast<StatusCode>(code), error.message);
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
  // For the C functions.
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
    auto callbacks = std::make_unique<cxx_detail::Callbacks>(cxx_detail::callbacks_of(options));
    const rmsjit_options c = cxx_detail::to_c(options, callbacks.get());
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

  // Counters since the runtime was made.
  Stats stats() const {
    Stats stats{};
    stats.struct_size = sizeof stats;
    static_cast<void>(rmsjit_stats_get(handle_, &stats, nullptr));
    return stats;
  }
  // For the C functions.
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
