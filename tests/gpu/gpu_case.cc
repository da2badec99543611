// SPDX-License-Identifier: Apache-2.0
#include "tests/gpu/gpu_case.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <optional>

#include "rmsjit/spec_text.h"
#include "tests/reference.h"

namespace rmsjit::gpu {
namespace {

constexpr int64_t kGuardBytes = 512;
constexpr uint8_t kPoison = 0xa5;

void write_element(uint8_t* at, DType dtype, uint32_t bits) {
  std::memcpy(at, &bits, static_cast<size_t>(dtype_bytes(dtype)));
}

uint32_t read_element(const uint8_t* at, DType dtype) {
  uint32_t bits = 0;
  std::memcpy(&bits, at, static_cast<size_t>(dtype_bytes(dtype)));
  return bits;
}

// A tensor in device memory with its image before the launch.
class DeviceTensor {
 public:
  DeviceTensor(const bench::Cuda& cuda, DType dtype, int64_t tokens, int64_t heads, int64_t hidden,
               const TensorMemory& memory)
      : dtype_(dtype), heads_(heads), hidden_(hidden), offset_(kGuardBytes + memory.offset_bytes) {
    head_stride = hidden + memory.head_pad;
    token_stride = heads * head_stride + memory.token_pad;
    const int64_t bytes = offset_ + tokens * token_stride * dtype_bytes(dtype) + kGuardBytes;
    image_.assign(static_cast<size_t>(bytes), kPoison);
    buffer_ = bench::Buffer(cuda, image_.size());
  }

  size_t at(int64_t row, int64_t i) const {
    const int64_t element = row / heads_ * token_stride + row % heads_ * head_stride + i;
    return static_cast<size_t>(offset_ + element * dtype_bytes(dtype_));
  }
  void set_row(int64_t row, const std::vector<uint32_t>& bits) {
    for (int64_t i = 0; i < hidden_; ++i)
      write_element(&image_[at(row, i)], dtype_, bits[static_cast<size_t>(i)]);
  }
  void upload() { buffer_.upload(image_.data(), image_.size()); }
  void download() {
    after_.resize(image_.size());
    buffer_.download(after_.data(), after_.size());
  }
  std::vector<uint32_t> row_after(int64_t row) const {
    std::vector<uint32_t> out(static_cast<size_t>(hidden_));
    for (int64_t i = 0; i < hidden_; ++i)
      out[static_cast<size_t>(i)] = read_element(&after_[at(row, i)], dtype_);
    return out;
  }
  // The first byte that differs from before, outside the logical rows of an output or anywhere in
  // an input; empty when none.
  std::string changed_bytes(int64_t rows, bool output) const {
    std::vector<uint8_t> expected = image_;
    const auto row_bytes = static_cast<size_t>(hidden_ * dtype_bytes(dtype_));
    for (int64_t r = 0; output && r < rows; ++r) {
      std::memcpy(&expected[at(r, 0)], &after_[at(r, 0)], row_bytes);
    }
    for (size_t i = 0; i < expected.size(); ++i) {
      if (expected[i] != after_[i])
        return fmt::format("byte {} past the first row changed", static_cast<int64_t>(i) - offset_);
    }
    return "";
  }
  char* pointer() const { return buffer_.data() + offset_; }

  int64_t token_stride = 0, head_stride = 0;

