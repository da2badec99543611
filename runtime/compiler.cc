// SPDX-License-Identifier: Apache-2.0
// What every compile is asked for, as text: the canonical options and the rendered source.
#include "runtime/compiler.h"

namespace rmsjit {
namespace {

// Without --no-cache NVRTC calls cuInit, which breaks a later fork; without
// -modify-stack-limit=false it lifts the process's RLIMIT_STACK. -minimal leaves out declarations
// that the template does not use.
std::vector<std::string> option_list(const Target& target) {
  return {"-arch=" + target.name(),    "--std=c++17", "--fmad=false", "--no-cache",
          "-modify-stack-limit=false", "-minimal"};
}

}  // namespace

std::string canonical_options(const Target& target) {
  std::string text;
  for (const std::string& option : option_list(target)) text += (text.empty() ? "" : " ") + option;
  return text;
}

CompileRequest make_compile_request(const KernelId& id) {
  CompileRequest request;
  request.target_name = id.target.name();
  request.spec_cuh = render_spec(id.spec, id.tuning, id.target);
  request.options = option_list(id.target);
  return request;
}

}  // namespace rmsjit
