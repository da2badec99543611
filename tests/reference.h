// SPDX-License-Identifier: Apache-2.0
// RMSNorm of one row on the CPU, twice, without a line of the kernel template:
//  - reference_interval: in double, as the interval of results that one rounding of the exact
//    result and the error bound of an fp32 sum allow. For every kernel on every device.
//  - fixed_sum_row: in fp32, with the one fixed sum as a plain loop. Its bits are the kernel's bits
//    wherever the root is exact, and in the emulator.
// Pure functions; values travel as floats, which hold every element type exactly.
#ifndef RMSJIT_TESTS_REFERENCE_H_
#define RMSJIT_TESTS_REFERENCE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "rmsjit/spec.h"

namespace rmsjit::reference {

// The bits of v rounded to nearest even; a NaN gives 0x7fff, or 0x7fffffff for f32.
uint32_t encode(DType dtype, float v);
// The value of an element's bits.
float decode(DType dtype, uint32_t bits);
inline float round_to(DType dtype, float v) { return decode(dtype, encode(dtype, v)); }
// Equal, both zero of one sign, or both NaN.
bool same_bits(DType dtype, uint32_t a, uint32_t b);

struct Row {
  std::span<const float> x;
  std::span<const float> residual;  // empty without residual=add
  std::span<const float> weight;    // empty when weightless
  float eps = 0;
};

struct Interval {
  std::vector<float> low;  // values of y's type; NaN: the result has to be NaN
  std::vector<float> high;
  std::vector<uint32_t> residual_out;  // exact bits; empty without residual=add

  bool accepts(size_t i, float y) const;
};
Interval reference_interval(const NormSpec& spec, const Row& row);

struct RowBits {
  std::vector<uint32_t> y;
  std::vector<uint32_t> residual_out;
};
RowBits fixed_sum_row(const NormSpec& spec, const Row& row);

}  // namespace rmsjit::reference

#endif  // RMSJIT_TESTS_REFERENCE_H_
