// SPDX-License-Identifier: Apache-2.0
// compile_thread: runs one function on a thread of its own and waits for it. The thread has what a
// compile needs and must not take from its host: an 8 MiB stack, no signals, the C locale
// and the default floating-point environment.
#ifndef RMSJIT_COMPILE_THREAD_H_
#define RMSJIT_COMPILE_THREAD_H_

#include <functional>

#include "rmsjit/status.h"

namespace rmsjit {

// Errors: kCompilerUnavailable when no thread can be started.
Status run_on_compile_thread(const std::function<void()>& work);

}  // namespace rmsjit

#endif  // RMSJIT_COMPILE_THREAD_H_
