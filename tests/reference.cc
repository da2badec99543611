// SPDX-License-Identifier: Apache-2.0
// The bound. u = 2^-24, h the fp32 row that the statistics take (its own rounding is part of the
// spec and is repeated here exactly), n its length, S the exact sum of squares.
//  - On its way into the fp32 sum a square passes at most k = 4 + 1 + ceil(log2(ceil(n/8)))
//    roundings: its leaf's chain of four, the join of two chains, the halving tree. All terms are
//    >= 0, so |s - S| <= S((1 + u)^k - 1) <= S * k*u / (1 - k*u), plus 2^-150 for each square that
//    falls below the normal range. S itself is summed in long double: its error is absorbed by
//    taking k one larger.
//  - m = fma(s, inv, eps) with the fp32 number inv = RN(1/n): one rounding of a monotone function.
//  - 1/sqrt(m): exact is one rounding; fast is within 2^-22.9 (PTX ISA, rsqrt.approx.f32), taken as
//    2^-22.
// That is an interval of fp32 values of rstd. Every later step (times h, round, times w', round) is
// monotone in rstd, so the results at its two ends enclose exactly the results that are allowed.
#include "tests/reference.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace rmsjit::reference {
namespace {

constexpr double kUnit = 0x1p-24;

struct Format {
  int fraction_bits;
  int min_exponent;  // of the smallest normal number
  uint32_t infinity;
};

Format format(DType dtype) {
  if (dtype == DType::kF16) return {10, -14, 0x7c00};
  return {7, -126, 0x7f80};
}

float one_over_root(float m) {
  if (m == 0.0f) return 0.0f;
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(m)));
}

// h as the statistics and as the output take it, and what residual_out receives.
struct Added {
  std::vector<float> statistics;
  std::vector<float> output;
  std::vector<uint32_t> stored;
};

Added add_residual(const NormSpec& spec, const Row& row) {
  Added added;
  added.statistics.assign(row.x.begin(), row.x.end());
  added.output = added.statistics;
  if (!spec.has_residual()) return added;
  const DType dtype = spec.residual_dtype_resolved();
  for (size_t i = 0; i < row.x.size(); ++i) {
    const float h = row.x[i] + row.residual[i];
    const float rounded = round_to(dtype, h);
    added.stored.push_back(encode(dtype, h));
    added.statistics[i] = spec.add_round == AddRound::kRounded ? rounded : h;
    added.output[i] = spec.add_round == AddRound::kUnrounded ? h : rounded;
  }
  return added;
}

uint32_t finish(const NormSpec& spec, const Row& row, size_t i, float h, float rstd) {
  float v = h * rstd;
  if (spec.has_weight()) {
    if (spec.mul_round == MulRound::kTwice) v = round_to(spec.x_dtype(), v);
    const float w = row.weight[i];
    v = v * (spec.weight_form == WeightForm::kOnePlus ? 1.0f + w : w);
  }
  return encode(spec.y_dtype(), v);
}

// The smallest float >= v, and the largest <= v.
float float_above(double v) {
  const float f = static_cast<float>(v);
  return f < v ? std::nextafterf(f, std::numeric_limits<float>::infinity()) : f;
}
float float_below(double v) {
  const float f = static_cast<float>(v);
  return f > v ? std::nextafterf(f, -std::numeric_limits<float>::infinity()) : f;
}

struct RootRange {
  float low;
  float high;
};

// The fp32 values that rstd may take.
RootRange root_range(const NormSpec& spec, const std::vector<float>& h, float eps) {
  const auto n = static_cast<double>(h.size());
  long double exact = 0;
  for (float v : h) exact += static_cast<long double>(v) * v;
  const auto sum = static_cast<double>(exact);
  const double k = 6 + std::ceil(std::log2(std::ceil(n / 8)));
  const double relative = k * kUnit / (1 - k * kUnit);
  const double absolute = n * 0x1p-150;
  const double inv = static_cast<double>(1.0f / static_cast<float>(h.size()));
  const double slack = spec.root == Root::kExact ? kUnit : 0x1p-22;
  constexpr double kOverflow = 0x1.ffffffp127;  // from here on fp32 rounds to infinity
  const auto rstd = [&](double s, double sign) -> double {
    if (std::isnan(s)) return s;
    s = std::max(0.0, s * (1 - sign * relative) - (s > 0 ? sign * absolute : 0));
    if (s >= kOverflow) s = std::numeric_limits<double>::infinity();
    double m = s * inv + static_cast<double>(eps);
    m = std::max(0.0, m * (1 - sign * kUnit) - (s > 0 ? sign * 0x1p-150 : 0));
    if (m >= kOverflow) return 0;
    if (m < 0x1p-149) return sum > 0 && sign > 0 ? 1 / std::sqrt(0x1p-149) * (1 + slack) : 0;
    return 1 / std::sqrt(m) * (1 + sign * slack);
  };
  // A sum that may have underflowed to nothing gives rstd = 0 as well.
  const bool may_vanish =
      sum > 0 && sum * inv * (1 - relative) + static_cast<double>(eps) < 0x1p-148;
  return {may_vanish ? 0.0f : float_above(rstd(sum, -1)), float_below(rstd(sum, 1))};
}

