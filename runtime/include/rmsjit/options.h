// SPDX-License-Identifier: Apache-2.0
// Options of a Runtime, and their translation to the C ABI's struct.
#ifndef RMSJIT_PUBLIC_OPTIONS_H_
#define RMSJIT_PUBLIC_OPTIONS_H_

#include <cstdint>
#include <functional>
#include <string>

#include "rmsjit/rmsjit_c.h"

namespace rmsjit {

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
  // Begin and end of "compile", "read", "wait" and "load"; NVTX ranges by default.
  std::function<void(bool begin, const char* what, const char* spec_text)> trace;
  const rmsjit_storage* storage = nullptr;  // copied; its user outlives the runtime
  std::string journal;                      // a file for the spec text of each missed key
  std::string trusted_keys;                 // public keys in hex, separated by ','
  int32_t require_signature = RMSJIT_SIGNATURE_DEFAULT;  // off
};

namespace cxx_detail {

// The callbacks at an address that stays while the runtime lives.
struct Callbacks {
  decltype(Options::log) log;
  decltype(Options::on_compile) on_compile;
  decltype(Options::trace) trace;
};

inline void call_log(void* user, int32_t level, const char* message) {
  static_cast<Callbacks*>(user)->log(level, message);
}

inline void call_on_compile(void* user, const char* spec_text, const char* target,
                            const char* reason, double compile_ms) {
  static_cast<Callbacks*>(user)->on_compile(spec_text, target, reason, compile_ms);
}

inline void call_trace(void* user, int32_t phase, const char* what, const char* spec_text) {
  static_cast<Callbacks*>(user)->trace(phase == RMSJIT_TRACE_BEGIN, what, spec_text);
}

inline Callbacks callbacks_of(const Options& options) {
  return {options.log, options.on_compile, options.trace};
}

// Points into both arguments.
inline rmsjit_options to_c(const Options& options, Callbacks* callbacks) {
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
  if (options.trace) c.trace = cxx_detail::call_trace;
  c.log_user = c.on_compile_user = c.trace_user = callbacks;
  c.storage = options.storage;
  c.journal = text(options.journal);
  c.trusted_keys = text(options.trusted_keys);
  c.require_signature = options.require_signature;
  return c;
}

}  // namespace cxx_detail

}  // namespace rmsjit

#endif  // RMSJIT_PUBLIC_OPTIONS_H_
