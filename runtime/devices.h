// SPDX-License-Identifier: Apache-2.0
// Devices: which context a kernel of a device belongs to. The caller's current one if it is on the
// device, else the device's primary one, which is retained once and released by release_all().
// Thread-safe.
#ifndef RMSJIT_DEVICES_H_
#define RMSJIT_DEVICES_H_

#include <map>
#include <mutex>
#include <optional>

#include "rmsjit/status.h"
#include "runtime/driver.h"
#include "runtime/loaded_kernel.h"

namespace rmsjit {

// Whether `where` still names the context that it named: another one may have its address by now.
// True where the driver cannot tell.
bool is_same_context(const Driver& driver, const DeviceContext& where);

class Devices {
 public:
  // Errors: kInvalidArgument (no such device), kUnsupported (older than sm_80), kDriver.
  Result<DeviceContext> context_on(const Driver& driver, int device);
  // What is known without asking the driver.
  std::optional<DeviceFacts> known_facts(int device);
  // After a reset: the retained context is gone, and nothing is released.
  void forget(int device);
  void release_all(const Driver& driver);

 private:
  Result<DeviceFacts> facts(const Driver& driver, int device);

  std::mutex mutex_;
  std::map<int, DeviceFacts> facts_;
  std::map<int, CUcontext> retained_;
};

}  // namespace rmsjit

#endif  // RMSJIT_DEVICES_H_
