// SPDX-License-Identifier: Apache-2.0
// Module: an image loaded into one context, and its two entries. Unloading is explicit, because the
// context may be gone by the time an owner is destroyed.
#ifndef RMSJIT_MODULE_H_
#define RMSJIT_MODULE_H_

#include <string>

#include "rmsjit/status.h"
#include "runtime/driver.h"

namespace rmsjit {

struct Module {
  CUmodule handle = nullptr;
  CUfunction packed = nullptr;  // rmsnorm_packed: 16-byte accesses
  CUfunction any = nullptr;     // rmsnorm_any: element alignment

  // Loads into the current context, allows both entries that much dynamic shared memory and makes
  // them resident, so that the first launch loads nothing.
  // Errors: kUnsupported (the driver does not take this image); kDriver.
  static Result<Module> load(const Driver& driver, const std::string& image,
                             int dynamic_shared_bytes);
  // Requires the context of load() to be current. Failures are ignored: there is nobody to tell.
  void unload(const Driver& driver);
};

}  // namespace rmsjit

#endif  // RMSJIT_MODULE_H_
