// SPDX-License-Identifier: Apache-2.0
#include "runtime/module.h"

namespace rmsjit {
namespace {

constexpr int kMostPortableCluster = 8;

// A driver older than 12.4 has no cuFuncLoad; asking for an attribute loads the function as well.
Status make_resident(const Driver& driver, CUfunction function) {
  const DriverFunctions& cu = driver.functions();
  if (cu.cuFuncLoad != nullptr) return driver.check(cu.cuFuncLoad(function), "cuFuncLoad");
  int registers = 0;
  return driver.check(cu.cuFuncGetAttribute(&registers, CU_FUNC_ATTRIBUTE_NUM_REGS, function),
                      "cuFuncGetAttribute");
}

// Allows clusters of more than eight blocks, and says whether the context's device has room for
// one; any error of the driver is no room.
bool has_room(const Driver& driver, CUfunction function, const Schedule& schedule,
              int dynamic_shared_bytes) {
  const DriverFunctions& cu = driver.functions();
  if (schedule.cluster <= kMostPortableCluster) return true;
  CUlaunchConfig config{};
  config.gridDimX = static_cast<unsigned>(schedule.cluster);
  config.gridDimY = config.gridDimZ = config.blockDimY = config.blockDimZ = 1;
  config.blockDimX = static_cast<unsigned>(schedule.threads_per_row);
  config.sharedMemBytes = static_cast<unsigned>(dynamic_shared_bytes);
  int clusters = 0;
  return cu.cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1) ==
             CUDA_SUCCESS &&
         cu.cuOccupancyMaxActiveClusters(&clusters, function, &config) == CUDA_SUCCESS &&
         clusters > 0;
}

Result<CUfunction> load_entry(const Driver& driver, CUmodule module, KernelEntry entry,
                              const Schedule& schedule, int dynamic_shared_bytes) {
  const DriverFunctions& cu = driver.functions();
  CUfunction function = nullptr;
  RMSJIT_RETURN_IF_ERROR(driver.check(cu.cuModuleGetFunction(&function, module, entry_name(entry)),
                                      "cuModuleGetFunction"));
  if (dynamic_shared_bytes != 0) {
    RMSJIT_RETURN_IF_ERROR(driver.check(
        cu.cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                              dynamic_shared_bytes),
        "cuFuncSetAttribute"));
  }
  if (!has_room(driver, function, schedule, dynamic_shared_bytes)) return CUfunction{};
  RMSJIT_RETURN_IF_ERROR(make_resident(driver, function));
  return function;
}

}  // namespace

Result<Module> Module::load(const Driver& driver, const std::string& image, const NormSpec& spec,
                            const Tuning& tuning) {
  Module module;
  // std::string ends in a NUL, which PTX needs.
  RMSJIT_RETURN_IF_ERROR(driver.check(
      driver.functions().cuModuleLoadData(&module.handle, image.c_str()), "cuModuleLoadData"));
  for (int i = 0; i < kKernelEntries; ++i) {
    const auto entry = static_cast<KernelEntry>(i);
    if (!has_entry(tuning, entry)) continue;
    const Schedule& schedule = schedule_of(tuning, entry);
    Result<CUfunction> loaded =
        load_entry(driver, module.handle, entry, schedule, dynamic_shared_bytes(spec, schedule));
    if (!loaded.ok()) {
      module.unload(driver);
      return loaded.status();
    }
    module.functions[i] = *loaded;
  }
  return module;
}

void Module::unload(const Driver& driver) {
  if (handle != nullptr) driver.functions().cuModuleUnload(handle);
  *this = {};
}

}  // namespace rmsjit
