// SPDX-License-Identifier: Apache-2.0
// RuntimeOptions: what the caller gave, then the RMSJIT_* variables, then the defaults, resolved
// once when a runtime is created. Reads no file and creates none.
#ifndef RMSJIT_OPTIONS_H_
#define RMSJIT_OPTIONS_H_

#include <memory>
#include <string>

#include "rmsjit/rmsjit_c.h"
#include "rmsjit/status.h"
#include "runtime/compiler.h"
#include "runtime/kernel_store.h"

namespace rmsjit {

enum class CompileIn { kWorker, kInProcess };

struct RuntimeOptions {
  StoreOptions store;
  CompilerOptions compiler;
  CompileIn compile_in = CompileIn::kWorker;
  int max_keys = 4096;
  int jobs = 1;  // min(8, cores) unless given
};

// Null where a variable is not set. Production code passes secure_getenv, which answers null for
// everything in a process with raised privileges.
using Variables = const char* (*)(const char* name);

// Errors: kInvalidArgument naming the option or variable, its value and what is allowed.
Result<RuntimeOptions> resolve_options(const rmsjit_options& given, Variables variables);

// The compiler that the options ask for; null where compiling is off.
std::unique_ptr<Compiler> make_compiler(const RuntimeOptions& options);

// $XDG_CACHE_HOME/rmsjit, else $HOME/.cache/rmsjit; empty (memory only) where neither is absolute,
// or HOME is "/".
std::string default_cache_dir(Variables variables);

}  // namespace rmsjit

#endif  // RMSJIT_OPTIONS_H_
