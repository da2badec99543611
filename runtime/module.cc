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

struct Entry {
  const char* name;
  CUfunction* function;
  int dynamic_shared_bytes;
};

Status load_entry(const Driver& driver, CUmodule module, const Entry& entry) {
  const DriverFunctions& cu = driver.functions();
  RMSJIT_RETURN_IF_ERROR(driver.check(cu.cuModuleGetFunction(entry.function, module, entry.name),
                                      "cuModuleGetFunction"));
  if (entry.dynamic_shared_bytes != 0) {
    RMSJIT_RETURN_IF_ERROR(driver.check(
        cu.cuFuncSetAttribute(*entry.function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                              entry.dynamic_shared_bytes),
        "cuFuncSetAttribute"));
  }
  return make_resident(driver, *entry.function);
}

}  // namespace

Result<Module> Module::load(const Driver& driver, const std::string& image,
                            int dynamic_shared_bytes) {
  Module module;
  // std::string ends in a NUL, which PTX needs.
  RMSJIT_RETURN_IF_ERROR(driver.check(
      driver.functions().cuModuleLoadData(&module.handle, image.c_str()), "cuModuleLoadData"));
  for (const Entry& entry : {Entry{"rmsnorm_packed", &module.packed, dynamic_shared_bytes},
                             Entry{"rmsnorm_any", &module.any, dynamic_shared_bytes}}) {
    Status loaded = load_entry(driver, module.handle, entry);
    if (loaded.ok()) continue;
    module.unload(driver);
    return loaded;
  }
  return module;
}

void Module::unload(const Driver& driver) {
  if (handle != nullptr) driver.functions().cuModuleUnload(handle);
  *this = {};
}

}  // namespace rmsjit
