// SPDX-License-Identifier: Apache-2.0
// KernelStore: one KernelId to verified image bytes, the part of prepare that needs no GPU: bundles
// in order, then the local disk, then one compile. The embedded runtime, precompile and
// `rmsnorm-aot build` all go through acquire(). Thread-safe; one compile for one key in a process,
// and other keys do not wait for it. Usable in a forked child.
#ifndef RMSJIT_KERNEL_STORE_H_
#define RMSJIT_KERNEL_STORE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/disk_cache.h"
#include "rmsjit/status.h"
#include "runtime/compiler.h"
#include "runtime/kernel_key.h"
#include "runtime/trace.h"

namespace rmsjit {

enum class Origin { kCompiled, kCache, kBundle };
const char* origin_name(Origin origin);  // "compiled", "cache", "bundle"

enum class JitMode { kOn, kWarn, kOff };

struct Counters {
  std::atomic<uint64_t> memory_hits{0}, bundle_hits{0}, disk_hits{0}, compiles{0},
      compile_failures{0}, waits{0}, damaged{0}, refused{0}, write_failures{0}, read_failures{0},
      loaded_kernels{0};
};

enum class LogLevel { kDebug, kInfo, kWarning };

// Persistence of the host's own: entry files by digest. Null functions: none.
struct HostStorage {
  std::function<std::optional<std::string>(const std::string& digest_hex)> get;
  std::function<bool(const std::string& digest_hex, const std::string& bytes)> put;
};

struct StoreOptions {
  std::string cache_dir;                                // empty: nothing on disk
  DiskCache::Share share = DiskCache::Share::kPrivate;  // who may use what is written
  std::vector<std::string> bundle_paths;                // in order
  JitMode jit = JitMode::kOn;
  bool refresh = false;  // compile and replace even on a hit (build --refresh)
  int lock_wait_ms = 20000;
  int retry_ms = 5000;  // how long a failure of the environment is remembered
  int64_t cache_max_bytes = int64_t{256} << 20;
  std::function<void(LogLevel, const std::string&)> log;  // may be empty
  std::function<void(const KernelId&, const std::string& reason, double compile_ms)> on_compile;
  Trace trace;
  HostStorage storage;             // after the disk
  std::string journal;             // a file for the spec text of each miss; empty: none
  bool require_signature = false;  // only what a trusted key has signed is loaded
  std::vector<PublicKey> trusted_keys;
};

struct Acquired {
  Entry entry;
  Origin origin = Origin::kCompiled;
  double compile_ms = 0;  // kCompiled only
};

class KernelStore {
 public:
  // Opens nothing until the first acquire(). `compiler` may be null when jit is kOff.
  KernelStore(StoreOptions options, std::unique_ptr<Compiler> compiler);
  ~KernelStore();

  // loadable_majors: CUDA majors whose images will load, highest first ({13, 12} for a driver of
  // CUDA 13); the compiler's own major is used for a compile. Empty: the compiler's major, or
  // {13, 12} with no compiler.
  // Errors: kUntrusted for a bundle or an entry that is not as signed, where that is required;
  // kJitDisabled naming the key and every place searched; kUnsupported (the compiler's
  // images are too new for loadable_majors); those of Compiler::compile. A failed compile is
  // remembered in memory, a failure of the environment for retry_ms. Cache trouble is never an
  // error: it is logged once, counted, and the compile serves.
  Result<Acquired> acquire(const KernelId& id, const std::vector<int>& loadable_majors);

  // Bundles and disk only, whatever jit says. Errors: kUntrusted, as acquire().
  Result<std::optional<Acquired>> find(const KernelId& id, const std::vector<int>& loadable_majors);

  // Compiles whatever the layers hold and publishes nothing: for an intact entry that the driver
  // refused. Errors: as acquire().
  Result<Acquired> compile_in_memory(const KernelId& id, const std::vector<int>& loadable_majors,
                                     const std::string& reason);

  Counters& counters() { return counters_; }
  const Counters& counters() const { return counters_; }
  const StoreOptions& options() const { return options_; }
  Compiler* compiler() { return compiler_.get(); }
  void log(LogLevel level, const std::string& message) const;

 private:
  enum class Publish { kNo, kYes };
  struct State;
  State& state();
  std::vector<int> majors(const std::vector<int>& loadable_majors);
  Result<Acquired> acquire_alone(State& state, const KernelId& id, const std::vector<int>& majors);
  Result<Acquired> compile(State& state, const KernelId& id, const std::vector<int>& majors,
                           const std::string& reason, Publish publish);
  Result<Acquired> run_compiler(const KernelId& id, const CacheKey& key, const std::string& reason);

  StoreOptions options_;
  std::unique_ptr<Compiler> compiler_;
  Counters counters_;
  std::atomic<State*> state_;
};

}  // namespace rmsjit

#endif  // RMSJIT_KERNEL_STORE_H_