 private:
  DType dtype_;
  int64_t heads_, hidden_, offset_;
  std::vector<uint8_t> image_, after_;
  bench::Buffer buffer_;
};

std::vector<float> decode_all(DType dtype, const std::vector<uint32_t>& bits) {
  std::vector<float> out(bits.size());
  for (size_t i = 0; i < bits.size(); ++i) out[i] = reference::decode(dtype, bits[i]);
  return out;
}

std::string wrong_bits(const char* tensor, int64_t row, DType dtype,
                       const std::vector<uint32_t>& got, const std::vector<uint32_t>& want) {
  for (size_t i = 0; i < want.size(); ++i) {
    if (!reference::same_bits(dtype, got[i], want[i])) {
      return fmt::format("{}[{}, {}] is {:#x}, expected {:#x}", tensor, row, i, got[i], want[i]);
    }
  }
  return "";
}

using Pool = emulate::RowPool;

// What the double reference allows, once for each row of the pool: a batch repeats them.
using Allowed = std::map<const Pool::Row*, reference::Interval>;

const reference::Interval& allowed_in(const NormSpec& spec, const Pool& pool, const Pool::Row& row,
                                      Allowed& known) {
  const auto [at, is_new] = known.try_emplace(&row);
  if (is_new) {
    const std::vector<float> x = decode_all(spec.x_dtype(), row.x);
    const std::vector<float> r = decode_all(spec.residual_dtype_resolved(), row.residual);
    std::vector<float> w;
    if (spec.has_weight()) w = decode_all(spec.weight_dtype(), pool.weight());
    at->second = reference::reference_interval(spec, {x, r, w, pool.eps()});
  }
  return at->second;
}

std::string wrong_values(const reference::Interval& allowed, const char* kind, int64_t row,
                         DType dtype, const std::vector<uint32_t>& got) {
  for (size_t i = 0; i < got.size(); ++i) {
    const float y = reference::decode(dtype, got[i]);
    if (!allowed.accepts(i, y)) {
      return fmt::format("y[{}, {}] is {}, allowed {} .. {} ({} row)", row, i, y, allowed.low[i],
                         allowed.high[i], kind);
    }
  }
  return "";
}

}  // namespace

GpuOutcome run_gpu_case(const bench::Cuda& cuda, const bench::Stream& stream, const NormSpec& spec,
                        const emulate::RowPool& pool, const GpuCase& c, const Launcher& launch) {
  const int64_t rows = c.tokens * c.heads;
  const bool y_in_place = spec.y_placement == YPlacement::kInPlace;
  const bool residual_in_place = spec.residual_placement == ResidualPlacement::kInPlace;
  const DType r_dtype = spec.residual_dtype_resolved();
  const auto make = [&](DType dtype, const TensorMemory& memory) {
    return std::make_optional<DeviceTensor>(cuda, dtype, c.tokens, c.heads, spec.hidden, memory);
  };
  std::optional<DeviceTensor> x = make(spec.x_dtype(), c.x), residual, residual_out, y, weight;
  if (spec.has_residual()) residual = make(r_dtype, c.residual);
  if (spec.has_residual() && !residual_in_place) residual_out = make(r_dtype, c.residual_out);
  if (!y_in_place) y = make(spec.y_dtype(), c.y);
  if (spec.has_weight()) {
    weight.emplace(cuda, spec.weight_dtype(), 1, 1, spec.hidden,
                   TensorMemory{c.weight_offset_bytes, 0, 0});
    weight->set_row(0, pool.weight());
  }
  for (int64_t r = 0; r < rows; ++r) {
    const auto& row = pool.row(c.first_row + static_cast<int>(r) * c.row_step);
    x->set_row(r, row.x);
    if (residual) residual->set_row(r, row.residual);
  }
  for (auto* tensor : {&x, &residual, &residual_out, &y, &weight}) {
    if (*tensor) (*tensor)->upload();
  }
  DeviceTensor& y_tensor = y_in_place ? *x : *y;
  rmsjit_args args{};
  args.struct_size = sizeof args;
  args.x = x->pointer();
  args.y = y_tensor.pointer();
  args.tokens = c.tokens;
  args.heads = c.heads;
  args.x_token_stride = x->token_stride;
  args.x_head_stride = x->head_stride;
  args.y_token_stride = y_tensor.token_stride;
  args.y_head_stride = y_tensor.head_stride;
  args.eps = pool.eps();
  if (weight) args.weight = weight->pointer();
  DeviceTensor* out = residual_out ? &*residual_out : residual ? &*residual : nullptr;
  if (residual) {
    args.residual = residual->pointer();
    args.residual_token_stride = residual->token_stride;
    args.residual_head_stride = residual->head_stride;
    args.residual_out = out->pointer();
    args.residual_out_token_stride = out->token_stride;
    args.residual_out_head_stride = out->head_stride;
  }
  GpuOutcome outcome;
  outcome.problem = launch(args, stream.get());
  stream.synchronize();
  if (!outcome.problem.empty()) return outcome;
  for (auto* tensor : {&x, &residual, &residual_out, &y, &weight}) {
    if (!*tensor) continue;
    DeviceTensor& t = **tensor;
    t.download();
    const std::string changed = t.changed_bytes(rows, &t == &y_tensor || &t == out);
    if (!changed.empty()) outcome.problem = fmt::format("{} ({})", changed, spec_text(spec));
  }
  Allowed known;
  for (int64_t r = 0; r < rows && outcome.problem.empty(); ++r) {
    const auto& row = pool.row(c.first_row + static_cast<int>(r) * c.row_step);
    outcome.y.push_back(y_tensor.row_after(r));
    if (!c.compare) continue;
    if (residual) {
      outcome.problem =
          wrong_bits("residual_out", r, r_dtype, out->row_after(r), row.expected.residual_out);
    }
    if (outcome.problem.empty()) {
      outcome.problem = spec.root == Root::kExact
                            ? wrong_bits("y", r, spec.y_dtype(), outcome.y.back(), row.expected.y)
                            : wrong_values(allowed_in(spec, pool, row, known), row.kind, r,
                                           spec.y_dtype(), outcome.y.back());
    }
    if (!outcome.problem.empty()) outcome.problem += " in " + spec_text(spec);
  }
  return outcome;
}

rmsjit_spec to_c(const NormSpec& spec) {
  rmsjit_spec out{};
  out.struct_size = sizeof out;
  rmsjit_error error{};
  const rmsjit_status status = rmsjit_spec_parse(spec_text(spec).c_str(), &out, &error);
  EXPECT_EQ(status, RMSJIT_OK) << error.message;
  return out;
}

TestRuntime::TestRuntime() {
  rmsjit_options options{};
  options.struct_size = sizeof options;
  options.cache_dir = "";
  options.compile = RMSJIT_COMPILE_INPROCESS;
  rmsjit_error error{};
  EXPECT_EQ(rmsjit_runtime_create(&options, &runtime_, &error), RMSJIT_OK) << error.message;
}

const rmsjit_kernel* TestRuntime::prepare(const NormSpec& spec, int device) {
  const rmsjit_spec c_spec = to_c(spec);
  const rmsjit_kernel* kernel = nullptr;
  rmsjit_error error{};
  EXPECT_EQ(rmsjit_prepare(runtime_, &c_spec, device, &kernel, &error), RMSJIT_OK) << error.message;
  return kernel;
}

Launcher launcher_of(const rmsjit_kernel* kernel) {
  return [kernel](const rmsjit_args& args, CUstream stream) -> std::string {
    rmsjit_error error{};
    return rmsjit_kernel_launch(kernel, &args, stream, &error) == RMSJIT_OK ? "" : error.message;
  };
}

}  // namespace rmsjit::gpu
