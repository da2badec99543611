// SPDX-License-Identifier: Apache-2.0
// ReadySet: the threads of one cluster that can run, as bits, so that a pick is a few instructions.
#ifndef RMSJIT_TESTS_EMULATE_READY_SET_H_
#define RMSJIT_TESTS_EMULATE_READY_SET_H_

#include <bit>
#include <cstdint>

namespace rmsjit::emulate {

inline constexpr int kMaxBlock = 1024;
inline constexpr int kMaxThreads = 8 * kMaxBlock;

class ReadySet {
 public:
  // Empties the set, for members 0 .. count - 1.
  void reset(int count) {
    used_ = (count + 63) / 64;
    for (int w = 0; w < used_; ++w) words_[w] = 0;
  }
  void insert(int i) { words_[i / 64] |= uint64_t{1} << (i % 64); }
  void erase(int i) { words_[i / 64] &= ~(uint64_t{1} << (i % 64)); }
  // The first member at or after `from`, going round; -1 when empty.
  int next(int from) const {
    const uint64_t here = words_[from / 64] >> (from % 64);
    if (here != 0) return from + std::countr_zero(here);
    for (int step = 1; step <= used_; ++step) {
      const int w = (from / 64 + step) % used_;
      if (words_[w] != 0) return w * 64 + std::countr_zero(words_[w]);
    }
    return -1;
  }
  int last() const {
    for (int w = used_ - 1; w >= 0; --w) {
      if (words_[w] != 0) return w * 64 + 63 - std::countl_zero(words_[w]);
    }
    return -1;
  }

 private:
  int used_ = 0;
  uint64_t words_[kMaxThreads / 64] = {};
};

}  // namespace rmsjit::emulate

#endif  // RMSJIT_TESTS_EMULATE_READY_SET_H_
