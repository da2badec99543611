// SPDX-License-Identifier: Apache-2.0
#include "runtime/module.h"

namespace rmsjit {
namespace {

// A driver older than 12.4 has no cuFuncLoad; asking for an attribute loads the function as well.
Status make_resident(const Driver& driver, CUfunction function) {
  const DriverFunctions& cu = driver.functions();
  if (cu.cuFuncLoad != nullptr) return driver.check(cu.cuFuncLoad(function), "cuFuncLoad");
  int registers = 0;
  return driver.check(cu.cuFuncGetAttribute(&registers, CU_FUNC_ATTRIBUTE_NUM_REGS, function),
                      "cuFuncGetAttribute");
}

Result<CUfunction> load_entry(const Driver& driver, CUmodule module, KernelEntry entry,
                              int dynamic_shared_bytes) {
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
  RMSJIT_RETURN_IF_ERROR(make_resident(driver, function));
  return function;
}

}  // namespace

Result<Module> Module::load(const Driver& driver, const std::string& image, const Tuning& tuning,
                            int dynamic_shared_bytes) {
  Module module;
  // std::string ends in a NUL, which PTX needs.
  RMSJIT_RETURN_IF_ERROR(driver.check(
      driver.functions().cuModuleLoadData(&module.handle, image.c_str()), "cuModuleLoadData"));
  for (const KernelEntry entry : {KernelEntry::kPacked, KernelEntry::kAny, KernelEntry::kFewRows}) {
    if (entry == KernelEntry::kFewRows && !tuning.few_rows) continue;
    Result<CUfunction> loaded = load_entry(driver, module.handle, entry, dynamic_shared_bytes);
    if (!loaded.ok()) {
      module.unload(driver);
      return loaded.status();
    }
    module.functions[static_cast<int>(entry)] = *loaded;
  }
  return module;
}

void Module::unload(const Driver& driver) {
  if (handle != nullptr) driver.functions().cuModuleUnload(handle);
  *this = {};
}

}  // namespace rmsjit
