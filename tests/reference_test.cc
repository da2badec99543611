// SPDX-License-Identifier: Apache-2.0
// The reference against results known by hand and against wrong norms that it has to refuse.
#include "tests/reference.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

namespace rmsjit::reference {
namespace {

std::vector<float> normal_row(size_t n, DType dtype, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> row(n);
  for (float& v : row) {
    v = round_to(dtype, static_cast<float>(random() >> 8) * 0x1p-22f - 2.0f);
  }
  return row;
}

NormSpec plain(int64_t hidden, DType x) {
  NormSpec spec;
  spec.hidden = hidden;
  spec.x = x;
  return spec;
}

TEST(Reference, KnowsTheEncodings) {
  EXPECT_EQ(encode(DType::kBf16, 1.0f), 0x3f80u);
  EXPECT_EQ(encode(DType::kBf16, -0.0f), 0x8000u);
  EXPECT_EQ(encode(DType::kBf16, std::numeric_limits<float>::max()), 0x7f80u);
  EXPECT_EQ(encode(DType::kF16, 65504.0f), 0x7bffu);
  EXPECT_EQ(encode(DType::kF16, 65520.0f), 0x7c00u);
  EXPECT_EQ(encode(DType::kF16, 0x1p-24f), 0x0001u);
  EXPECT_EQ(encode(DType::kF16, 0x1p-25f), 0x0000u);
  EXPECT_EQ(encode(DType::kF32, 1.5f), 0x3fc00000u);
  EXPECT_EQ(decode(DType::kF16, 0x3555), 0x1.554p-2f);
  EXPECT_EQ(decode(DType::kBf16, 0xc2f7), -123.5f);
}

// [3, 4]: mean of squares 12.5.
TEST(Reference, NormalisesAPairByHand) {
  const float x[] = {3, 4};
  const float w[] = {1, 10};
  const RowBits bits = fixed_sum_row(plain(2, DType::kF32), {x, {}, w, 0.0f});
  const float rstd = static_cast<float>(1 / std::sqrt(12.5));
  EXPECT_EQ(std::bit_cast<float>(bits.y[0]), 3 * rstd);
  EXPECT_EQ(std::bit_cast<float>(bits.y[1]), 4 * rstd * 10);
}

// Nine values make two leaves; the second one's chains have one and no element.
TEST(Reference, SumsLeavesAsWritten) {
  const float a = 0x1.000002p0f;
  const std::vector<float> x(9, a);
  const auto fma = [](float v, float sum) { return std::fmaf(v, v, sum); };
  const float chain = fma(a, fma(a, fma(a, a * a)));
  const float sum = (chain + chain) + a * a;
  const float rstd =
      static_cast<float>(1 / std::sqrt(static_cast<double>(std::fmaf(sum, 1.0f / 9, 0.25f))));
  NormSpec spec = plain(9, DType::kF32);
  spec.weight = DType::kNone;
  const RowBits bits = fixed_sum_row(spec, {x, {}, {}, 0.25f});
  EXPECT_EQ(std::bit_cast<float>(bits.y[8]), a * rstd);
}

TEST(Reference, RoundsTheResidualWhereTheSpecSays) {
  const float x[] = {1.0f};
  const float r[] = {0x1p-8f};  // 1 + 2^-8 is a tie of bf16 and goes down to 1
  NormSpec spec = plain(1, DType::kBf16);
  spec.weight = DType::kNone;
  spec.y = DType::kF32;
  spec.residual = Residual::kAdd;
  const auto y = [&](AddRound round, float eps) {
    spec.add_round = round;
    const RowBits bits = fixed_sum_row(spec, {x, r, {}, eps});
    EXPECT_EQ(bits.residual_out[0], 0x3f80u);
    return std::bit_cast<float>(bits.y[0]);
  };
  const float h = 1.0f + 0x1p-8f;
  const auto inverse = [](float m) { return static_cast<float>(1 / std::sqrt(double{m})); };
  EXPECT_EQ(y(AddRound::kRounded, 1.0f), inverse(2.0f));
  EXPECT_EQ(y(AddRound::kUnrounded, 1.0f), h * inverse(h * h + 1.0f));
  EXPECT_EQ(y(AddRound::kStatsUnrounded, 1.0f), inverse(h * h + 1.0f));
}

TEST(Reference, AddsOneToTheWeightInFp32) {
  const float x[] = {1.0f}, weight[] = {0x1p-9f};  // 1 + 2^-9 is no bf16
  NormSpec spec = plain(1, DType::kBf16);
  spec.y = DType::kF32;
  spec.weight_form = WeightForm::kOnePlus;
  EXPECT_EQ(std::bit_cast<float>(fixed_sum_row(spec, {x, {}, weight, 0.0f}).y[0]), 1.0f + 0x1p-9f);
}

TEST(Reference, TreatsZeroInfinityAndOverflowAsWritten) {
  const float zero[] = {0, 0};
  NormSpec spec = plain(2, DType::kF32);
  spec.weight = DType::kNone;
  EXPECT_EQ(fixed_sum_row(spec, {zero, {}, {}, 0.0f}).y, (std::vector<uint32_t>{0, 0}));
  const float infinite[] = {1, INFINITY};
  const RowBits inf = fixed_sum_row(spec, {infinite, {}, {}, 0.0f});
  EXPECT_EQ(inf.y[0], 0u);
  EXPECT_TRUE(std::isnan(std::bit_cast<float>(inf.y[1])));
  const float huge[] = {1e30f, -1e30f};
  EXPECT_EQ(fixed_sum_row(spec, {huge, {}, {}, 0.0f}).y[0], 0u);
  EXPECT_TRUE(reference_interval(spec, {huge, {}, {}, 0.0f}).accepts(0, 0.0f));
  const float nan[] = {1, NAN};
  EXPECT_TRUE(reference_interval(spec, {nan, {}, {}, 0.0f}).accepts(0, NAN));
  EXPECT_FALSE(reference_interval(spec, {nan, {}, {}, 0.0f}).accepts(0, 1.0f));
}

// How many elements of a row the interval refuses when the norm is computed as `wrong` says.
int refused(const NormSpec& spec, const NormSpec& wrong, size_t divisor, float eps,
            float wrong_eps) {
  int count = 0;
  for (uint32_t seed = 0; seed < 4; ++seed) {
    const auto n = static_cast<size_t>(spec.hidden);
    const std::vector<float> x = normal_row(n, spec.x_dtype(), seed);
    const std::vector<float> w = normal_row(n, spec.weight_dtype(), seed + 100);
    const std::vector<float> r = normal_row(n, spec.residual_dtype_resolved(), seed + 200);
    const std::span<const float> residual =
        spec.has_residual() ? std::span<const float>(r) : std::span<const float>();
    const Interval interval = reference_interval(spec, {x, residual, w, eps});
    // A wrong divisor: the unrounded row, scaled as the other divisor would.
    NormSpec computed = wrong;
    if (divisor != n) computed.y = DType::kF32;
    const RowBits bits = fixed_sum_row(computed, {x, residual, w, wrong_eps});
    const float scale = std::sqrt(static_cast<float>(divisor) / static_cast<float>(n));
    for (size_t i = 0; i < n; ++i) {
      float y = decode(computed.y_dtype(), bits.y[i]);
      if (divisor != n) y = round_to(spec.y_dtype(), y * scale);
      count += interval.accepts(i, y) ? 0 : 1;
    }
  }
  return count;
}

class ReferenceOfType : public testing::TestWithParam<DType> {};

TEST_P(ReferenceOfType, AcceptsTheFixedSumAndRefusesWrongNorms) {
  NormSpec spec = plain(769, GetParam());
  EXPECT_EQ(refused(spec, spec, 769, 1e-5f, 1e-5f), 0);
  EXPECT_GT(refused(spec, spec, 770, 1e-5f, 1e-5f), 0) << "divisor off by one";
  EXPECT_GT(refused(spec, spec, 769, 1e-3f, 0.0f), 0) << "no eps";
  NormSpec residual = spec;
  residual.residual = Residual::kAdd;
  EXPECT_EQ(refused(residual, residual, 769, 1e-5f, 1e-5f), 0);
  if (GetParam() == DType::kF32) return;
  NormSpec twice = spec;
  twice.mul_round = MulRound::kTwice;
  EXPECT_EQ(refused(twice, twice, 769, 1e-5f, 1e-5f), 0);
  EXPECT_GT(refused(spec, twice, 769, 1e-5f, 1e-5f), 0) << "one rounding too many";
  EXPECT_GT(refused(twice, spec, 769, 1e-5f, 1e-5f), 0) << "one rounding too few";
  NormSpec unrounded = residual;
  unrounded.add_round = AddRound::kUnrounded;
  EXPECT_GT(refused(residual, unrounded, 769, 1e-5f, 1e-5f), 0) << "h not rounded";
}

INSTANTIATE_TEST_SUITE_P(Types, ReferenceOfType,
                         testing::Values(DType::kBf16, DType::kF16, DType::kF32));

}  // namespace
}  // namespace rmsjit::reference
