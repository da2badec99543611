// SPDX-License-Identifier: Apache-2.0
// GuardedTensor: a [tokens, heads, hidden] tensor of its own padding, strides and alignment, with
// poison (0xff bytes, a NaN in every type) before, after and between its rows.
#ifndef RMSJIT_TESTS_EMULATE_GUARDED_TENSOR_H_
#define RMSJIT_TESTS_EMULATE_GUARDED_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "rmsjit/spec.h"
#include "tests/emulate/memory_map.h"

namespace rmsjit::emulate {

struct TensorStrides {
  long long token;  // as in RmsNormParams
  long long head;
};

struct TensorShape {
  DType dtype = DType::kBf16;
  int64_t tokens = 1;
  int64_t heads = 1;
  int64_t hidden = 1;
  TensorStrides stride{0, 0};  // elements; ignored where the extent is 1
  int64_t offset_bytes = 0;    // of the first element from an address that is a multiple of 256
};

class GuardedTensor {
 public:
  explicit GuardedTensor(const TensorShape& shape);
  ~GuardedTensor();
  GuardedTensor(const GuardedTensor&) = delete;
  GuardedTensor& operator=(const GuardedTensor&) = delete;

  void* data() { return first_; }
  int64_t element_bytes() const { return element_bytes_; }
  const TensorStrides& stride() const { return shape_.stride; }
  void fill_row(int64_t row, const std::vector<uint32_t>& bits);
  std::vector<uint32_t> row(int64_t row) const;
  // Its rows, named; rights are left to the caller.
  Buffer buffer(const std::string& name) const;
  // Whether every byte that is in no row still is poison. Not known of a sparse tensor: true.
  bool guards_intact() const;

 private:
  int64_t row_offset(int64_t row) const;  // bytes from base_

  TensorShape shape_;
  int64_t element_bytes_;
  int64_t bytes_ = 0;
  bool sparse_ = false;  // too large to fill: pages appear as they are touched
  std::byte* base_ = nullptr;
  std::byte* first_ = nullptr;
};

}  // namespace rmsjit::emulate

#endif  // RMSJIT_TESTS_EMULATE_GUARDED_TENSOR_H_
