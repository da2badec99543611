// SPDX-License-Identifier: Apache-2.0
// RuntimeCore: the one path from a spec to a launch: memory table, store, load, launch. What
// rmsjit_runtime points to. Thread-safe; keys do not wait for each other. The destructor unloads.
#ifndef RMSJIT_RUNTIME_H_
#define RMSJIT_RUNTIME_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "rmsjit/rmsjit_c.h"
#include "rmsjit/spec.h"
#include "rmsjit/status.h"
#include "runtime/devices.h"
#include "runtime/driver.h"
#include "runtime/image_source.h"
#include "runtime/kernel_store.h"
#include "runtime/kernel_table.h"
#include "runtime/loaded_kernel.h"
#include "runtime/options.h"

namespace rmsjit {

class RuntimeCore {
 public:
  // Touches neither disk nor driver.
  RuntimeCore(RuntimeOptions options, std::unique_ptr<Compiler> compiler);
  ~RuntimeCore();
  RuntimeCore(const RuntimeCore&) = delete;
  RuntimeCore& operator=(const RuntimeCore&) = delete;

  // rmsjit_prepare.
  Result<const LoadedKernel*> prepare(const NormSpec& spec, int device);

  struct Many {
    int device = 0;
    int jobs = 0;        // 0: the runtime's
    int timeout_ms = 0;  // 0: none
    std::function<void(size_t done, size_t total)> progress;
  };
  struct Item {
    const LoadedKernel* kernel = nullptr;
    Status status;
  };
  // rmsjit_prepare_many; the kernels belong to the calling thread's context.
  Result<std::vector<Item>> prepare_many(const std::vector<NormSpec>& specs, const Many& many);

  Status precompile(const NormSpec& spec, const Target& target);

  // rmsjit_launch: one look-up and the kernel's launch, unless the key is not prepared.
  Status launch(const rmsjit_spec& spec, int device, const rmsjit_args& args, void* stream) {
    const LoadedKernel* kernel = find(spec, device);
    const CUresult result = kernel == nullptr
                                ? LoadedKernel::kNotTried
                                : kernel->try_launch(args, static_cast<CUstream>(stream));
    if (result == CUDA_SUCCESS) [[likely]]
      return {};
    return launch_carefully(spec, device, args, stream, kernel, result);
  }
  // Its second half, after LoadedKernel::try_launch of what find() gave: `kernel`, or null.
  [[gnu::cold]] Status launch_carefully(const rmsjit_spec& spec, int device,
                                        const rmsjit_args& args, void* stream,
                                        const LoadedKernel* kernel, CUresult tried);

  // rmsjit_find.
  const LoadedKernel* find(const rmsjit_spec& spec, int device) const {
    return table_.find(pack_word(spec, device));
  }

  void seal() { sealed_.store(true, std::memory_order_relaxed); }
  void forget_device(int device);
  void stats(rmsjit_stats& stats) const;
  KernelStore& store() { return store_; }

 private:
  struct Slot {
    explicit Slot(int on_device) : device(on_device) {}
    const int device;
    std::mutex mutex;  // held while the kernel is acquired and loaded; taken before mutex_
    std::unique_ptr<LoadedKernel> kernel;
  };
  // A canonical spec with its device, and the context with its id.
  using SlotKey = std::tuple<uint64_t, CUcontext, unsigned long long>;

  Result<const LoadedKernel*> prepare_in(const Driver& driver, const DeviceContext& where,
                                         const NormSpec& spec);
  Result<std::unique_ptr<LoadedKernel>> load(const Driver& driver, const DeviceContext& where,
                                             const NormSpec& spec);
  Result<Module> load_image(const Driver& driver, const DeviceContext& where, ServedImage& image);
  std::shared_ptr<Slot> slot_for(const NormSpec& canonical, const DeviceContext& where);
  Status admit(const NormSpec& canonical, const Target& target);
  void remember(const NormSpec& spec, const NormSpec& canonical, const LoadedKernel& kernel);
  const LoadedKernel* find_alias(const NormSpec& spec, int device);
  Status launch_unprepared(const rmsjit_spec& spec, int device, const rmsjit_args& args,
                           void* stream);
  Status launch_elsewhere(const rmsjit_spec& spec, const LoadedKernel& tried,
                          const rmsjit_args& args, void* stream, const Status& failed);

  const int max_keys_;
  const int jobs_;
  const int process_;
  KernelStore store_;
  ImageSource images_;
  Devices devices_;
  KernelTable table_;
  std::atomic<bool> sealed_{false};
  std::mutex mutex_;  // guards what follows, and writes to table_
  std::map<SlotKey, std::shared_ptr<Slot>> slots_;
  std::set<std::pair<uint64_t, int>> keys_;       // admitted: canonical spec and target
  std::vector<std::shared_ptr<Slot>> forgotten_;  // by forget_device: kept, for late users
};

}  // namespace rmsjit

#endif  // RMSJIT_RUNTIME_H_
