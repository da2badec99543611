// SPDX-License-Identifier: Apache-2.0
// The test's end of the stub.
#include <dlfcn.h>

#include "tests/runtime/stub_driver/stub_driver.h"

namespace rmsjit::stub {

const Control& control() {
  static const Control kNone;
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return kNone;
  const auto get =
      reinterpret_cast<decltype(&rmsjit_stub_control)>(dlsym(library, "rmsjit_stub_control"));
  return get == nullptr ? kNone : *get();
}

}  // namespace rmsjit::stub
