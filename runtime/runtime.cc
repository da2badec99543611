// SPDX-License-Identifier: Apache-2.0
#include "runtime/runtime.h"

#include <unistd.h>

#include "rmsjit/spec_text.h"
#include "runtime/c_structs.h"
#include "runtime/errors.h"

namespace rmsjit {
namespace {

// CAPTURE_IMPLICIT (the legacy stream while another stream captures) counts as capturing, and so
// does every answer that speaks of a capture.
bool is_capturing(const Driver& driver, CUstream stream) {
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  const CUresult answer = driver.functions().cuStreamIsCapturing(stream, &status);
  if (answer == CUDA_SUCCESS) return status != CU_STREAM_CAPTURE_STATUS_NONE;
  return answer >= CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED &&
         answer <= CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
}

}  // namespace

RuntimeCore::RuntimeCore(RuntimeOptions options, std::unique_ptr<Compiler> compiler)
    : max_keys_(options.max_keys),
      jobs_(options.jobs),
      process_(getpid()),
      store_(std::move(options.store), std::move(compiler)),
      images_(store_) {}

RuntimeCore::~RuntimeCore() {
  // CUDA does not survive a fork: a child only frees its memory.
  const Driver* driver = Driver::opened();
  if (getpid() != process_ || driver == nullptr) return;
  const RelaxedCapture relaxed(*driver);
  for (const auto& [key, slot] : slots_) {
    // A context that its owner has destroyed took its modules along.
    if (!slot->kernel || !is_same_context(*driver, slot->kernel->where())) continue;
    const CurrentContext current(*driver, slot->kernel->where().context);
    if (current.status().ok()) slot->kernel->unload();
  }
  devices_.release_all(*driver);
}

Result<const LoadedKernel*> RuntimeCore::prepare(const NormSpec& spec, int device) {
  RMSJIT_RETURN_IF_ERROR(validate(spec));
  RMSJIT_ASSIGN_OR_RETURN(const Driver* driver, Driver::get());
  const RelaxedCapture relaxed(*driver);
  RMSJIT_ASSIGN_OR_RETURN(const DeviceContext where, devices_.context_on(*driver, device));
  return prepare_in(*driver, where, spec);
}

Result<const LoadedKernel*> RuntimeCore::prepare_in(const Driver& driver,
                                                    const DeviceContext& where,
                                                    const NormSpec& spec) {
  const Target target{where.facts.sm, false};
  RMSJIT_ASSIGN_OR_RETURN(const NormSpec canonical, resolve(spec, target));
  RMSJIT_RETURN_IF_ERROR(admit(canonical, target));
  const std::shared_ptr<Slot> slot = slot_for(canonical, where);
  const std::lock_guard lock(slot->mutex);
  if (slot->kernel) {
    store_.counters().memory_hits.fetch_add(1, std::memory_order_relaxed);
  } else {
    RMSJIT_ASSIGN_OR_RETURN(slot->kernel, load(driver, where, canonical));
    store_.counters().loaded_kernels.fetch_add(1, std::memory_order_relaxed);
  }
  remember(spec, canonical, *slot->kernel);
  return slot->kernel.get();
}

Status RuntimeCore::admit(const NormSpec& canonical, const Target& target) {
  // In a forked child the lock may be held by a thread that is not there; a child that only
  // compiles does without the cap.
  if (getpid() != process_) return {};
  const std::lock_guard lock(mutex_);
  const std::pair<uint64_t, int> key{pack_word(to_c(canonical), 0),
                                     target.ptx ? -target.sm : target.sm};
  if (keys_.count(key) == 0 && keys_.size() >= static_cast<size_t>(max_keys_)) {
    return errors::too_many_keys(max_keys_);
  }
  keys_.insert(key);
  return {};
}

std::shared_ptr<RuntimeCore::Slot> RuntimeCore::slot_for(const NormSpec& canonical,
                                                         const DeviceContext& where) {
  const std::lock_guard lock(mutex_);
  const SlotKey key{pack_word(to_c(canonical), where.device), where.context, where.id};
  std::shared_ptr<Slot>& slot = slots_[key];
  if (!slot) slot = std::make_shared<Slot>(where.device);
  return slot;
}

Result<std::unique_ptr<LoadedKernel>> RuntimeCore::load(const Driver& driver,
                                                        const DeviceContext& where,
                                                        const NormSpec& spec) {
  RMSJIT_ASSIGN_OR_RETURN(ServedImage image,
                          images_.get(spec, where.facts.sm, driver.loadable_majors()));
  RMSJIT_ASSIGN_OR_RETURN(const Module module, load_image(driver, where, image));
  return std::make_unique<LoadedKernel>(driver, where, image.id, image.acquired, module);
}

// An image from a layer that the driver refuses is intact: it stays, and another is compiled.
Result<Module> RuntimeCore::load_image(const Driver& driver, const DeviceContext& where,
                                       ServedImage& image) {
  const TraceRange range(store_.options().trace, "load", image.id.spec);
  const CurrentContext current(driver, where.context);
  RMSJIT_RETURN_IF_ERROR(current.status());
  const auto load = [&] {
    return Module::load(driver, image.acquired.entry.image, image.id.spec, image.id.tuning);
  };
  Result<Module> module = load();
  if (module.code() == StatusCode::kUnsupported && image.acquired.origin != Origin::kCompiled) {
    RMSJIT_ASSIGN_OR_RETURN(
        image, images_.replace(image, driver.loadable_majors(), module.status().message()));
    module = load();
  }
  if (module.ok()) return module;
  return errors::load_failed(spec_text(image.id.spec), image.id.target.name(), module.status());
}

void RuntimeCore::remember(const NormSpec& spec, const NormSpec& canonical,
                           const LoadedKernel& kernel) {
  const std::lock_guard lock(mutex_);
  const int device = kernel.where().device;
  for (const NormSpec& alias : {spec, canonical}) {
    const uint64_t word = pack_word(to_c(alias), device);
    // The first context keeps the word; launch() finds the others when it has to.
    if (word != 0 && table_.find(word) == nullptr) table_.insert(word, &kernel);
  }
}

Status RuntimeCore::precompile(const NormSpec& spec, const Target& target) {
  RMSJIT_ASSIGN_OR_RETURN(const KernelId id, KernelId::make(spec, target));
  RMSJIT_RETURN_IF_ERROR(admit(id.spec, target));
  return store_.acquire(id, {}).status();
}

// A spec written another way than the one that was prepared. Asks the driver nothing.
const LoadedKernel* RuntimeCore::find_alias(const NormSpec& spec, int device) {
  const std::optional<DeviceFacts> facts = devices_.known_facts(device);
  if (!facts) return nullptr;
  const Result<NormSpec> canonical = resolve(spec, Target{facts->sm, false});
  if (!canonical.ok()) return nullptr;
  const LoadedKernel* kernel = table_.find(pack_word(to_c(*canonical), device));
  if (kernel != nullptr) remember(spec, *canonical, *kernel);
  return kernel;
}

Status RuntimeCore::launch_carefully(const rmsjit_spec& spec, int device, const rmsjit_args& args,
                                     void* stream, const LoadedKernel* kernel, CUresult tried) {
  if (kernel == nullptr) kernel = find(spec, device);
  if (kernel == nullptr) return launch_unprepared(spec, device, args, stream);
  const Status status = kernel->launch_carefully(args, static_cast<CUstream>(stream), tried);
  if (status.code() != StatusCode::kWrongContext) return status;
  return launch_elsewhere(spec, *kernel, args, stream, status);
}

Status RuntimeCore::launch_unprepared(const rmsjit_spec& c_spec, int device,
                                      const rmsjit_args& args, void* stream) {
  const NormSpec spec = from_c(c_spec);
  RMSJIT_RETURN_IF_ERROR(validate(spec));
  RMSJIT_ASSIGN_OR_RETURN(const bool nothing, asks_for_nothing(spec.layout, args));
  if (nothing) return {};
  const auto queue = static_cast<CUstream>(stream);
  if (const LoadedKernel* kernel = find_alias(spec, device)) return kernel->launch(args, queue);
  if (sealed_.load(std::memory_order_relaxed)) {
    return errors::not_prepared(spec_text(spec), device, "the runtime is sealed");
  }
  RMSJIT_ASSIGN_OR_RETURN(const Driver* driver, Driver::get());
  if (is_capturing(*driver, queue)) {
    return errors::not_prepared(spec_text(spec), device, "the stream is capturing");
  }
  RMSJIT_ASSIGN_OR_RETURN(const LoadedKernel* kernel, prepare(spec, device));
  return kernel->launch(args, queue);
}

// The table names one kernel a device. Where it belongs to another context than the stream, the
// kernel that was prepared in the caller's current context is tried.
Status RuntimeCore::launch_elsewhere(const rmsjit_spec& c_spec, const LoadedKernel& tried,
                                     const rmsjit_args& args, void* stream, const Status& failed) {
  RMSJIT_ASSIGN_OR_RETURN(const Driver* driver, Driver::get());
  RMSJIT_ASSIGN_OR_RETURN(const DeviceContext where,
                          devices_.context_on(*driver, tried.where().device));
  RMSJIT_ASSIGN_OR_RETURN(const NormSpec canonical,
                          resolve(from_c(c_spec), Target{where.facts.sm, false}));
  std::shared_ptr<Slot> slot;
  {
    const std::lock_guard lock(mutex_);
    const auto it =
        slots_.find({pack_word(to_c(canonical), where.device), where.context, where.id});
    if (it != slots_.end()) slot = it->second;
  }
  if (!slot) return failed;
  const std::lock_guard lock(slot->mutex);
  if (!slot->kernel || slot->kernel.get() == &tried) return failed;
  return slot->kernel->launch(args, static_cast<CUstream>(stream));
}

void RuntimeCore::forget_device(int device) {
  std::vector<std::shared_ptr<Slot>> gone;
  {
    const std::lock_guard lock(mutex_);
    for (auto it = slots_.begin(); it != slots_.end();) {
      const bool goes = it->second->device == device;
      if (goes) gone.push_back(it->second);
      it = goes ? slots_.erase(it) : std::next(it);
    }
  }
  std::vector<const LoadedKernel*> kernels;
  for (const std::shared_ptr<Slot>& slot : gone) {
    const std::lock_guard lock(slot->mutex);
    if (slot->kernel) kernels.push_back(slot->kernel.get());
  }
  const std::lock_guard lock(mutex_);
  table_.forget(kernels);
  devices_.forget(device);
  forgotten_.insert(forgotten_.end(), gone.begin(), gone.end());
  store_.counters().loaded_kernels.fetch_sub(kernels.size(), std::memory_order_relaxed);
}

void RuntimeCore::stats(rmsjit_stats& stats) const {
  const Counters& counters = store_.counters();
  stats.memory_hits = counters.memory_hits;
  stats.bundle_hits = counters.bundle_hits;
  stats.disk_hits = counters.disk_hits;
  stats.compiles = counters.compiles;
  stats.compile_failures = counters.compile_failures;
  stats.waits = counters.waits;
  stats.damaged = counters.damaged;
  stats.refused = counters.refused;
  stats.write_failures = counters.write_failures;
  stats.read_failures = counters.read_failures;
  stats.loaded_kernels = counters.loaded_kernels;
}

}  // namespace rmsjit
