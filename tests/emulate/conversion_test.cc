// SPDX-License-Identifier: Apache-2.0
// The twin's conversions against those of the reference, which go through double: all inputs of the
// narrow types, and into them every representable value, every tie and both neighbours of each.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>

#include "tests/emulate/device_host.h"
#include "tests/reference.h"

namespace rmsjit {
namespace {

using reference::decode;
using reference::encode;

uint32_t twin_encode(DType dtype, float v) {
  return dtype == DType::kBf16 ? bf16x2_from_floats(v, 0) : f16x2_from_floats(v, 0);
}

TEST(Conversion, WidensEveryHalfAsTheReferenceDoes) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float expected = decode(DType::kF16, bits);
    const float found = float_from_f16(bits);
    if (std::isnan(expected)) {
      ASSERT_EQ(bits_from_float(found), 0x7fffffffu) << std::hex << bits;
    } else {
      ASSERT_EQ(bits_from_float(found), std::bit_cast<uint32_t>(expected)) << std::hex << bits;
    }
  }
}

class Narrowing : public testing::TestWithParam<DType> {};

TEST_P(Narrowing, GivesEveryValueBack) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float v = decode(GetParam(), bits);
    const uint32_t expected = std::isnan(v) ? 0x7fffu : bits;
    ASSERT_EQ(twin_encode(GetParam(), v), expected) << std::hex << bits;
    ASSERT_EQ(encode(GetParam(), v), expected) << std::hex << bits;
  }
}

// Between neighbours a and b of the type lies the tie (a + b) / 2, exact in fp32: it goes to the
// even one, and the floats next to it to the nearer one. Written without rounding anything.
TEST_P(Narrowing, BreaksEveryTieToEven) {
  const uint32_t infinity = GetParam() == DType::kF16 ? 0x7c00 : 0x7f80;
  for (uint32_t low = 0; low < infinity; ++low) {
    const double a = static_cast<double>(decode(GetParam(), low));
    const double step = low + 1 == infinity ? a - static_cast<double>(decode(GetParam(), low - 1))
                                            : static_cast<double>(decode(GetParam(), low + 1)) - a;
    const auto tie = static_cast<float>(a + step / 2);
    ASSERT_EQ(static_cast<double>(tie), a + step / 2);
    const uint32_t even = low % 2 == 0 ? low : low + 1;
    for (uint32_t sign : {0u, 0x8000u}) {
      const float s = sign == 0 ? 1.0f : -1.0f;
      const float below = std::nextafterf(tie, 0.0f);
      const float above = std::nextafterf(tie, INFINITY);
      ASSERT_EQ(twin_encode(GetParam(), s * tie), sign | even) << std::hex << low;
      ASSERT_EQ(twin_encode(GetParam(), s * below), sign | low) << std::hex << low;
      ASSERT_EQ(twin_encode(GetParam(), s * above), sign | (low + 1)) << std::hex << low;
      ASSERT_EQ(encode(GetParam(), s * tie), sign | even) << std::hex << low;
      ASSERT_EQ(encode(GetParam(), s * below), sign | low) << std::hex << low;
      ASSERT_EQ(encode(GetParam(), s * above), sign | (low + 1)) << std::hex << low;
    }
  }
}

TEST_P(Narrowing, AgreesWithTheReferenceOnRandomPatterns) {
  std::mt19937 random(3);
  for (int i = 0; i < 2000000; ++i) {
    const auto v = std::bit_cast<float>(static_cast<uint32_t>(random()));
    ASSERT_EQ(twin_encode(GetParam(), v), encode(GetParam(), v)) << std::hexfloat << v;
  }
}

TEST_P(Narrowing, MakesEveryNanCanonical) {
  for (uint32_t bits : {0x7f800001u, 0x7fc00000u, 0xffc00000u, 0xffffffffu, 0xff800001u}) {
    EXPECT_EQ(twin_encode(GetParam(), std::bit_cast<float>(bits)), 0x7fffu);
    EXPECT_EQ(encode(GetParam(), std::bit_cast<float>(bits)), 0x7fffu);
  }
}

INSTANTIATE_TEST_SUITE_P(Types, Narrowing, testing::Values(DType::kBf16, DType::kF16));

TEST(Conversion, PacksTheFirstArgumentLow) {
  EXPECT_EQ(bf16x2_from_floats(1.0f, 2.0f), 0x40003f80u);
  EXPECT_EQ(f16x2_from_floats(1.0f, 2.0f), 0x40003c00u);
}

}  // namespace
}  // namespace rmsjit
