// SPDX-License-Identifier: Apache-2.0
// rmsjit-host-bench: what a launch costs the host around the driver's call, on a libcuda.so.1 that
// does nothing (stub_driver with RMSJIT_STUB_BARE), on 1 to 16 threads. Times are CPU time of a
// thread, so that fewer cores than threads do not count. `rmsjit-host-bench count WHAT SPEC CALLS`
// makes the calls inside rmsjit_host_bench_calls and nothing else: launch_instructions.py counts
// their instructions, which a busy machine does not change.
#include <benchmark/benchmark.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "rmsjit/spec_c.h"
#include "rmsjit/spec_text.h"
#include "runtime/launch_args.h"
#include "runtime/runtime.h"
#include "tests/runtime/fake_compiler.h"

namespace {

using namespace rmsjit;

struct Shape {
  const char* name;
  const char* spec;
  int64_t heads;
};
constexpr Shape kShapes[] = {{"plain", "hidden=4096,pdl=on", 1},
                             {"add", "hidden=4096,residual=add,pdl=on", 1},
                             {"qk", "hidden=128,layout=heads,pdl=on", 32}};

// Everything that a launch is given, and what a program without the library would pass on.
struct Prepared {
  const LoadedKernel* kernel;
  rmsjit_spec spec;
  rmsjit_args args{};
};

RuntimeCore& runtime() {
  static FakeCompiler::Log log;
  static auto* const instance =
      new RuntimeCore(RuntimeOptions{}, std::make_unique<FakeCompiler>(log));
  return *instance;
}

decltype(&::cuLaunchKernelEx) driver_call() {
  void* library = dlopen("libcuda.so.1", RTLD_NOW);
  if (library == nullptr || dlsym(library, "rmsjit_stub_is_bare") == nullptr) {
    std::fprintf(stderr, "rmsjit-host-bench: libcuda.so.1 is not the bare stub of this build\n");
    std::exit(3);
  }
  return reinterpret_cast<decltype(&::cuLaunchKernelEx)>(dlsym(library, "cuLaunchKernelEx"));
}

Prepared prepare(const Shape& shape) {
  const NormSpec spec = *parse_spec(shape.spec);
  Prepared out{*runtime().prepare(spec, 0), to_c(spec)};
  const auto address = [](int64_t n) { return reinterpret_cast<void*>(n << 40); };
  rmsjit_args& args = out.args;
  args.struct_size = sizeof args;
  args.x = address(1);
  args.weight = address(2);
  args.y = address(3);
  if (spec.has_residual()) args.residual = address(4);
  args.x_head_stride = args.y_head_stride = spec.hidden;
  args.x_token_stride = args.y_token_stride = args.residual_token_stride =
      shape.heads * spec.hidden;
  args.tokens = 32;
  args.heads = shape.heads;
  args.eps = 1e-6f;
  return out;
}

enum class What { kDriver, kKernel, kRuntime };

template <class Repeat>
void call(What what, const Prepared& p, const Repeat& repeat) {
  static const auto launch = driver_call();
  CUlaunchConfig config{};
  void* params[] = {&config};
  if (what == What::kDriver) {
    repeat([&] { return launch(&config, nullptr, params, nullptr) == CUDA_SUCCESS; });
  } else if (what == What::kKernel) {
    const auto* handle = reinterpret_cast<const rmsjit_kernel*>(p.kernel);
    repeat([&] { return rmsjit_kernel_launch(handle, &p.args, nullptr, nullptr) == RMSJIT_OK; });
  } else {
    repeat([&] { return runtime().launch(p.spec, 0, p.args, nullptr).ok(); });
  }
}

void measure(benchmark::State& state, What what, const Prepared& prepared) {
  call(what, prepared, [&](const auto& launch) {
    for (auto _ : state) {
      if (!launch()) state.SkipWithError("the launch failed");
    }
  });
}

}  // namespace

// Its name is what callgrind is told to watch.
extern "C" [[gnu::noinline]] int rmsjit_host_bench_calls(const std::function<bool()>& launch,
                                                         int calls) {
  int failed = 0;
  for (int i = 0; i < calls; ++i) failed += !launch();
  return failed;
}

namespace {

int count(What what, const Prepared& prepared, int calls) {
  int failed = 0;
  call(what, prepared, [&](const auto& launch) {
    failed = launch() ? rmsjit_host_bench_calls(launch, calls) : calls;
  });
  return failed == 0 ? 0 : 1;
}

constexpr std::pair<const char*, What> kWhats[] = {
    {"driver", What::kDriver}, {"kernel", What::kKernel}, {"runtime", What::kRuntime}};

int count_named(const char* what, const char* shape_name, int calls) {
  for (const auto& [name, which] : kWhats) {
    for (const Shape& shape : kShapes) {
      if (std::strcmp(name, what) == 0 && std::strcmp(shape.name, shape_name) == 0) {
        return count(which, prepare(shape), calls);
      }
    }
  }
  std::fprintf(stderr, "rmsjit-host-bench: no such count: %s %s\n", what, shape_name);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 5 && std::strcmp(argv[1], "count") == 0) {
    return count_named(argv[2], argv[3], std::atoi(argv[4]));
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  for (const Shape& shape : kShapes) {
    for (const auto& [name, what] : kWhats) {
      const Prepared prepared = prepare(shape);
      benchmark::RegisterBenchmark(
          (std::string(name) + "/" + shape.name).c_str(),
          [what = what, prepared](benchmark::State& state) { measure(state, what, prepared); })
          ->ThreadRange(1, 16);
    }
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
