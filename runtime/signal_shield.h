// SPDX-License-Identifier: Apache-2.0
// signal_shield: keeps one loaded library's hands off process-wide state. NVRTC replaces SIGINT and
// SIGTERM handlers with one that calls exit(), ignores SIGXFSZ and may lift RLIMIT_STACK; it
// reaches all of them through the imports sigaction, signal and setrlimit of its own import table.
// The shield points those imports at functions that report the present state and change nothing.
//
// Chosen over a guard thread that puts the host's handlers back every 100 us (signals that arrive
// in between are lost, a handler set meanwhile by the host is undone) and over blocking signals
// (the host's other threads are not ours): here no handler changes at any moment. Other users of
// the same copy of the library are shielded too, which none of them can want otherwise.
#ifndef RMSJIT_SIGNAL_SHIELD_H_
#define RMSJIT_SIGNAL_SHIELD_H_

#include <string>

#include "rmsjit/status.h"

namespace rmsjit {

// `handle` is of dlopen. Idempotent, thread-safe, cheap enough to repeat before each compile (a
// loader that binds lazily could put an import back once). The object that holds this code is
// pinned, because the library may call it for ever.
// Errors: kCompilerUnavailable when the library imports such a function and it stays in reach.
Status shield_signals(void* handle, const std::string& path);

}  // namespace rmsjit

#endif  // RMSJIT_SIGNAL_SHIELD_H_
