// SPDX-License-Identifier: Apache-2.0
// One process of `rmsnorm-bench cold`. The raw routes are written as a program without the library
// would: the same source and options, and nothing that can be left out.
#include <dlfcn.h>
#include <fmt/format.h>
#include <nvrtc.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "rmsjit/rmsjit.h"
#include "runtime/compile_job.h"
#include "tools/bench/cold_start.h"
#include "tools/bench/kernel_under_test.h"
#include "tools/bench/self_process.h"

namespace rmsjit::bench {
namespace {

template <class T>
T value_of(Result<T> result) {
  if (!result.ok()) throw CudaError(result.message());
  return std::move(result).value();
}

KernelId id_of(const std::string& spec, int sm) {
  return value_of(KernelId::make(value_of(parse_spec(spec)), Target{sm}));
}

// dlopen and NVRTC.
std::string compile_raw(const std::string& path, const KernelId& id) {
  const CompileJob job = make_job(make_compile_request(id));
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw CudaError(dlerror());
  const auto call = [&](const char* name, auto function, auto... arguments) {
    function = reinterpret_cast<decltype(function)>(dlsym(library, name));
    if (function == nullptr || function(arguments...) != NVRTC_SUCCESS) {
      throw CudaError(std::string(name) + " failed");
    }
  };
#define RMSJIT_BENCH_NVRTC(name, ...) \
  call(#name, static_cast<decltype(&::name)>(nullptr), __VA_ARGS__)
  std::vector<const char*> names, texts, flags;
  for (size_t i = 1; i < job.files.size(); ++i) {
    names.push_back(job.files[i].name.c_str());
    texts.push_back(job.files[i].text.c_str());
  }
  int major = 0, minor = 0;
  RMSJIT_BENCH_NVRTC(nvrtcVersion, &major, &minor);
  const std::vector<std::string> options = options_for_version(job.options, major, minor);
  for (const std::string& option : options) flags.push_back(option.c_str());
  nvrtcProgram program = nullptr;
  RMSJIT_BENCH_NVRTC(nvrtcCreateProgram, &program, job.files[0].text.c_str(),
                     job.files[0].name.c_str(), static_cast<int>(names.size()), texts.data(),
                     names.data());
  RMSJIT_BENCH_NVRTC(nvrtcCompileProgram, program, static_cast<int>(flags.size()), flags.data());
  size_t bytes = 0;
  RMSJIT_BENCH_NVRTC(nvrtcGetCUBINSize, program, &bytes);
  std::string image(bytes, '\0');
  RMSJIT_BENCH_NVRTC(nvrtcGetCUBIN, program, image.data());
#undef RMSJIT_BENCH_NVRTC
  return image;
}

// One launch of 16 rows by each way, ready to go: what is timed ends with the stream's work.
struct Scene {
  explicit Scene(const KernelId& kernel_id, const Cuda& on)
      : cuda(on), id(kernel_id), tensors(make_tensor_sets(on, kernel_id.spec, kRows, 1)) {}

  // Milliseconds since `begin`; what closing takes is not a part of them.
  double launch_raw(const std::string& image) const {
    const KernelUnderTest kernel(cuda, id, image);
    kernel.launch(stream.get(), tensors.front(), kRows);
    stream.synchronize();
    return elapsed();
  }

  double launch_rmsjit(const Options& options) const {
    Runtime runtime = value_of(Runtime::create(options));
    const Kernel kernel = value_of(runtime.prepare(id.spec, cuda.device()));
    RmsNormArgs args;
    static_cast<rmsjit_args&>(args) = contiguous_args(id.spec, tensors.front(), kRows);
    const Status status = kernel.launch(args, stream.get());
    if (!status.ok()) throw CudaError(status.message());
    stream.synchronize();
    return elapsed();
  }

  double elapsed() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
        .count();
  }

  static constexpr int64_t kRows = 16;
  const Cuda& cuda;
  const KernelId id;
  const Stream stream{cuda};
  const std::vector<TensorSet> tensors;
  std::chrono::steady_clock::time_point begin;
};

Options options_of(const std::string& route, const std::string& folder,
                   const ColdStartOptions& given) {
  Options options;
  options.nvrtc = given.nvrtc;
  options.worker = given.worker;
  options.cache = Options::CacheDir::kGiven;
  options.cache_dir = folder + "/cache";
  options.compile = RMSJIT_COMPILE_WORKER;
  if (route == "inprocess") {
    options.compile = RMSJIT_COMPILE_INPROCESS;
    options.cache_dir = folder + "/cache-inprocess";
  }
  if (route == "disk" || route == "bundle") options.jit = RMSJIT_JIT_OFF;
  if (route == "bundle") {
    options.cache = Options::CacheDir::kNone;
    options.bundle_path = folder + "/cache";
  }
  return options;
}

}  // namespace

void cold_start_child(const std::string& route, const std::string& folder,
                      const ColdStartOptions& options) {
  // The parent of a raw compile names the target: the child of a worker has no device either.
  if (route.rfind("compile-sm_", 0) == 0) {
    const std::string image =
        compile_raw(options.nvrtc, id_of(options.spec, std::stoi(route.substr(11))));
    std::fwrite(image.data(), 1, image.size(), stdout);
    return;
  }
  const Cuda cuda;
  Scene scene(id_of(options.spec, cuda.sm()), cuda);
  cuda.synchronize();
  scene.begin = std::chrono::steady_clock::now();
  double ms = 0;
  if (route == "raw-inprocess") {
    ms = scene.launch_raw(compile_raw(options.nvrtc, scene.id));
  } else if (route == "raw-worker") {
    ms = scene.launch_raw(run_self({"cold", "--child", fmt::format("compile-sm_{}", cuda.sm()),
                                    "--spec", options.spec, "--nvrtc", options.nvrtc}));
  } else {
    ms = scene.launch_rmsjit(options_of(route, folder, options));
  }
  std::puts(fmt::format("{:.4f}", ms).c_str());
}

}  // namespace rmsjit::bench
