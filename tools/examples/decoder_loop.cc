// SPDX-License-Identifier: Apache-2.0
// rmsjit-decoder-loop: how a serving engine uses rmsjit. It owns every buffer, prepares its keys at
// start, seals the runtime, runs a decoder's norms eagerly, captures them into a graph and replays
// it. A copy stands for attention and MLP. The device session is the benchmark's; an engine has its
// own.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "rmsjit/rmsjit.h"
#include "tools/bench/cuda_session.h"

namespace {

using rmsjit::bench::Buffer;
using rmsjit::bench::Cuda;
using Clock = std::chrono::steady_clock;

constexpr int64_t kLayers = 32, kHidden = 4096, kTokens = 16;
constexpr size_t kRowBytes = kHidden * 2, kStateBytes = kTokens * kRowBytes;
constexpr int kSteps = 100;
// The keys of Llama 3.1 8B, as `rmsnorm-aot keys --model` prints them.
constexpr const char* kPlain = "hidden=4096,x=bf16,pdl=auto";
constexpr const char* kFused = "hidden=4096,x=bf16,residual=add,pdl=auto";

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

// Ends the program's work with the library's own sentence.
template <class T>
T need(rmsjit::Result<T> result) {
  if (!result.ok()) throw rmsjit::bench::CudaError(result.message());
  return std::move(result).value();
}
void need(const rmsjit::Status& status) {
  if (!status.ok()) throw rmsjit::bench::CudaError(status.message());
}

uint16_t to_bf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return static_cast<uint16_t>(bits >> 16);
}
float from_bf16(uint16_t half) {
  const uint32_t bits = uint32_t{half} << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

class Engine {
 public:
  explicit Engine(const Cuda& cuda)
      : cuda_(cuda),
        runtime_(need(rmsjit::Runtime::create())),
        embedding_(cuda, kStateBytes),
        residual_(cuda, kStateBytes),
        branch_(cuda, kStateBytes),
        normed_(cuda, kStateBytes),
        weights_(cuda, (2 * kLayers + 1) * kRowBytes) {
    std::vector<uint16_t> state(kTokens * kHidden), ones((2 * kLayers + 1) * kHidden, to_bf16(1));
    uint32_t random = 1;
    for (uint16_t& element : state) {
      random = random * 1664525 + 1013904223;
      element = to_bf16(static_cast<float>(random >> 8) / (1 << 23) - 1);
    }
    embedding_.upload(state.data(), kStateBytes);
    weights_.upload(ones.data(), ones.size() * 2);
  }

  // Everything slow: afterwards a key that was forgotten here is an error, never a compile.
  void start() {
    plain_ = need(runtime_.prepare(kPlain, cuda_.device()));
    fused_ = need(runtime_.prepare(kFused, cuda_.device()));
    runtime_.seal();
  }

  // One pass over the decoder, on any stream, capturing or not. Allocates nothing.
  void step(CUstream stream) {
    copy(residual_, embedding_, stream);
    for (int64_t norm = 0; norm <= 2 * kLayers; ++norm) {
      need(norm == 0 ? plain_.launch(first_norm(), stream)
                     : fused_.launch(later_norm(norm), stream));
      copy(branch_, normed_, stream);
    }
  }

  std::vector<uint16_t> output() const {
    std::vector<uint16_t> rows(kTokens * kHidden);
    normed_.download(rows.data(), kStateBytes);
    return rows;
  }
  rmsjit::Stats stats() const { return runtime_.stats(); }
  // What a key says that start() forgot.
  rmsjit::Status forgotten(CUstream stream) {
    rmsjit::RmsNormArgs args = first_norm();
    return runtime_.launch(need(rmsjit::parse_spec("hidden=4096,x=bf16,y=f32")), cuda_.device(),
                           args, stream);
  }

 private:
  rmsjit::RmsNormArgs first_norm() const {
    rmsjit::RmsNormArgs args;
    args.x = residual_.data();
    args.y = normed_.data();
    args.weight = weights_.data();
    args.tokens = kTokens;
    args.x_token_stride = args.y_token_stride = kHidden;
    args.eps = 1e-5f;
    return args;
  }
  // residual += branch, and its norm.
  rmsjit::RmsNormArgs later_norm(int64_t norm) const {
    rmsjit::RmsNormArgs args = first_norm();
    args.x = branch_.data();
    args.residual = args.residual_out = residual_.data();
    args.residual_token_stride = args.residual_out_token_stride = kHidden;
    args.weight = weights_.data() + norm * static_cast<int64_t>(kRowBytes);
    return args;
  }
  void copy(const Buffer& to, const Buffer& from, CUstream stream) const {
    cuda_.check(cuda_.api().cuMemcpyDtoDAsync(reinterpret_cast<CUdeviceptr>(to.data()),
                                              reinterpret_cast<CUdeviceptr>(from.data()),
                                              kStateBytes, stream),
                "cuMemcpyDtoDAsync");
  }

  const Cuda& cuda_;
  rmsjit::Runtime runtime_;
  Buffer embedding_, residual_, branch_, normed_, weights_;
  rmsjit::Kernel plain_, fused_;
};

size_t free_bytes(const Cuda& cuda) {
  size_t free = 0, total = 0;
  cuda.check(cuda.api().cuMemGetInfo(&free, &total), "cuMemGetInfo");
  return free;
}

double rms(const std::vector<uint16_t>& rows) {
  double sum = 0;
  for (const uint16_t element : rows) sum += std::pow(from_bf16(element), 2);
  return std::sqrt(sum / static_cast<double>(rows.size()));
}

// Runs the loop both ways and prints what it saw; whether all of it was as promised. The graph goes
// before the engine, whose kernels it uses.
bool decode(const Cuda& cuda, const rmsjit::bench::Stream& stream, Engine& engine) {
  const rmsjit::Stats started = engine.stats();
  const rmsjit::bench::Graph graph(cuda, stream, [&](CUstream s) { engine.step(s); });
  // Its first launch takes memory of the driver's own, and so may the first behind another.
  graph.launch();
  graph.launch();
  engine.step(stream.get());
  stream.synchronize();
  const std::vector<uint16_t> eager = engine.output();
  const size_t free_before = free_bytes(cuda);
  const Clock::time_point begin = Clock::now();
  for (int i = 0; i < kSteps; ++i) engine.step(stream.get());
  stream.synchronize();
  const double eager_us = ms_since(begin) * 1000 / kSteps;
  std::vector<double> graph_us;
  for (int i = 0; i < kSteps; ++i) graph_us.push_back(graph.time_us());
  const bool equal = engine.output() == eager;
  const auto taken = static_cast<long long>(free_before) - static_cast<long long>(free_bytes(cuda));
  const auto compiles = static_cast<int>(engine.stats().compiles - started.compiles);
  std::printf(
      "%d norms a step: %.1f us eager, %.1f us as a graph; replays %s the eager bits, "
      "rms %.4f; since start %lld bytes of device memory taken, %d compiles\n",
      int(2 * kLayers + 1), eager_us, rmsjit::bench::median(graph_us),
      equal ? "equal" : "DIFFER FROM", rms(eager), taken, compiles);
  const rmsjit::Status forgotten = engine.forgotten(stream.get());
  std::printf("a key that start() forgot: %s\n", forgotten.message().c_str());
  return equal && std::abs(rms(eager) - 1) < 0.01 && taken == 0 && compiles == 0 &&
         forgotten.code() == rmsjit::StatusCode::kNotPrepared;
}

int run() {
  const std::string why = Cuda::why_unavailable();
  if (!why.empty()) {
    std::printf("no GPU on this machine (%s): nothing launched\n", why.c_str());
    return 0;
  }
  const Cuda cuda;
  const rmsjit::bench::Stream stream(cuda);
  Engine engine(cuda);
  const Clock::time_point begin = Clock::now();
  engine.start();
  const rmsjit::Stats stats = engine.stats();
  std::printf(
      "%s, %d layers of %d, %d tokens: 2 kernels ready in %.1f ms (%d from bundles, %d from "
      "the disk, %d compiled)\n",
      cuda.name().c_str(), int(kLayers), int(kHidden), int(kTokens), ms_since(begin),
      int(stats.bundle_hits), int(stats.disk_hits), int(stats.compiles));
  const bool right = decode(cuda, stream, engine);
  std::puts(right ? "ok" : "WRONG");
  return right ? 0 : 1;
}

}  // namespace

int main() {
  try {
    return run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rmsjit-decoder-loop: %s\n", error.what());
    return 1;
  }
}
