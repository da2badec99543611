// SPDX-License-Identifier: Apache-2.0
// Module: an image loaded into one context, and its entries. Unloading is explicit, because the
// context may be gone by the time an owner is destroyed.
#ifndef RMSJIT_MODULE_H_
#define RMSJIT_MODULE_H_

#include <string>

#include "rmsjit/status.h"
#include "runtime/driver.h"
#include "templates/render_spec.h"

namespace rmsjit {

struct Module {
  CUmodule handle = nullptr;
  // By KernelEntry; null where the image does not have it, or the device no room for its clusters.
  CUfunction functions[kKernelEntries] = {};

  CUfunction function(KernelEntry entry) const { return functions[static_cast<int>(entry)]; }

  // Loads into the current context, allows the plan's entries the dynamic shared memory and the
  // clusters that they need and makes them resident, so that the first launch loads nothing.
  // Errors: kUnsupported (the driver does not take this image); kDriver.
  static Result<Module> load(const Driver& driver, const std::string& image, const NormSpec& spec,
                             const Tuning& tuning);
  // Requires the context of load() to be current. Failures are ignored: there is nobody to tell.
  void unload(const Driver& driver);
};

}  // namespace rmsjit

#endif  // RMSJIT_MODULE_H_
