// SPDX-License-Identifier: Apache-2.0
// Opening libnvrtc and running it. Everything NVRTC allocates is freed on every path by Program.
#include "runtime/nvrtc_library.h"

#include <dlfcn.h>
#include <nvrtc.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>

#include "runtime/compile_thread.h"
#include "runtime/compiler_errors.h"
#include "runtime/cubin_info.h"

namespace rmsjit {

// clang-format off
#define RMSJIT_NVRTC_FUNCTIONS(X)                                                                 \
  X(nvrtcVersion) X(nvrtcGetNumSupportedArchs) X(nvrtcGetSupportedArchs)                          \
  X(nvrtcGetErrorString) X(nvrtcCreateProgram) X(nvrtcCompileProgram) X(nvrtcDestroyProgram)      \
  X(nvrtcGetProgramLogSize) X(nvrtcGetProgramLog) X(nvrtcGetCUBINSize) X(nvrtcGetCUBIN)           \
  X(nvrtcGetPTXSize) X(nvrtcGetPTX)
// clang-format on

struct NvrtcLibrary::Functions {
#define RMSJIT_DECLARE(name) decltype(&::name) name = nullptr;
  RMSJIT_NVRTC_FUNCTIONS(RMSJIT_DECLARE)
#undef RMSJIT_DECLARE
};

namespace {

std::string folder_of(const std::string& path) {
  return std::filesystem::path(path).parent_path().string();
}

std::string last_loader_error() {
  const char* text = dlerror();
  return text != nullptr ? text : "the loader gives no reason";
}

bool version_accepted(int major, int minor) { return (major == 12 && minor >= 4) || major == 13; }

}  // namespace

NvrtcLibrary::NvrtcLibrary() : functions_(std::make_unique<Functions>()) {}
NvrtcLibrary::~NvrtcLibrary() = default;  // the library itself stays loaded

std::string NvrtcLibrary::load_functions() {
#define RMSJIT_LOAD(name)                                                        \
  functions_->name = reinterpret_cast<decltype(&::name)>(dlsym(handle_, #name)); \
  if (functions_->name == nullptr) return std::string("has no function ") + #name;
  RMSJIT_NVRTC_FUNCTIONS(RMSJIT_LOAD)
#undef RMSJIT_LOAD
  return {};
}

std::string NvrtcLibrary::load(const std::string& place, bool loaded_copy) {
  const bool is_path = place.find('/') != std::string::npos;
  if (is_path && access(place.c_str(), F_OK) != 0) return "no such file";
  handle_ = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL | (loaded_copy ? RTLD_NOLOAD : 0));
  if (handle_ == nullptr) return loaded_copy ? "not loaded in this process" : last_loader_error();
  if (std::string missing = load_functions(); !missing.empty()) return missing;
  functions_->nvrtcVersion(&identity_.major, &identity_.minor);
  if (!version_accepted(identity_.major, identity_.minor)) {
    return nvrtc_version_refused(identity_.major, identity_.minor);
  }
  int count = 0;
  functions_->nvrtcGetNumSupportedArchs(&count);
  identity_.supported_sm.resize(static_cast<size_t>(std::max(0, count)));
  if (count > 0) functions_->nvrtcGetSupportedArchs(identity_.supported_sm.data());
  Dl_info info{};
  const void* symbol = reinterpret_cast<const void*>(functions_->nvrtcVersion);
  identity_.path = place;
  if (dladdr(symbol, &info) != 0 && info.dli_fname != nullptr) identity_.path = info.dli_fname;
  load_builtins();
  return {};
}

// NVRTC opens its builtins by soname, which a copy outside the loader's paths finds only if it was
// built with a run path. Opened beforehand from beside the library, the soname is already there.
// A failure is no error here: the compile that needs it says so.
void NvrtcLibrary::load_builtins() const {
  const std::string name = "/libnvrtc-builtins.so." + std::to_string(identity_.major) + "." +
                           std::to_string(identity_.minor);
  std::error_code error;
  const auto real = std::filesystem::canonical(identity_.path, error);
  for (const std::string& folder : {folder_of(identity_.path), folder_of(real.string())}) {
    if (dlopen((folder + name).c_str(), RTLD_NOW | RTLD_LOCAL) != nullptr) return;
  }
}

Result<std::shared_ptr<const NvrtcLibrary>> NvrtcLibrary::open(const NvrtcSearch& search) {
  std::vector<TriedPlace> tried;
  const auto attempt = [&tried](const std::string& place, bool loaded_copy) {
    std::shared_ptr<NvrtcLibrary> library(new NvrtcLibrary);
    const std::string reason = library->load(place, loaded_copy);
    if (reason.empty()) return library;
    tried.push_back({loaded_copy ? place + " (a loaded copy)" : place, reason});
    return std::shared_ptr<NvrtcLibrary>();
  };
  if (search.loaded_copy && search.chosen.empty()) {
    for (const char* soname : {"libnvrtc.so.13", "libnvrtc.so.12"}) {
      if (auto library = attempt(soname, true)) return {std::move(library)};
    }
  }
  for (const std::string& place : nvrtc_places(search)) {
    if (auto library = attempt(place, false)) return {std::move(library)};
  }
  return no_nvrtc(tried);
}

std::vector<std::string> options_for_version(const std::vector<std::string>& canonical, int major,
                                             int minor) {
  std::vector<std::string> options;
  for (const std::string& option : canonical) {
    // Before 12.9 there was no cache to turn off; everything else is known from 12.4 on.
    if (option == "--no-cache" && (major < 12 || (major == 12 && minor < 9))) continue;
    options.push_back(option);
  }
  return options;
}

class NvrtcLibrary::Program {
 public:
  Program(const Functions& functions, const CompileJob& job) : functions_(functions) {
    std::vector<const char*> texts, names;
    for (size_t i = 1; i < job.files.size(); ++i) {
      texts.push_back(job.files[i].text.c_str());
      names.push_back(job.files[i].name.c_str());
    }
    result_ = functions_.nvrtcCreateProgram(
        &program_, job.files[0].text.c_str(), job.files[0].name.c_str(),
        static_cast<int>(texts.size()), texts.data(), names.data());
  }
  ~Program() {
    if (program_ != nullptr) functions_.nvrtcDestroyProgram(&program_);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  nvrtcResult result() const { return result_; }
  const char* result_text() const { return functions_.nvrtcGetErrorString(result_); }

  void compile(const std::vector<std::string>& options) {
    std::vector<const char*> texts;
    for (const std::string& option : options) texts.push_back(option.c_str());
    if (result_ != NVRTC_SUCCESS) return;
    result_ =
        functions_.nvrtcCompileProgram(program_, static_cast<int>(texts.size()), texts.data());
  }

  std::string log() {
    return text(functions_.nvrtcGetProgramLogSize, functions_.nvrtcGetProgramLog);
  }
  std::string image(bool ptx) {
    if (!ptx) return bytes(functions_.nvrtcGetCUBINSize, functions_.nvrtcGetCUBIN);
    return text(functions_.nvrtcGetPTXSize, functions_.nvrtcGetPTX);
  }

 private:
  std::string bytes(nvrtcResult (*size)(nvrtcProgram, size_t*),
                    nvrtcResult (*get)(nvrtcProgram, char*)) {
    size_t length = 0;
    if (program_ == nullptr || size(program_, &length) != NVRTC_SUCCESS) return {};
    std::string out(length, '\0');
    if (length == 0 || get(program_, out.data()) != NVRTC_SUCCESS) return {};
    return out;
  }
  std::string text(nvrtcResult (*size)(nvrtcProgram, size_t*),
                   nvrtcResult (*get)(nvrtcProgram, char*)) {
    std::string out = bytes(size, get);
    while (!out.empty() && out.back() == '\0') out.pop_back();
    return out;
  }

  const Functions& functions_;
  nvrtcProgram program_ = nullptr;
  nvrtcResult result_ = NVRTC_SUCCESS;
};

Result<CompiledImage> NvrtcLibrary::compile_here(const CompileJob& job, bool ptx,
                                                 std::string* log) const {
  const auto start = std::chrono::steady_clock::now();
  Program program(*functions_, job);
  program.compile(options_for_version(job.options, identity_.major, identity_.minor));
  if (program.result() != NVRTC_SUCCESS) {
    const bool of_the_source = program.result() == NVRTC_ERROR_COMPILATION ||
                               program.result() == NVRTC_ERROR_INVALID_OPTION ||
                               program.result() == NVRTC_ERROR_INVALID_INPUT;
    const auto error = of_the_source ? compile_failed : nvrtc_broken;
    return error(job, identity_, program.result_text(), program.log());
  }
  CompiledImage out;
  if (log != nullptr) *log = program.log();
  out.image = program.image(ptx);
  out.nvrtc_version = std::to_string(identity_.major) + "." + std::to_string(identity_.minor);
  if (!ptx) {
    RMSJIT_ASSIGN_OR_RETURN(const CubinInfo info, read_cubin(out.image));
    out.nvrtc_build = info.toolkit;
    for (const KernelResources& kernel : info.kernels) {
      out.registers = std::max(out.registers, kernel.registers);
      out.stack_bytes = std::max(out.stack_bytes, kernel.stack_bytes);
      out.shared_bytes = std::max(out.shared_bytes, kernel.shared_bytes);
    }
    out.spill_bytes = out.stack_bytes;
  }
  const std::chrono::duration<double, std::milli> elapsed =
      std::chrono::steady_clock::now() - start;
  out.compile_ms = elapsed.count();
  return out;
}

Result<CompiledImage> NvrtcLibrary::compile(const CompileJob& job, std::string* log) const {
  RMSJIT_ASSIGN_OR_RETURN(const Target target, parse_target(job.target_name));
  if (job.files.empty()) return nvrtc_broken(job, identity_, "the job holds no source", "");
  const std::vector<int>& known = identity_.supported_sm;
  if (std::find(known.begin(), known.end(), target.sm) == known.end()) {
    return target_unsupported(job, identity_);
  }
  Result<CompiledImage> result = Status(StatusCode::kInternal, "the compile did not run");
  RMSJIT_RETURN_IF_ERROR(
      run_on_compile_thread([&] { result = compile_here(job, target.ptx, log); }));
  if (result.ok()) RMSJIT_RETURN_IF_ERROR(check_image(target, result->image));
  return result;
}

}  // namespace rmsjit
