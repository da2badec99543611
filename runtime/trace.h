// SPDX-License-Identifier: Apache-2.0
// TraceRange: begin and end of something slow (compile, read, wait, load), told to the caller's
// trace callback or to a profiler. Costs one test when nobody listens.
#ifndef RMSJIT_TRACE_H_
#define RMSJIT_TRACE_H_

#include <functional>
#include <string>

#include "rmsjit/spec.h"

namespace rmsjit {

enum class TracePhase { kBegin, kEnd };

// Ranges of one thread are properly nested.
using Trace = std::function<void(TracePhase, const char* what, const char* spec_text)>;

class TraceRange {
 public:
  TraceRange(const Trace& trace, const char* what, const NormSpec& spec);
  ~TraceRange();
  TraceRange(const TraceRange&) = delete;
  TraceRange& operator=(const TraceRange&) = delete;

 private:
  const Trace& trace_;
  const char* what_;
  std::string spec_text_;
};

// NVTX ranges named "rmsjit compile hidden=4096,...": what a profiler that is attached through
// NVTX_INJECTION64_PATH shows. Empty where this build has no NVTX.
Trace nvtx_trace();

}  // namespace rmsjit

#endif  // RMSJIT_TRACE_H_
