// SPDX-License-Identifier: Apache-2.0
#include "tests/emulate/row_pool.h"

#include <fmt/format.h>

#include <iterator>
#include <limits>
#include <string_view>

namespace rmsjit::emulate {
namespace {

using reference::decode;
using reference::encode;

// Each has found bugs that the others miss: small values show eps, a single value at the end shows
// a dropped tail, an outlier shows a wrong sum order, the largest values overflow the sum.
constexpr const char* kKinds[] = {"normal", "small",   "last_only", "outlier", "zero",
                                  "nan",    "ramp",    "inf",       "max",     "tiny",
                                  "huge",   "cancels", "normal"};
constexpr const char* kLongKinds[] = {"normal", "last_only", "outlier"};
constexpr int64_t kLong = 10000;
// None, a subnormal number, and what models have.
constexpr float kEps[] = {0.0f, 1e-40f, 1e-5f};

std::vector<float> decode_all(DType dtype, const std::vector<uint32_t>& bits) {
  std::vector<float> values;
  for (uint32_t b : bits) values.push_back(decode(dtype, b));
  return values;
}

std::vector<uint32_t> encode_all(DType dtype, const std::vector<float>& values) {
  std::vector<uint32_t> bits;
  for (float v : values) bits.push_back(encode(dtype, v));
  return bits;
}

// The largest finite value of the type.
float largest(DType dtype) {
  if (dtype == DType::kF16) return 65504.0f;
  return dtype == DType::kF32 ? std::numeric_limits<float>::max() : 0x1.fep127f;
}

}  // namespace

float RowPool::normal() {
  float sum = 0;
  for (int i = 0; i < 4; ++i) sum += static_cast<float>(random_() >> 8) * 0x1p-24f - 0.5f;
  return sum * 1.7f;
}

std::vector<float> RowPool::values(const char* kind_text, bool residual) {
  const std::string_view kind = kind_text;
  const auto n = static_cast<size_t>(spec_.hidden);
  std::vector<float> v(n);
  const size_t somewhere = random_() % n;
  for (size_t i = 0; i < n; ++i) {
    const float z = normal();
    v[i] = z;
    if (kind == "small") v[i] = z * 1e-3f;
    if (kind == "last_only") v[i] = i + 1 == n ? 3.0f : 0.0f;
    if (kind == "outlier") v[i] = i == somewhere ? 900.0f : z * 0.1f;
    if (kind == "zero") v[i] = 0;
    if (kind == "ramp") v[i] = static_cast<float>(i % 251) - 60.0f;
    if (kind == "max")
      v[i] = residual ? 0.0f : (i % 2 == 0 ? 1.0f : -1.0f) * largest(spec_.x_dtype());
    if (kind == "tiny") v[i] = z * 1e-21f;
    if (kind == "huge") v[i] = z * (spec_.x_dtype() == DType::kF16 ? 1e4f : 1e15f);
    if (kind == "cancels") v[i] = residual ? -static_cast<float>(i % 7) : static_cast<float>(i % 7);
  }
  if (kind == "nan") v[somewhere] = std::numeric_limits<float>::quiet_NaN();
  if (kind == "inf") v[somewhere] = -std::numeric_limits<float>::infinity();
  return v;
}

RowPool::RowPool(const NormSpec& spec, uint32_t seed)
    : spec_(spec), eps_(kEps[seed % std::size(kEps)]), random_(seed) {
  if (spec.has_weight()) {
    std::vector<float> w(static_cast<size_t>(spec.hidden));
    for (float& v : w) v = (spec.weight_form == WeightForm::kOnePlus ? 0.0f : 1.0f) + normal();
    w[w.size() / 2] = 0;
    weight_ = encode_all(spec.weight_dtype(), w);
    weight_values_ = decode_all(spec.weight_dtype(), weight_);
  }
  const auto add = [&](const char* kind) {
    Row row{kind, encode_all(spec.x_dtype(), values(kind, false)), {}, {}};
    if (spec.has_residual()) {
      row.residual = encode_all(spec.residual_dtype_resolved(), values(kind, true));
    }
    rows_.push_back(std::move(row));
    std::vector<float> x = decode_all(spec.x_dtype(), rows_.back().x);
    std::vector<float> r;
    if (spec.has_residual()) r = decode_all(spec.residual_dtype_resolved(), rows_.back().residual);
    rows_.back().expected = reference::fixed_sum_row(spec, {x, r, weight_values_, eps_});
  };
  if (spec.hidden >= kLong) {
    for (const char* kind : kLongKinds) add(kind);
  } else {
    for (const char* kind : kKinds) add(kind);
  }
}

std::string RowPool::disagreement() const {
  for (const Row& row : rows_) {
    const std::vector<float> x = decode_all(spec_.x_dtype(), row.x);
    std::vector<float> r;
    if (spec_.has_residual()) r = decode_all(spec_.residual_dtype_resolved(), row.residual);
    const reference::Interval interval =
        reference::reference_interval(spec_, {x, r, weight_values_, eps_});
    for (size_t i = 0; i < x.size(); ++i) {
      const float y = decode(spec_.y_dtype(), row.expected.y[i]);
      if (!interval.accepts(i, y)) {
        return fmt::format("row {} element {}: {} is not in {} .. {}", row.kind, i, y,
                           interval.low[i], interval.high[i]);
      }
    }
    if (interval.residual_out != row.expected.residual_out) return "residual_out differs";
  }
  return {};
}

}  // namespace rmsjit::emulate
