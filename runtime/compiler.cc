// SPDX-License-Identifier: Apache-2.0
// What every compile is asked for, as text, and the compiler that runs NVRTC in this process.
#include "runtime/compiler.h"

#include <mutex>

#include "rmsjit/spec_text.h"
#include "runtime/compile_job.h"
#include "runtime/nvrtc_library.h"
#include "runtime/nvrtc_search.h"
#include "runtime/signal_shield.h"
#include "templates/embedded_templates.h"

namespace rmsjit {
namespace {

// Without --no-cache NVRTC calls cuInit, which breaks a later fork; without
// -modify-stack-limit=false it lifts the process's RLIMIT_STACK. -minimal leaves out declarations
// that the template does not use.
std::vector<std::string> option_list(const Target& target) {
  return {"-arch=" + target.name(),    "--std=c++17", "--fmad=false", "--no-cache",
          "-modify-stack-limit=false", "-minimal"};
}

class InProcessCompiler : public Compiler {
 public:
  explicit InProcessCompiler(const CompilerOptions& options)
      : search_{absolute_path(options.nvrtc), true, own_object_folder()} {}

  Result<CompilerIdentity> identity() override {
    RMSJIT_ASSIGN_OR_RETURN(const auto library, open());
    return library->identity();
  }

  Result<CompiledImage> compile(const CompileRequest& request) override {
    RMSJIT_ASSIGN_OR_RETURN(const auto library, open());
    RMSJIT_RETURN_IF_ERROR(shield_signals(library->handle(), library->identity().path));
    return library->compile(make_job(request));
  }

 private:
  // A failure is not kept: the library may be installed later.
  Result<std::shared_ptr<const NvrtcLibrary>> open() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (library_ == nullptr) {
      RMSJIT_ASSIGN_OR_RETURN(library_, NvrtcLibrary::open(search_));
    }
    return library_;
  }

  const NvrtcSearch search_;
  std::mutex mutex_;
  std::shared_ptr<const NvrtcLibrary> library_;
};

}  // namespace

std::string canonical_options(const Target& target) {
  std::string text;
  for (const std::string& option : option_list(target)) text += (text.empty() ? "" : " ") + option;
  return text;
}

CompileRequest make_compile_request(const KernelId& id) {
  CompileRequest request;
  request.spec_text = spec_text(id.spec);
  request.target_name = id.target.name();
  request.spec_cuh = render_spec(id.spec, id.tuning, id.target);
  request.options = option_list(id.target);
  return request;
}

CompileJob make_job(const CompileRequest& request) {
  CompileJob job{request.spec_text, request.target_name, request.options, {}};
  for (const EmbeddedFile& file : embedded_templates()) {
    job.files.push_back({file.name, std::string(file.text)});
  }
  job.files.push_back({"spec.cuh", request.spec_cuh});
  return job;
}

std::unique_ptr<Compiler> make_inprocess_compiler(const CompilerOptions& options) {
  return std::make_unique<InProcessCompiler>(options);
}

}  // namespace rmsjit
