// SPDX-License-Identifier: Apache-2.0
// RuntimeCore::prepare_many: the key set of a model at once, compiled side by side.
#include <chrono>

#include "rmsjit/spec_text.h"
#include "runtime/errors.h"
#include "runtime/parallel.h"
#include "runtime/runtime.h"

namespace rmsjit {

Result<std::vector<RuntimeCore::Item>> RuntimeCore::prepare_many(const std::vector<NormSpec>& specs,
                                                                 const Many& many) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point deadline = Clock::now() + std::chrono::milliseconds(many.timeout_ms);
  RMSJIT_ASSIGN_OR_RETURN(const Driver* driver, Driver::get());
  // The caller's context serves every item: the other threads have none of their own.
  const auto find_context = [&] {
    const RelaxedCapture relaxed(*driver);
    return devices_.context_on(*driver, many.device);
  };
  RMSJIT_ASSIGN_OR_RETURN(const DeviceContext where, find_context());
  std::vector<Item> items(specs.size());
  std::mutex progress_mutex;
  size_t done = 0;
  run_parallel(many.jobs > 0 ? many.jobs : jobs_, specs.size(), [&](size_t i) {
    Item& item = items[i];
    item.status = validate(specs[i]);
    if (item.status.ok() && many.timeout_ms > 0 && Clock::now() >= deadline) {
      item.status = errors::deadline_passed(spec_text(specs[i]), many.timeout_ms);
    }
    if (item.status.ok()) {
      const RelaxedCapture relaxed(*driver);
      Result<const LoadedKernel*> kernel = prepare_in(*driver, where, specs[i]);
      item = kernel.ok() ? Item{*kernel, {}} : Item{nullptr, kernel.status()};
    }
    if (!many.progress) return;
    const std::lock_guard lock(progress_mutex);
    many.progress(++done, specs.size());
  });
  return items;
}

}  // namespace rmsjit
