// SPDX-License-Identifier: Apache-2.0
// A host built without exceptions: creates a runtime that may not compile and asks for a key.
#include <cstdio>

#include "rmsjit/rmsjit.h"

int main() {
  rmsjit::Options options;
  options.cache = rmsjit::Options::CacheDir::kNone;
  options.jit = RMSJIT_JIT_OFF;
  auto runtime = rmsjit::Runtime::create(options);
  if (!runtime.ok()) {
    std::printf("create: %s\n", runtime.message().c_str());
    return 1;
  }
  const rmsjit::Status status = runtime->precompile(*rmsjit::parse_spec("hidden=4096"), "sm_90");
  std::printf("rmsjit %s: %s\n", rmsjit_version(), status.message().c_str());
  return status.code() == rmsjit::StatusCode::kJitDisabled ? 0 : 1;
}
