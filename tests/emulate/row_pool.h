// SPDX-License-Identifier: Apache-2.0
// RowPool: the rows that all launches of one spec are made of, with the bits that each must give
// (reference.h, the fixed sum). A batch is a sequence of these rows, so that one row meets every
// batch size, position, alignment, stride, plan and schedule, and always the same expected bits.
#ifndef RMSJIT_TESTS_EMULATE_ROW_POOL_H_
#define RMSJIT_TESTS_EMULATE_ROW_POOL_H_

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "rmsjit/spec.h"
#include "tests/reference.h"

namespace rmsjit::emulate {

class RowPool {
 public:
  RowPool(const NormSpec& spec, uint32_t seed);

  struct Row {
    const char* kind;
    std::vector<uint32_t> x;         // bits of the element type
    std::vector<uint32_t> residual;  // empty without residual=add
    reference::RowBits expected;
  };
  int size() const { return static_cast<int>(rows_.size()); }
  const Row& row(int i) const { return rows_[static_cast<size_t>(i) % rows_.size()]; }
  const std::vector<uint32_t>& weight() const { return weight_; }
  float eps() const { return eps_; }
  // Where the expected bits leave the interval of the double reference; empty when nowhere.
  std::string disagreement() const;

 private:
  std::vector<float> values(const char* kind, bool residual);
  float normal();

  NormSpec spec_;
  float eps_;
  std::mt19937 random_;
  std::vector<uint32_t> weight_;
  std::vector<float> weight_values_;
  std::vector<Row> rows_;
};

}  // namespace rmsjit::emulate

#endif  // RMSJIT_TESTS_EMULATE_ROW_POOL_H_
