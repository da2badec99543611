// SPDX-License-Identifier: Apache-2.0
#include "runtime/trace.h"

#include <stdlib.h>

#include "rmsjit/spec_text.h"

#if __has_include(<nvtx3/nvToolsExt.h>)
#define RMSJIT_HAS_NVTX 1
// NVTX opens the library that a variable names; not in a process with raised privileges.
#define getenv secure_getenv
#include <nvtx3/nvToolsExt.h>
#undef getenv
#else
#define RMSJIT_HAS_NVTX 0
#endif

namespace rmsjit {

TraceRange::TraceRange(const Trace& trace, const char* what, const NormSpec& spec)
    : trace_(trace), what_(what) {
  if (!trace_) return;
  spec_text_ = spec_text(spec);
  trace_(TracePhase::kBegin, what_, spec_text_.c_str());
}

TraceRange::~TraceRange() {
  if (trace_) trace_(TracePhase::kEnd, what_, spec_text_.c_str());
}

Trace nvtx_trace() {
#if RMSJIT_HAS_NVTX
  return [](TracePhase phase, const char* what, const char* text) {
    if (phase == TracePhase::kEnd) {
      nvtxRangePop();
      return;
    }
    nvtxRangePushA(("rmsjit " + std::string(what) + " " + text).c_str());
  };
#else
  return {};
#endif
}

}  // namespace rmsjit