float fixed_sum(const std::vector<float>& h) {
  const size_t leaves = (h.size() + 7) / 8;
  std::vector<float> v(std::bit_ceil(leaves), 0.0f);
  for (size_t c = 0; c < leaves; ++c) {
    float chains[2] = {0, 0};
    for (size_t i = 8 * c; i < std::min(h.size(), 8 * c + 8); ++i) {
      float& chain = chains[i / 4 % 2];
      chain = std::fmaf(h[i], h[i], chain);
    }
    v[c] = chains[0] + chains[1];
  }
  for (size_t half = v.size() / 2; half > 0; half /= 2) {
    for (size_t c = 0; c < half; ++c) v[c] = v[c] + v[c + half];
  }
  return v[0];
}

}  // namespace

uint32_t encode(DType dtype, float v) {
  if (dtype == DType::kF32) return std::isnan(v) ? 0x7fffffffu : std::bit_cast<uint32_t>(v);
  if (std::isnan(v)) return 0x7fffu;
  const Format f = format(dtype);
  const uint32_t sign = std::signbit(v) ? 0x8000u : 0;
  if (std::isinf(v)) return sign | f.infinity;
  // In units of the spacing of the type's numbers in the binade of v, then to a whole number.
  const double magnitude = std::fabs(static_cast<double>(v));
  const int exponent = magnitude == 0 ? f.min_exponent : std::ilogb(magnitude);
  const int binade = std::max(exponent - f.min_exponent, 0);
  const int unit = f.min_exponent + binade - f.fraction_bits;
  const auto significand = static_cast<uint32_t>(std::nearbyint(std::ldexp(magnitude, -unit)));
  // Patterns count magnitudes upwards, across binades too; beyond the largest is infinity.
  const uint32_t pattern = significand + (static_cast<uint32_t>(binade) << f.fraction_bits);
  return sign | std::min(pattern, f.infinity);
}

float decode(DType dtype, uint32_t bits) {
  if (dtype == DType::kF32) return std::bit_cast<float>(bits);
  const Format f = format(dtype);
  const int fraction_bits = f.fraction_bits;
  const uint32_t magnitude = bits & 0x7fffu;
  const auto exponent = static_cast<int>(magnitude >> fraction_bits);
  const auto fraction = static_cast<double>(magnitude & ((1u << fraction_bits) - 1));
  const int largest_exponent = dtype == DType::kF16 ? 31 : 255;
  double v = 0;
  if (exponent == largest_exponent) {
    v = fraction != 0 ? std::numeric_limits<double>::quiet_NaN()
                      : std::numeric_limits<double>::infinity();
  } else {
    const double hidden_bit = exponent == 0 ? 0 : std::ldexp(1.0, fraction_bits);
    const int scale = f.min_exponent - fraction_bits + std::max(exponent - 1, 0);
    v = std::ldexp(hidden_bit + fraction, scale);
  }
  return static_cast<float>((bits & 0x8000u) != 0 ? -v : v);
}

bool same_bits(DType dtype, uint32_t a, uint32_t b) {
  return a == b || (std::isnan(decode(dtype, a)) && std::isnan(decode(dtype, b)));
}

bool Interval::accepts(size_t i, float y) const {
  if (std::isnan(low[i]) || std::isnan(high[i])) return std::isnan(y);
  return low[i] <= y && y <= high[i];
}

Interval reference_interval(const NormSpec& spec, const Row& row) {
  const Added added = add_residual(spec, row);
  const RootRange range = root_range(spec, added.statistics, row.eps);
  Interval interval;
  interval.residual_out = added.stored;
  for (size_t i = 0; i < row.x.size(); ++i) {
    const float a = decode(spec.y_dtype(), finish(spec, row, i, added.output[i], range.low));
    const float b = decode(spec.y_dtype(), finish(spec, row, i, added.output[i], range.high));
    interval.low.push_back(std::isnan(a) || std::isnan(b) ? a + b : std::min(a, b));
    interval.high.push_back(std::isnan(a) || std::isnan(b) ? a + b : std::max(a, b));
  }
  return interval;
}

RowBits fixed_sum_row(const NormSpec& spec, const Row& row) {
  const Added added = add_residual(spec, row);
  const float inv = 1.0f / static_cast<float>(row.x.size());
  const float m = std::fmaf(fixed_sum(added.statistics), inv, row.eps);
  const float rstd = one_over_root(m);
  RowBits bits;
  bits.residual_out = added.stored;
  for (size_t i = 0; i < row.x.size(); ++i) {
    bits.y.push_back(finish(spec, row, i, added.output[i], rstd));
  }
  return bits;
}

}  // namespace rmsjit::reference
