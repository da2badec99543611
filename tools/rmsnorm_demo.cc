// SPDX-License-Identifier: Apache-2.0
// rmsjit-demo: the launch half of tools/demo.sh. Takes a bundle and model configs, prepares every
// RMSNorm of the models from the bundle (compiling is off), launches each on random tokens and
// prints its error against a double-precision reference, microseconds and GB/s.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "rmsjit/rmsjit_c.h"
#include "rmsjit/spec_text.h"
#include "tools/bench/kernel_under_test.h"

namespace {

using rmsjit::DType;
using rmsjit::NormSpec;
using rmsjit::bench::Buffer;

constexpr int64_t kTokens = 4096;
constexpr int64_t kCheckedRows = 64;
constexpr float kEps = 1e-6f;

[[noreturn]] void fail(const std::string& message) { throw rmsjit::bench::CudaError(message); }

double value_of(DType dtype, const char* at) {
  uint32_t bits = 0;
  std::memcpy(&bits, at, static_cast<size_t>(rmsjit::dtype_bytes(dtype)));
  if (dtype == DType::kF16) {
    const int exponent = static_cast<int>(bits >> 10 & 31u);
    const double fraction = (bits & 1023u) / 1024.0;
    const double size =
        exponent == 0 ? std::ldexp(fraction, -14) : std::ldexp(1 + fraction, exponent - 15);
    return (bits & 0x8000u) != 0 ? -size : size;
  }
  if (dtype == DType::kBf16) bits <<= 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

std::vector<double> values_of(const Buffer& buffer, DType dtype, int64_t count) {
  const auto bytes = static_cast<size_t>(rmsjit::dtype_bytes(dtype));
  std::vector<char> raw(static_cast<size_t>(count) * bytes);
  buffer.download(raw.data(), raw.size());
  std::vector<double> out(static_cast<size_t>(count));
  for (size_t i = 0; i < out.size(); ++i) out[i] = value_of(dtype, &raw[i * bytes]);
  return out;
}

// ||y - reference|| / ||reference|| over the first rows; h is what the kernel stored, so that the
// figure is the norm's own error.
double relative_error(const NormSpec& spec, const std::vector<double>& h,
                      const std::vector<double>& weight, const std::vector<double>& y) {
  const auto hidden = static_cast<size_t>(spec.hidden);
  double difference = 0, size = 0;
  for (size_t row = 0; row < h.size() / hidden; ++row) {
    double sum = 0;
    for (size_t i = 0; i < hidden; ++i) sum += h[row * hidden + i] * h[row * hidden + i];
    const double rstd = 1 / std::sqrt(sum / static_cast<double>(hidden) + double{kEps});
    for (size_t i = 0; i < hidden; ++i) {
      double w = weight.empty() ? 1 : weight[i];
      if (spec.weight_form == rmsjit::WeightForm::kOnePlus) w += 1;
      const double want = h[row * hidden + i] * rstd * w;
      difference += (y[row * hidden + i] - want) * (y[row * hidden + i] - want);
      size += want * want;
    }
  }
  return std::sqrt(difference / size);
}

struct Prepared {
  const rmsjit_kernel* kernel = nullptr;
  double us = 0;  // from the bundle to a resident kernel
};

Prepared prepare(rmsjit_runtime* runtime, int device, const std::string& text) {
  rmsjit_error error{};
  rmsjit_spec spec{};
  spec.struct_size = sizeof spec;
  Prepared out;
  if (rmsjit_spec_parse(text.c_str(), &spec, &error) != RMSJIT_OK) fail(error.message);
  const auto begin = std::chrono::steady_clock::now();
  if (rmsjit_prepare(runtime, &spec, device, &out.kernel, &error) != RMSJIT_OK) fail(error.message);
  out.us =
      std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
  return out;
}

// One line of the table. Returns whether the result is right.
bool run_key(const rmsjit::bench::Cuda& cuda, const rmsjit::bench::Stream& stream,
             const Prepared& prepared, const std::string& text) {
  rmsjit_error error{};
  const rmsjit_kernel* kernel = prepared.kernel;
  const NormSpec spec = *rmsjit::parse_spec(text);
  const auto sets = rmsjit::bench::make_tensor_sets(cuda, spec, kTokens, 5);
  const auto launch = [&](CUstream s, size_t set) {
    const rmsjit_args args = rmsjit::bench::contiguous_args(spec, sets[set], kTokens);
    if (rmsjit_kernel_launch(kernel, &args, s, &error) != RMSJIT_OK) fail(error.message);
  };
  // The fifth set is checked: its h is read back before (plain) or as stored (residual).
  const int64_t checked = kCheckedRows * spec.hidden;
  std::vector<double> h = values_of(sets[4].x, spec.x_dtype(), checked);
  launch(stream.get(), 4);
  stream.synchronize();
  const bool y_in_place = spec.y_placement == rmsjit::YPlacement::kInPlace;
  const std::vector<double> y =
      values_of(y_in_place ? sets[4].x : sets[4].y, spec.y_dtype(), checked);
  int64_t row_bytes =
      spec.hidden * (rmsjit::dtype_bytes(spec.x_dtype()) + rmsjit::dtype_bytes(spec.y_dtype()));
  if (spec.has_residual()) {
    const bool in_place = spec.residual_placement == rmsjit::ResidualPlacement::kInPlace;
    h = values_of(in_place ? sets[4].residual : sets[4].residual_out,
                  spec.residual_dtype_resolved(), checked);
    row_bytes += 2 * spec.hidden * rmsjit::dtype_bytes(spec.residual_dtype_resolved());
  }
  std::vector<double> weight;
  if (spec.has_weight()) weight = values_of(sets[4].weight, spec.weight_dtype(), spec.hidden);
  const double wrong = relative_error(spec, h, weight, y);
  const rmsjit::bench::Graph graph(cuda, stream, [&](CUstream s) {
    for (size_t i = 0; i < 16; ++i) launch(s, i % 4);
  });
  graph.launch();
  std::vector<double> times;
  for (int i = 0; i < 15; ++i) times.push_back(graph.time_us() / 16);
  const double us = rmsjit::bench::median(times);
  // Two roundings of a 16-bit type at most, and h itself may be rounded once more than the
  // reference.
  const bool right =
      wrong < (spec.y_dtype() == DType::kF32 && spec.x_dtype() == DType::kF32 ? 1e-6 : 1e-2);
  std::puts(fmt::format("{:<70} {:>10.0f} {:>9.2e} {:>9.2f} {:>7.0f}  {}", rmsjit::spec_text(spec),
                        prepared.us, wrong, us,
                        static_cast<double>(row_bytes * kTokens) / us * 1e-3,
                        right ? "ok" : "WRONG")
                .c_str());
  return right;
}

std::set<std::string> spec_texts(const std::vector<std::string>& models) {
  std::set<std::string> out;
  for (const std::string& path : models) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    char* json = nullptr;
    rmsjit_error error{};
    if (rmsjit_keys_for_model(text.str().c_str(), nullptr, 1, &json, &error) != RMSJIT_OK) {
      fail(path + ": " + error.message);
    }
    const nlohmann::json keys = nlohmann::json::parse(json)["keys"];
    for (const auto& key : keys) out.insert(key["spec_text"]);
    rmsjit_free(json);
  }
  return out;
}

int run(const std::string& bundle, const std::vector<std::string>& models) {
  const std::string why = rmsjit::bench::Cuda::why_unavailable();
  if (!why.empty()) {
    std::puts(("no GPU on this machine (" + why + "): nothing launched").c_str());
    return 0;
  }
  const rmsjit::bench::Cuda cuda;
  const rmsjit::bench::Stream stream(cuda);
  rmsjit_options options{};
  options.struct_size = sizeof options;
  options.cache_dir = "";
  options.bundle_path = bundle.c_str();
  options.jit = RMSJIT_JIT_OFF;
  rmsjit_runtime* runtime = nullptr;
  rmsjit_error error{};
  if (rmsjit_runtime_create(&options, &runtime, &error) != RMSJIT_OK) fail(error.message);
  std::puts(fmt::format("{}, {} tokens\n{:<70} {:>10} {:>9} {:>9} {:>7}", cuda.name(), kTokens,
                        "spec", "prepare us", "error", "us", "GB/s")
                .c_str());
  const std::set<std::string> texts = spec_texts(models);
  std::vector<Prepared> prepared;
  for (const std::string& text : texts) prepared.push_back(prepare(runtime, cuda.device(), text));
  bool right = true;
  size_t index = 0;
  std::vector<double> prepare_us;
  for (const std::string& text : texts) {
    prepare_us.push_back(prepared[index].us);
    right = run_key(cuda, stream, prepared[index++], text) && right;
  }
  double total_us = 0;
  for (double us : prepare_us) total_us += us;
  std::puts(fmt::format("prepare from the bundle: median {:.0f} us a key, {:.1f} ms for all {}",
                        rmsjit::bench::median(prepare_us), total_us * 1e-3, prepare_us.size())
                .c_str());
  rmsjit_runtime_close(runtime);
  return right ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"rmsjit-demo: launches the kernels of a bundle on this machine's GPU"};
  std::string bundle;
  std::vector<std::string> models;
  app.add_option("--bundle", bundle, "directory made by rmsnorm-aot build")->required();
  app.add_option("--model", models, "config.json; repeat")->required();
  CLI11_PARSE(app, argc, argv);
  try {
    return run(bundle, models);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rmsjit-demo: %s\n", error.what());
    return 1;
  }
}
