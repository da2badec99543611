// SPDX-License-Identifier: Apache-2.0
#include "tests/emulate/guarded_tensor.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace rmsjit::emulate {
namespace {

constexpr int64_t kGuardBytes = 256;
constexpr int64_t kSparseBytes = int64_t{64} << 20;
constexpr int kPoison = 0xff;

}  // namespace

GuardedTensor::GuardedTensor(const TensorShape& shape)
    : shape_(shape), element_bytes_(dtype_bytes(shape.dtype)) {
  const int64_t last = (shape.tokens > 1 ? (shape.tokens - 1) * shape.stride.token : 0) +
                       (shape.heads > 1 ? (shape.heads - 1) * shape.stride.head : 0);
  const int64_t extent = (last + shape.hidden) * element_bytes_;
  bytes_ = (2 * kGuardBytes + shape.offset_bytes + extent + 255) / 256 * 256;
  sparse_ = bytes_ > kSparseBytes;
  const auto size = static_cast<size_t>(bytes_);
  if (sparse_) {
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
      std::perror("mmap of a sparse tensor");
      std::abort();
    }
    base_ = static_cast<std::byte*>(memory);
  } else {
    base_ = static_cast<std::byte*>(std::aligned_alloc(256, size));
    std::memset(base_, kPoison, size);
  }
  first_ = base_ + kGuardBytes + shape.offset_bytes;
}

GuardedTensor::~GuardedTensor() {
  if (sparse_) {
    munmap(base_, static_cast<size_t>(bytes_));
  } else {
    std::free(base_);
  }
}

int64_t GuardedTensor::row_offset(int64_t row) const {
  const int64_t token = row / shape_.heads;
  const int64_t head = row % shape_.heads;
  const int64_t element = (shape_.tokens > 1 ? token * shape_.stride.token : 0) +
                          (shape_.heads > 1 ? head * shape_.stride.head : 0);
  return (first_ - base_) + element * element_bytes_;
}

void GuardedTensor::fill_row(int64_t row, const std::vector<uint32_t>& bits) {
  std::byte* at = base_ + row_offset(row);
  for (uint32_t b : bits) {
    std::memcpy(at, &b, static_cast<size_t>(element_bytes_));  // little-endian
    at += element_bytes_;
  }
}

std::vector<uint32_t> GuardedTensor::row(int64_t row) const {
  std::vector<uint32_t> bits(static_cast<size_t>(shape_.hidden));
  const std::byte* at = base_ + row_offset(row);
  for (uint32_t& b : bits) {
    std::memcpy(&b, at, static_cast<size_t>(element_bytes_));
    at += element_bytes_;
  }
  return bits;
}

Buffer GuardedTensor::buffer(const std::string& name) const {
  Buffer buffer;
  buffer.name = name;
  buffer.begin = base_;
  buffer.bytes = bytes_;
  buffer.row_bytes = shape_.hidden * element_bytes_;
  buffer.element_bytes = static_cast<int>(element_bytes_);
  for (int64_t row = 0; row < shape_.tokens * shape_.heads; ++row) {
    buffer.row_starts.push_back(row_offset(row));
  }
  std::sort(buffer.row_starts.begin(), buffer.row_starts.end());
  return buffer;
}

bool GuardedTensor::guards_intact() const {
  if (sparse_) return true;
  const Buffer rows = buffer("");
  const auto poisoned = [&](int64_t from, int64_t to) {
    return std::all_of(base_ + from, base_ + to,
                       [](std::byte b) { return b == std::byte{kPoison}; });
  };
  int64_t from = 0;
  for (int64_t start : rows.row_starts) {
    if (!poisoned(from, start)) return false;
    from = start + rows.row_bytes;
  }
  return poisoned(from, bytes_);
}

}  // namespace rmsjit::emulate
