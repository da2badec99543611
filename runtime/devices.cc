// SPDX-License-Identifier: Apache-2.0
#include "runtime/devices.h"

#include "runtime/errors.h"

namespace rmsjit {
namespace {

constexpr int kOldestSm = 80;

// 0 where the driver cannot say.
unsigned long long context_id(const Driver& driver, CUcontext context) {
  unsigned long long id = 0;
  const auto ask = driver.functions().cuCtxGetId;
  return ask != nullptr && ask(context, &id) == CUDA_SUCCESS ? id : 0;
}

}  // namespace

bool is_same_context(const Driver& driver, const DeviceContext& where) {
  return context_id(driver, where.context) == where.id;
}

Result<DeviceFacts> Devices::facts(const Driver& driver, int device) {
  const std::lock_guard lock(mutex_);
  if (const auto it = facts_.find(device); it != facts_.end()) return DeviceFacts(it->second);
  RMSJIT_ASSIGN_OR_RETURN(const DeviceFacts found, driver.device_facts(device));
  if (found.sm < kOldestSm) return errors::device_too_old(device, found.sm);
  facts_.emplace(device, found);
  return DeviceFacts(found);
}

Result<DeviceContext> Devices::context_on(const Driver& driver, int device) {
  const DriverFunctions& cu = driver.functions();
  DeviceContext where;
  where.device = device;
  RMSJIT_ASSIGN_OR_RETURN(where.facts, facts(driver, device));
  CUdevice wanted = 0, actual = 0;
  RMSJIT_RETURN_IF_ERROR(driver.check(cu.cuDeviceGet(&wanted, device), "cuDeviceGet"));
  RMSJIT_RETURN_IF_ERROR(driver.check(cu.cuCtxGetCurrent(&where.context), "cuCtxGetCurrent"));
  const bool current =
      where.context != nullptr && cu.cuCtxGetDevice(&actual) == CUDA_SUCCESS && actual == wanted;
  if (!current) {
    const std::lock_guard lock(mutex_);
    CUcontext& retained = retained_[device];
    if (retained == nullptr) {
      RMSJIT_RETURN_IF_ERROR(
          driver.check(cu.cuDevicePrimaryCtxRetain(&retained, wanted), "cuDevicePrimaryCtxRetain"));
    }
    where.context = retained;
  }
  where.id = context_id(driver, where.context);
  return where;
}

std::optional<DeviceFacts> Devices::known_facts(int device) {
  const std::lock_guard lock(mutex_);
  const auto it = facts_.find(device);
  if (it == facts_.end()) return std::nullopt;
  return it->second;
}

void Devices::forget(int device) {
  const std::lock_guard lock(mutex_);
  retained_.erase(device);
}

void Devices::release_all(const Driver& driver) {
  const std::lock_guard lock(mutex_);
  for (const auto& [device, context] : retained_) {
    CUdevice handle = 0;
    if (context != nullptr && driver.functions().cuDeviceGet(&handle, device) == CUDA_SUCCESS) {
      driver.functions().cuDevicePrimaryCtxRelease(handle);
    }
  }
  retained_.clear();
}

}  // namespace rmsjit
