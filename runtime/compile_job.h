// SPDX-License-Identifier: Apache-2.0
// CompileJob: everything that one run of NVRTC is given, files included, so that it can be handed
// to a thread or sent to a worker process as it is. Plain values.
#ifndef RMSJIT_COMPILE_JOB_H_
#define RMSJIT_COMPILE_JOB_H_

#include <string>
#include <vector>

#include "rmsjit/status.h"
#include "runtime/compiler.h"

namespace rmsjit {

struct SourceFile {
  std::string name;  // as it is included
  std::string text;
};

struct CompileJob {
  std::string kernel;  // for messages: the spec text
  std::string target_name;
  std::vector<std::string> options;  // canonical; an older NVRTC is given those it knows
  std::vector<SourceFile> files;     // the first is compiled, the others are its headers
};

// The template's files and the request's spec.cuh.
CompileJob make_job(const CompileRequest& request);

// The options that NVRTC major.minor knows, in order. Every one left out changes nothing in the
// image.
std::vector<std::string> options_for_version(const std::vector<std::string>& canonical, int major,
                                             int minor);

}  // namespace rmsjit

#endif  // RMSJIT_COMPILE_JOB_H_
