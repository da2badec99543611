// SPDX-License-Identifier: Apache-2.0
// The host's C callbacks and storage, as the functions that the store calls.
#ifndef RMSJIT_CALLBACKS_H_
#define RMSJIT_CALLBACKS_H_

#include "rmsjit/rmsjit_c.h"
#include "rmsjit/status.h"
#include "runtime/kernel_store.h"

namespace rmsjit {

// What the environment asks for where the host registered nothing.
struct Listeners {
  int stderr_level = 0;   // 0: silent; 1 debug, 2 info, 3 warning
  bool profiled = false;  // a profiler is attached
};

// Fills log, on_compile, trace and storage. Errors: kInvalidArgument (the storage struct).
Status adopt_callbacks(const rmsjit_options& given, const Listeners& listeners,
                       StoreOptions& store);

}  // namespace rmsjit

#endif  // RMSJIT_CALLBACKS_H_
