// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/launch_cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <random>

#include "rmsjit/rmsjit.h"
#include "runtime/launch_args.h"
#include "runtime/loaded_kernel.h"
#include "tools/bench/kernel_under_test.h"
#include "tools/bench/results_file.h"

namespace rmsjit::bench {
namespace {

constexpr int kBurst = 64;  // far from filling the launch queue
constexpr int kResamples = 2000;
constexpr const char* kNames[] = {"cuLaunchKernelEx", "kernel.launch", "runtime.launch"};
constexpr size_t kKinds = std::size(kNames);

// Nanoseconds a launch, of each burst of each kind.
using Times = std::array<std::vector<double>, kKinds>;

template <class T>
T value_of(Result<T> result) {
  if (!result.ok()) throw CudaError(result.message());
  return std::move(result).value();
}

// One row, the least that a GPU can have to do, so that it never falls behind the host.
class Subject {
 public:
  Subject(const Cuda& cuda, const Stream& stream, Runtime& runtime, const std::string& text)
      : cuda_(cuda),
        stream_(stream),
        runtime_(runtime),
        spec_(value_of(resolve(value_of(parse_spec(text)), Target{cuda.sm()}))),
        c_spec_(to_c(spec_)),
        kernel_(value_of(runtime.prepare(spec_, cuda.device()))),
        tensors_(make_tensor_sets(cuda, spec_, 1, 1)),
        args_(contiguous_args(spec_, tensors_.front(), 1)) {
    const KernelId id = value_of(KernelId::make(spec_, Target{cuda.sm()}));
    const LaunchFacts facts(spec_, id.tuning, id.target,
                            cuda.attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT));
    const Status status = make_launch_block(facts, args_, block_);
    if (!status.ok()) throw CudaError(status.message());
    const Schedule& schedule = schedule_of(id.tuning, block_.entry);
    const auto& loaded = *reinterpret_cast<const LoadedKernel*>(kernel_.handle());
    function_ = loaded.module().function(block_.entry);
    overlap_.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
    overlap_.value.programmaticStreamSerializationAllowed = 1;
    config_ = {block_.grid.x,
               block_.grid.y,
               1,
               static_cast<unsigned>(schedule.threads_per_row),
               block_.grid.rows,
               1,
               static_cast<unsigned>(dynamic_shared_bytes(spec_, schedule)),
               stream.get(),
               &overlap_,
               facts.pdl ? 1u : 0u};
  }

  std::string spec() const { return spec_text(spec_); }

  Times measure(int rounds) {
    Times times;
    std::array<size_t, kKinds> order{0, 1, 2};
    std::mt19937 random(1);
    for (int round = -20; round < rounds; ++round) {
      std::shuffle(order.begin(), order.end(), random);
      for (size_t kind : order) {
        const double ns = burst(kind);
        if (round >= 0) times[kind].push_back(ns);
      }
    }
    return times;
  }

 private:
  double burst(size_t kind) {
    stream_.synchronize();
    int failed = 0;
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kBurst; ++i) failed += !launch(kind);
    const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - begin;
    if (failed != 0) throw CudaError(std::string("a launch failed: ") + kNames[kind]);
    return spent.count() / kBurst;
  }

  bool launch(size_t kind) {
    if (kind == 0) {
      void* params[] = {&block_.params};
      return cuda_.api().cuLaunchKernelEx(&config_, function_, params, nullptr) == CUDA_SUCCESS;
    }
    if (kind == 1) {
      return rmsjit_kernel_launch(kernel_.handle(), &args_, stream_.get(), nullptr) == RMSJIT_OK;
    }
    return rmsjit_launch(runtime_.handle(), &c_spec_, cuda_.device(), &args_, stream_.get(),
                         nullptr) == RMSJIT_OK;
  }

  const Cuda& cuda_;
  const Stream& stream_;
  Runtime& runtime_;
  const NormSpec spec_;
  const rmsjit_spec c_spec_;
  const Kernel kernel_;
  const std::vector<TensorSet> tensors_;
  const rmsjit_args args_;
  LaunchBlock block_;
  CUfunction function_ = nullptr;
  CUlaunchAttribute overlap_{};
  CUlaunchConfig config_{};
};

struct Interval {
  double median, lower, upper;
};

// Bursts of one round are a pair: what disturbs one of them disturbs the other.
Interval paired_difference(const std::vector<double>& ours, const std::vector<double>& raw) {
  std::vector<double> differences, medians;
  for (size_t i = 0; i < ours.size(); ++i) differences.push_back(ours[i] - raw[i]);
  std::mt19937 random(2);
  std::vector<double> drawn(differences.size());
  for (int i = 0; i < kResamples; ++i) {
    for (double& value : drawn) value = differences[random() % differences.size()];
    medians.push_back(median(drawn));
  }
  std::sort(medians.begin(), medians.end());
  constexpr size_t kTail = kResamples / 40;
  return {median(differences), medians[kTail], medians[kResamples - 1 - kTail]};
}

}  // namespace

void launch_cost(const LaunchCostOptions& options) {
  const Cuda cuda;
  const Stream stream(cuda);
  Options runtime_options;
  runtime_options.cache = Options::CacheDir::kNone;
  runtime_options.compile = RMSJIT_COMPILE_INPROCESS;
  runtime_options.nvrtc = options.nvrtc;
  Runtime runtime = value_of(Runtime::create(runtime_options));
  nlohmann::ordered_json host = nlohmann::ordered_json::array();
  for (const std::string& text : options.specs) {
    Subject subject(cuda, stream, runtime, text);
    const Times times = subject.measure(options.rounds);
    for (size_t kind = 1; kind < kKinds; ++kind) {
      const Interval extra = paired_difference(times[kind], times[0]);
      std::puts(
          fmt::format("{:<48} {:<15} {:7.1f} ns, raw {:7.1f} ns, {:+6.1f} ns [{:.1f}, {:.1f}]",
                      subject.spec(), kNames[kind], median(times[kind]), median(times[0]),
                      extra.median, extra.lower, extra.upper)
              .c_str());
      host.push_back({{"what", kNames[kind]},
                      {"spec", subject.spec()},
                      {"rows", 1},
                      {"burst", kBurst},
                      {"bursts", options.rounds},
                      {"ns", median(times[kind])},
                      {"raw_ns", median(times[0])},
                      {"extra_ns", extra.median},
                      {"extra_ns_lower", extra.lower},
                      {"extra_ns_upper", extra.upper}});
    }
    stream.synchronize();
  }
  write_results(options.json_path, cuda, "host", host);
}

}  // namespace rmsjit::bench
